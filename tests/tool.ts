// The command-line tool as a process of its own, and what it says.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { importMap, kill, lines, root, spawn } from "./programs.ts";
import { ask, local, untilRefused } from "./sockets.ts";
import { until } from "./support.ts";

/** What is logged: one of these for each line. */
const listening =
  /^[-\d]+T[:.\d]+Z INFO listening on (?:127\.0\.0\.1:(\d+)|(\/\S+))$/;
const listeningAsJson = /"msg":"listening on (?:127\.0\.0\.1:(\d+)|(\/[^"]+))"/;
const exchanged =
  /^[-\d]+T[:.\d]+Z (?:INFO|WARN) (?:127\.0\.0\.1:(\d+)|a client) (\d+) bytes in, (\d+) bytes out, [.\d]+ ms, ([-a-z]+)(?: while [a-z]+: .+)?(?:, kept: [\da-f]{64} {2}\S+)?$/;
const stopped = /^[-\d]+T[:.\d]+Z INFO stopped after (\d+) exchanges?$/;

/** What a client is told whose request has failed. */
export const failed = "halfclose: request failed, the server's log says why\n";

/** How a run of the tool ended. */
export interface Ending {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  lines: string[];
}

/** How the tool is run. */
export interface ToolOptions {
  /** The module that is run. */
  entry?: string;
  /** A program that is run instead. */
  command?: string;
  /** Flags for Deno. */
  permissions?: string[];
  /** The words before it, such as those of a tracer. */
  wrapper?: string[];
  /** Added to the environment. */
  env?: Record<string, string>;
  /** Where it is run, instead of the checkout's root. */
  cwd?: string;
}

/** The tool as a child process, which does not outlive the test. */
export class Tool implements AsyncDisposable {
  /** What it has written to standard error so far. */
  readonly lines: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Promise<string>;
  readonly #stderr: Promise<void>;
  readonly #guard: ReturnType<typeof setTimeout>;
  #addr: Deno.Addr = { transport: "tcp", ...local };
  #ended = false;
  #news = Promise.withResolvers<void>();

  constructor(args: string[], options: ToolOptions = {}) {
    const [program = "", ...rest] = Tool.command(args, options);
    const { cwd = root, env = {} } = options;
    this.#child = spawn(program, rest, { cwd, env });
    this.#stdout = new Response(this.#child.stdout).text();
    this.#stderr = this.#collect();
    // Who waits in vain shall fail, not hang.
    this.#guard = setTimeout(() => this.kill("SIGKILL"), 120_000);
  }

  /** The command line that runs it. */
  static command(
    args: string[],
    { entry = "cli.ts", command, permissions = ["-N"], wrapper = [] }:
      ToolOptions = {},
  ): string[] {
    if (command !== undefined) return [command, ...args];
    const flags = [...permissions, ...importMap()];
    return [...wrapper, Deno.execPath(), "run", ...flags, entry, ...args];
  }

  /** What it needs that uses a folder, and whatever else it does. */
  static allowing(folder: string, ...more: string[]): ToolOptions {
    return { permissions: ["-N", `-R=${folder}`, `-W=${folder}`, ...more] };
  }

  /** Runs it to its end. */
  static async run(args: string[], options?: ToolOptions): Promise<Ending> {
    await using tool = new Tool(args, options);
    return await tool.ending();
  }

  /** Starts it, on a free port unless told otherwise, and waits until it listens. */
  static listening(args: string[] = [], options?: ToolOptions): Promise<Tool> {
    const anywhere = args.includes("--unix") || args.includes("--fd")
      ? []
      : ["--host", "127.0.0.1", "--port", "0"];
    return Tool.listeningAsIs([...anywhere, ...args], options);
  }

  /** Starts it with just these arguments, and waits until it listens. */
  static async listeningAsIs(
    args: string[],
    options?: ToolOptions,
  ): Promise<Tool> {
    const tool = new Tool(args, options);
    try {
      const line = new RegExp(`${listening.source}|${listeningAsJson.source}`);
      const [, port, path, jsonPort, jsonPath] = await tool.line(line);
      const unix = path ?? jsonPath;
      tool.#addr = unix === undefined
        ? { ...local, transport: "tcp", port: Number(port ?? jsonPort) }
        : { transport: "unix", path: unix };
      return tool;
    } catch (error) {
      await tool[Symbol.asyncDispose]();
      throw error;
    }
  }

