/**
 * Starting a program that answers, so that it does not get the socket that the
 * server has inherited.
 *
 * @module
 */

import type { ChildProcess } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { denoError } from "../../shared/node_error.ts";
import { ignore } from "../../shared/quiet.ts";

/** A program that runs. */
export interface ProgramProcess
  extends Pick<Deno.ChildProcess, "pid" | "stdin" | "status" | "kill"> {
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** The first descriptor that is not replaced by a pipe anyway. */
const FIRST_INHERITED = 3;

/**
 * Whether a program would get a descriptor of ours, unless something else takes its
 * place.
 */
export function wouldGet(fd: number | undefined): fd is number {
  return fd !== undefined && fd >= FIRST_INHERITED;
}

/**
 * Starts a program, in a process group of its own: a Ctrl-C must reach only the
 * server.
 *
 * @param command The program.
 * @param args Its arguments.
 * @param environment Its environment. To keep a descriptor from it, that must be
 * all of it.
 * @param inherited The descriptor that it must not get.
 * @returns The program, which runs.
 * @throws {Error} If it cannot be started.
 */
export async function startProgram(
  command: string,
  args: string[],
  environment: Pick<Deno.CommandOptions, "env" | "clearEnv">,
  inherited: number | undefined,
): Promise<ProgramProcess> {
  if (wouldGet(inherited)) {
    return await startWithout(inherited, command, args, environment.env ?? {});
  }
  return new Deno.Command(command, {
    args,
    ...environment,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
}

/**
 * Starts a program that gets a pipe, whose other end is closed, in the place of a
 * descriptor. `Deno.Command` cannot do that.
 */
async function startWithout(
  inherited: number,
  command: string,
  args: string[],
  env: Record<string, string>,
): Promise<ProgramProcess> {
  const others = Array<"ignore">(inherited - FIRST_INHERITED).fill("ignore");
  const child = process.getBuiltinModule("node:child_process").spawn(
    command,
    args,
    {
      env,
      detached: true,
      stdio: ["pipe", "pipe", "pipe", ...others, "pipe"],
    },
  );
  const status = statusOf(child);
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(denoError(error)));
  });
  const { pid = 0, stdin, stdout, stderr } = child;
  child.stdio[inherited as 3]?.destroy();
  if (!stdin || !stdout || !stderr) throw new Error("it has no pipes");
  return {
    pid,
    stdin: writableTo(stdin),
    stdout: readableFrom(stdout),
    stderr: readableFrom(stderr),
    status,
    kill: (signal) => void child.kill(signal as NodeJS.Signals),
  };
}

function statusOf(child: ChildProcess): Promise<Deno.CommandStatus> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      const success = code === 0;
      resolve({
        success,
        code: code ?? 1,
        signal: signal as Deno.Signal | null,
      });
    });
  });
}

function writableTo(stream: Writable): WritableStream<Uint8Array<ArrayBuffer>> {
  // What is wrong is told to whoever writes.
  stream.on("error", ignore);
  const done = (begin: (callback: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      begin((error) => error ? reject(denoError(error)) : resolve());
    });
  return new WritableStream({
    write: (chunk) => done((callback) => stream.write(chunk, callback)),
    close: () => done((callback) => stream.end(callback)),
    abort: () => void stream.destroy(),
  });
}

function readableFrom(
  stream: Readable,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      let isOver = false;
      const close = () => {
        if (!isOver) controller.close();
        isOver = true;
      };
      stream.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
        if (isOver) return;
        controller.enqueue(chunk);
        if ((controller.desiredSize ?? 0) <= 0) stream.pause();
      });
      stream.once("end", close);
      stream.once("close", close);
      stream.once("error", (error) => {
        if (!isOver) controller.error(denoError(error));
        isOver = true;
      });
      stream.pause();
    },
    pull: () => void stream.resume(),
    cancel: () => void stream.destroy(),
  }, { highWaterMark: 0 });
}
