/**
 * Answering with a program that runs once for each connection.
 *
 * @module
 */

import { turn, within } from "../../shared/pause.ts";
import { type Unhurried, unhurried } from "../../shared/unhurried.ts";
import type { Conn, ServeOptions } from "../../server.ts";
import type { Answer } from "./answer.ts";
import type { Log } from "../log/log.ts";
import { trying } from "../shared/files.ts";
import { ensurePermissions } from "../shared/permissions.ts";
import { chunksOf, linesOf } from "../shared/streams.ts";
import { explainLimit } from "../shared/reasons.ts";
import { inShell, messageOf } from "../shared/wording.ts";
import { environmentOf } from "./program_environment.ts";

/** How long a program may take to end after its output, for its status to count. */
const EXIT_MS = 250;
/** How long to wait for the rest of a program's standard error. */
const LAST_WORDS_MS = 100;
/** Longer than arguments may be: a program can be found, but not started. */
const TOO_LONG_BYTES = 4 * 1024 ** 2;
/** How long a line of a program's standard error may be before it is split. */
const MAX_LINE = 8192;
/** So many of these lines are logged before everything else has its turn. */
const LINES_AT_ONCE = 100;

/**
 * Makes an answer from a program: the request is its standard input, its
 * standard output is the response, and its standard error goes to the log. It
 * is killed when the exchange is cut short. If it fails, the exchange fails. Its
 * turn lasts until it ends, also after the response.
 *
 * While it runs, nobody can tell whether it thinks or waits for the client. So a
 * client that has begun its request may be silent until the deadline.
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
  try {
    await ensurePermissions(`run ${command}`, { name: "run", command });
    await trying(`run ${command}`, () => ensureExists(command));
  } catch (error) {
    const words = command.split(/\s+/).filter(Boolean);
    if (words.length < 2) throw error;
    const line = ["--", ...words, ...args].map(inShell).join(" ");
    throw new Error(`${messageOf(error)}. Try: ${line}`);
  }
  // Deno allows signals to a group only with the permission to run anything.
  const all = await Deno.permissions.query({ name: "run" });
  const killsGroup = all.state === "granted" && Deno.build.os !== "windows";
  const env = await Deno.permissions.query({ name: "env" });
  const canRemove = env.state === "granted";
  const running = new Set<Promise<unknown>>();
  const options: Partial<ServeOptions> & Unhurried = {
    streaming: true,
    [unhurried]: true,
    // A program says what it wants to say: grep fails if nothing matches.
    onError: () => "",
  };

  return {
    options,
    async handler(conn) {
      conn.signal.throwIfAborted();
      const environment = environmentOf(conn, tls, canRemove);
      const run = await trying(`run ${command}`, () => {
        const child = start(command, args, environment);
        return new Run(child, conn, command, killsGroup);
      });
      const ended = run.logErrors((line) => log.program(conn, command, line));
      running.add(ended);
      ended.finally(() => running.delete(ended));
      return run.answer();
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
    if (isMissing) throw error;
  }
}

function start(
  command: string,
  args: string[],
  environment: Pick<Deno.CommandOptions, "env" | "clearEnv">,
): Deno.ChildProcess {
  return new Deno.Command(command, {
    args,
    ...environment,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    // A process group of its own: a Ctrl-C must reach only the server.
    detached: true,
  }).spawn();
}

/** One run of a program, for one connection. */
class Run {
  readonly #child: Deno.ChildProcess;
  readonly #conn: Conn;
  readonly #command: string;
  readonly #killsGroup: boolean;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #request: ReadableStreamDefaultReader<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  readonly #errors: ReadableStreamDefaultReader<Uint8Array>;
  /** Resolves when the program has all of the request, or needs no more of it. */
  readonly #fed: Promise<void>;
  /** Whether the program has ended. What it has started may live on. */
  #hasEnded = false;
  #isOver = false;
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
    this.#output = child.stdout.getReader();
    this.#errors = child.stderr.getReader();
    child.status.then(() => this.#hasEnded = true);
    conn.signal.addEventListener("abort", this.#onAbort);
    this.#fed = this.#feed();
  }

  /** Responds with the output, and waits for the end: it fails if the program does. */
  async answer(): Promise<void> {
    try {
      if (!await this.#conn.respond(this.#response())) return;
      this.#check(await this.#child.status);
    } finally {
      this.#kill();
      this.#isOver = true;
      this.#conn.signal.removeEventListener("abort", this.#onAbort);
      this.#input.abort().catch(() => {});
      this.#request.cancel().catch(() => {});
    }
  }

  /** The output. It fails if the program does so by the end of it. */
  async *#response(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* chunksOf(this.#output);
    // Our FIN would cut a request that the program may still read.
    await Promise.race([this.#fed, this.#child.status]);
    const status = await within(EXIT_MS, this.#child.status);
    if (this.#fault) throw this.#fault.error;
    if (status) this.#check(status);
  }

  #check(status: Deno.CommandStatus): void {
    // What it has started in the background may live on.
    this.#isOver = true;
    const { success, code, signal } = status;
    if (success) return;
    const ending = signal === null
      ? `ended with status ${code}`
      : `was ended by ${signal}`;
    throw new Error(`${this.#command} ${ending}`);
  }

  /**
   * Logs what the program writes to its standard error, line by line.
   *
   * @returns Resolves when it has ended and its last lines are logged. What it
   * has started in the background may write more.
   */
  async logErrors(log: (line: string) => void): Promise<void> {
    const logged = this.#logLines(log);
    await this.#child.status;
    await within(LAST_WORDS_MS, logged);
  }

  async #logLines(log: (line: string) => void): Promise<void> {
    const lines = linesOf(chunksOf(this.#errors), MAX_LINE);
    let count = 0;
    for await (const line of lines) {
      log(line);
      if (++count % LINES_AT_ONCE === 0) await turn();
    }
  }

  async #feed(): Promise<void> {
    const input = this.#input;
    try {
      for await (const chunk of chunksOf(this.#request)) {
        // A program that has closed its input needs no more of it.
        if (!await input.write(chunk).then(() => true, () => false)) break;
      }
    } catch (error) {
      this.#fault = { error };
      // Kill it before its input ends, or it would take a part for the whole.
      this.#kill();
    }
    await input.close().catch(() => {});
    await this.#request.cancel().catch(() => {});
  }

  readonly #onAbort = (): void => {
    explainLimit(
      this.#conn.signal.reason,
      this.#hasEnded
        ? `${this.#command} has ended, but what it has started holds its output ` +
          "open. Redirect that to /dev/null"
        : `${this.#command} has not ended`,
    );
    this.#kill();
  };

  #kill(): void {
    if (this.#isOver) return;
    const { pid } = this.#child;
    try {
      if (this.#killsGroup) Deno.kill(-pid, "SIGKILL");
      else this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    // Processes that it has started may keep these open.
    this.#errors.cancel().catch(() => {});
    this.#output.cancel().catch(() => {});
  }
}
