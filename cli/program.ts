/**
 * Answering with a program that runs once for each connection.
 *
 * @module
 */

import type { Conn } from "../server.ts";
import type { Answer } from "./answers.ts";
import type { Log } from "./log.ts";
import { ensurePermissions } from "./permissions.ts";
import { messageOf } from "./wording.ts";

/** How long to wait for the rest of a program's standard error. */
const LAST_WORDS_MS = 100;
/** Longer than arguments may be: a program can be found, but not started. */
const TOO_LONG_BYTES = 4 * 1024 ** 2;
/** How long a line of a program's standard error may be before it is split. */
const MAX_LINE = 8192;

/**
 * Makes an answer from a program: the request is its standard input, its
 * standard output is the response, and its standard error goes to the log. It
 * is killed when the exchange is cut short. If it fails, the exchange fails.
 *
 * The environment describes the connection as ucspi-tcp's `tcpserver` does.
 *
 * @param command The program.
 * @param args Its arguments.
 * @param context Where its standard error goes, and whether there is TLS.
 * @throws {Deno.errors.NotCapable} If the permission to run it is missing.
 * @throws {Error} If there is no such program.
 */
export async function program(
  command: string,
  args: string[],
  { log, tls }: { log: Log; tls: boolean },
): Promise<Answer> {
  await ensurePermissions(`run ${command}`, { name: "run", command });
  ensureExists(command);
  // Deno allows signals to a group only with the permission to run anything.
  const all = await Deno.permissions.query({ name: "run" });
  const killsGroup = all.state === "granted" && Deno.build.os !== "windows";
  const running = new Set<Promise<unknown>>();

  return {
    options: { streaming: true },
    handler(conn) {
      conn.signal.throwIfAborted();
      const child = start(command, args, environmentOf(conn, tls));
      const run = new Run(child, conn, command, killsGroup);
      const ended = run.logErrors((line) =>
        log.program(conn.id, command, line)
      );
      running.add(ended);
      ended.finally(() => running.delete(ended));
      return run.output();
    },
    settled: () => Promise.all(running),
  };
}

/**
 * Throws if a program does not exist. Searching for it would need permission to
 * read `PATH` and all its folders; trying to start it does not.
 */
function ensureExists(command: string): void {
  try {
    const args = ["x".repeat(TOO_LONG_BYTES)];
    new Deno.Command(command, { args, stdin: "null" }).spawn().kill();
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.PermissionDenied;
    // Any other error means that it exists, but rejects these arguments.
    if (isMissing) throw cannotRun(command, error);
  }
}

function cannotRun(command: string, error: unknown): Error {
  return new Error(`Cannot run ${command}: ${messageOf(error)}`);
}

function start(
  command: string,
  args: string[],
  env: Record<string, string>,
): Deno.ChildProcess {
  try {
    return new Deno.Command(command, {
      args,
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // A process group of its own: a Ctrl-C must reach only the server.
      detached: true,
    }).spawn();
  } catch (error) {
    throw cannotRun(command, error);
  }
}

/** One run of a program, for one connection. */
class Run {
  readonly #child: Deno.ChildProcess;
  readonly #conn: Conn;
  readonly #command: string;
  readonly #killsGroup: boolean;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #request: ReadableStreamDefaultReader<Uint8Array>;
  readonly #errors: ReadableStreamDefaultReader<Uint8Array>;
  #over = false;
  /** Why the request could not be read. */
  #fault: { error: unknown } | undefined;

  constructor(
    child: Deno.ChildProcess,
    conn: Conn,
    command: string,
    killsGroup: boolean,
  ) {
    this.#child = child;
    this.#conn = conn;
    this.#command = command;
    this.#killsGroup = killsGroup;
    this.#input = child.stdin.getWriter();
    this.#request = conn.readable.getReader();
    this.#errors = child.stderr.getReader();
    conn.signal.addEventListener("abort", this.#kill);
    this.#feed();
  }

  /** The response: it fails if the program does. */
  async *output(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#child.stdout;
      const status = await this.#child.status;
      // What it has started in the background may live on.
      this.#over = true;
      if (this.#fault) throw this.#fault.error;
      if (!status.success) {
        throw new Error(`${this.#command} ${endingOf(status)}`);
      }
    } finally {
      this.#kill();
      this.#over = true;
      this.#conn.signal.removeEventListener("abort", this.#kill);
      this.#input.abort().catch(() => {});
      this.#request.cancel().catch(() => {});
    }
  }

  /**
   * Logs what the program writes to its standard error, line by line.
   *
   * @returns Resolves when it has ended and its last lines are logged. What it
   * has started in the background may write more.
   */
  async logErrors(log: (line: string) => void): Promise<void> {
    const logged = logLines(this.#errors, log);
    await this.#child.status;
    let timer;
    const enough = new Promise((resolve) => {
      timer = setTimeout(resolve, LAST_WORDS_MS);
    });
    await Promise.race([logged, enough]);
    clearTimeout(timer);
  }

  async #feed(): Promise<void> {
    const input = this.#input;
    try {
      for (;;) {
        const { done, value } = await this.#request.read();
        if (done) break;
        // A program that has closed its input needs no more of it.
        if (!await input.write(value).then(() => true, () => false)) break;
      }
    } catch (error) {
      this.#fault = { error };
      // Kill it before its input ends, or it would take a part for the whole.
      this.#kill();
    }
    await input.close().catch(() => {});
    await this.#request.cancel().catch(() => {});
  }

  readonly #kill = (): void => {
    if (this.#over) return;
    const { pid } = this.#child;
    try {
      if (this.#killsGroup) Deno.kill(-pid, "SIGKILL");
      else this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    // Processes that it has started may keep these open.
    this.#errors.cancel().catch(() => {});
    this.#child.stdout.cancel().catch(() => {});
  };
}

/**
 * The environment variables that describe a connection. Those without a meaning
 * are empty, because the server's own environment may set them.
 */
function environmentOf(conn: Conn, tls: boolean): Record<string, string> {
  const { localAddr: local, remoteAddr: remote } = conn;
  if (local.transport !== "tcp" || remote.transport !== "tcp") {
    const path = "path" in local ? local.path : "";
    return { ...nothing, PROTO: "UNIX", UNIXLOCALPATH: path };
  }
  const about = (prefix: string) => ({
    [`${prefix}LOCALIP`]: local.hostname,
    [`${prefix}LOCALPORT`]: `${local.port}`,
    [`${prefix}REMOTEIP`]: remote.hostname,
    [`${prefix}REMOTEPORT`]: `${remote.port}`,
  });
  return tls
    ? { ...nothing, PROTO: "SSL", ...about("SSL"), ...about("TCP") }
    : { ...nothing, PROTO: "TCP", ...about("TCP") };
}

const nothing = Object.fromEntries(
  [
    "UNIXLOCALPATH",
    ...["SSL", "TCP"].flatMap((prefix) =>
      ["LOCALIP", "LOCALPORT", "REMOTEIP", "REMOTEPORT"].map((name) =>
        prefix + name
      )
    ),
  ].map((name) => [name, ""]),
);

function endingOf({ code, signal }: Deno.CommandStatus): string {
  return signal === null
    ? `ended with status ${code}`
    : `was ended by ${signal}`;
}

async function logLines(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  log: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const lines = rest.split(/\r?\n/);
    rest = lines.pop() ?? "";
    lines.forEach(log);
    if (rest !== "" && (done || rest.length > MAX_LINE)) {
      log(rest);
      rest = "";
    }
    if (done) return;
  }
}
