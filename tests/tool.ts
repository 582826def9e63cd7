// The command-line tool as a process of its own, and what it says.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { Buffer } from "node:buffer";
import { connect, importMap, local } from "./support.ts";

/** What is logged: one of these for each line. */
const listening =
  /^[-\d]+T[:.\d]+Z INFO listening on (?:127\.0\.0\.1:(\d+)|(\/\S+))$/;
const listeningAsJson = /"msg":"listening on (?:127\.0\.0\.1:(\d+)|(\/[^"]+))"/;
const exchanged =
  /^[-\d]+T[:.\d]+Z (?:INFO|WARN) (?:127\.0\.0\.1:(\d+)|a client) (\d+) bytes in, (\d+) bytes out, [.\d]+ ms, ([-a-z]+)(?: while [a-z]+: .+)?$/;
const stopped = /^[-\d]+T[:.\d]+Z INFO stopped after (\d+) exchanges?$/;

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
    this.#child = new Deno.Command(program, {
      args: rest,
      cwd: options.cwd ?? `${import.meta.dirname}/..`,
      env: options.env ?? {},
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdout = new Response(this.#child.stdout).text();
    this.#stderr = this.#collect();
    // Who waits in vain shall fail, not hang.
    this.#guard = setTimeout(() => this.kill("SIGKILL"), 120_000);
  }

  /** The command line that runs it. */
  static command(
    args: string[],
    { entry = "cli.ts", command, permissions = ["-N"] }: ToolOptions = {},
  ): string[] {
    if (command !== undefined) return [command, ...args];
    const flags = [...permissions, ...importMap()];
    return [Deno.execPath(), "run", ...flags, entry, ...args];
  }

  /** Starts it, on a free port unless told otherwise, and waits until it listens. */
  static async listening(
    args: string[] = [],
    options?: ToolOptions,
  ): Promise<Tool> {
    const anywhere = args.includes("--unix")
      ? []
      : ["--host", "127.0.0.1", "--port", "0"];
    const tool = new Tool([...anywhere, ...args], options);
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

  /** Waits for a line that matches. */
  async line(expected: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      for (const line of this.lines) {
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
  async refusesConnections(): Promise<void> {
    for (;;) {
      try {
        (await connect(this.addr)).close();
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused) return;
      }
      // Too many of these would fill the backlog, and then wait themselves.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
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
    let rest = "";
    const text = this.#child.stderr.pipeThrough(new TextDecoderStream());
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
      this.#tell();
    }
    if (rest !== "") this.lines.push(rest);
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

/** Runs the tool to its end. */
export async function run(
  args: string[],
  options?: ToolOptions,
): Promise<Ending> {
  await using tool = new Tool(args, options);
  return await tool.ending();
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

/** Checks for equality without a report, which is of no use for so many bytes. */
export function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert(
    Buffer.compare(actual, expected) === 0,
    `${expected.length} bytes were expected, ${actual.length} others came`,
  );
}

export function outcomes(exchanges: Exchanged[]): string[] {
  return exchanges.map(({ outcome }) => outcome);
}

/** Defines a test that sends signals. On Windows Deno just ends the process. */
export function testWithSignals(
  name: string,
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  const ignore = Deno.build.os === "windows";
  Deno.test({ name: ignore ? `${name} (needs signals)` : name, ignore, fn });
}