  get addr(): Deno.Addr {
    return this.#addr;
  }

  get port(): number {
    return (this.#addr as Deno.NetAddr).port;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Waits for a line that matches, after the first `from` lines. */
  async line(expected: RegExp, from = 0): Promise<RegExpExecArray> {
    for (;;) {
      for (const line of this.lines.slice(from)) {
        const match = expected.exec(line);
        if (match) return match;
      }
      if (this.#ended) {
        throw new Error(`No line matches ${expected}: ${this.lines}`);
      }
      await this.#news.promise;
    }
  }

  /** Waits until nobody listens any more: all that came before is accepted. */
  refusesConnections(): Promise<void> {
    return untilRefused(this.addr);
  }

  kill(signal: Deno.Signal): void {
    kill(this.#child, signal);
  }

  /** Tells it to stop, and again when it does, which cuts those who wait. */
  async cut(signal: Deno.Signal): Promise<Ending> {
    this.kill(signal);
    await this.refusesConnections();
    this.kill(signal);
    // Signals that come at once may count as one: `deno task` passes a Ctrl-C
    // on to the tool, which the terminal has sent it as well.
    const insist = setInterval(() => this.kill(signal), 1000);
    const ending = await this.ending();
    clearInterval(insist);
    return ending;
  }

  async ending(): Promise<Ending> {
    const { code, signal } = await this.#child.status;
    await this.#stderr;
    clearTimeout(this.#guard);
    return { code, signal, stdout: await this.#stdout, lines: this.lines };
  }

  /** Stops it as one does, and checks that it says what it should, no more. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Exchanged[]> {
    this.kill(signal);
    return checkEnding(await this.ending(), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.ending();
  }

  async #collect(): Promise<void> {
    for await (const line of lines(this.#child.stderr)) {
      this.lines.push(line);
      this.#tell();
    }
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** What the log says of one exchange. */
export interface Exchanged {
  port: number;
  bytesIn: number;
  bytesOut: number;
  outcome: string;
}

/** Checks that a run said that it listened and stopped, and that between these
 * there is a line for each exchange and no other. */
export function checkEnding(ending: Ending, code: number): Exchanged[] {
  const { lines, ...others } = ending;
  const log = lines.join("\n");
  assertEquals(others, { code, signal: null, stdout: "" }, log);
  assertMatch(lines.at(0) ?? "", listening);
  const exchanges = lines.slice(1, -1).map((line) => {
    const [matched, port, bytesIn, bytesOut, outcome = ""] =
      exchanged.exec(line) ?? [];
    assert(matched, `Not about an exchange: ${line}`);
    return {
      port: Number(port),
      bytesIn: Number(bytesIn),
      bytesOut: Number(bytesOut),
      outcome,
    };
  });
  const [, count] = stopped.exec(lines.at(-1) ?? "") ?? [];
  assertEquals(Number(count), exchanges.length, log);
  return exchanges;
}

/** Checks that a run that could not begin gave its reason in one line. */
export function checkRefusal(
  ending: Ending,
  code: number,
  reason: string,
): void {
  const { lines, ...others } = ending;
  const log = lines.join("\n");
  assertEquals(others, { code, signal: null, stdout: "" }, log);
  assertEquals(lines.length, 1, log);
  assertMatch(log, /^halfclose: \S/);
  assertStringIncludes(log, reason);
}

export function outcomes(exchanges: Exchanged[]): string[] {
  return exchanges.map(({ outcome }) => outcome);
}

/** A module with this source. */
export function moduleUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** Says hello to a server that does not say when it listens. */
export function firstAnswer(path: string): Promise<string> {
  return until(async () => {
    try {
      return await ask({ transport: "unix", path }, "hello");
    } catch (error) {
      const { NotFound, ConnectionRefused } = Deno.errors;
      const early = error instanceof NotFound ||
        error instanceof ConnectionRefused;
      if (!early) throw error;
      return undefined;
    }
  });
}
