// Terminals in which is typed what a lesson says, and which must show the same.

import { assert, assertEquals } from "@std/assert";
import { encode } from "./bytes.ts";
import { lines, runProgram } from "./programs.ts";
import { until } from "./support.ts";

/** The port in lessons, in place of which a test takes a free one. */
export const portOfLesson = 8080;

/** All terminals of a reader. */
export class Desk implements AsyncDisposable {
  readonly #cwd: string;
  readonly #env: Record<string, string>;
  readonly #terminals = new Map<string, Terminal>();

  constructor(cwd: string, env: Record<string, string>) {
    this.#cwd = cwd;
    this.#env = env;
  }

  /** Types commands. What runs in the server's terminal is stopped before. */
  async type(name: string, commands: string): Promise<void> {
    if (name === "server") await this.#terminals.get(name)?.end("SIGINT");
    let terminal = this.#terminals.get(name);
    if (!terminal || terminal.ended) {
      terminal = new Terminal(name, this.#cwd, this.#env);
      this.#terminals.set(name, terminal);
    }
    await terminal.type(commands);
  }

  /** Waits until a server listens. */
  async listens(port: number): Promise<void> {
    const command = `ss -Hltn 'sport = ${port}'`;
    const server = this.#terminals.get("server");
    await until(async () => server?.ended || await this.#printed(command));
    server?.checkItRuns();
  }

  /** Waits until a terminal shows this, and nothing else. */
  async see(name: string, shown: string[], port: number): Promise<void> {
    const terminal = this.#terminals.get(name);
    assert(terminal, `there is no terminal "${name}"`);
    await terminal.see(shown, port);
  }

  /**
   * Asks for sockets until they are as shown: in any order, and whatever else
   * earlier clients have left in TIME-WAIT.
   */
  async ask(commands: string, shown: string[], port: number): Promise<void> {
    const expected = comparable(shown).toSorted();
    let found: string[] = [];
    const patience = AbortSignal.timeout(60_000);
    await until(async () => {
      const text = await this.#printed(commands);
      found = comparable(text.split("\n"), port).toSorted();
      const left = found.filter(isLeft).length;
      const surplus = Math.max(0, left - expected.filter(isLeft).length);
      found.splice(found.findIndex(isLeft), surplus);
      return patience.aborted || `${found}` === `${expected}`;
    });
    assertEquals(found, expected, commands);
  }

  async #printed(commands: string): Promise<string> {
    const options = { env: this.#env };
    const { stdout } = await runProgram("sh", ["-c", commands], options);
    return stdout.trimEnd();
  }

  /** Ends all that runs, and checks that everything it showed was told of. */
  async leave(): Promise<void> {
    for (const terminal of this.#terminals.values()) {
      await terminal.end("SIGKILL");
      terminal.checkNothingIsLeft();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const terminal of this.#terminals.values()) {
      await terminal.end("SIGKILL");
    }
  }
}

/** A shell in which a reader types. */
class Terminal {
  readonly #name: string;
  readonly #shell: Deno.ChildProcess;
  readonly #keyboard: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: Promise<void>;
  readonly #guard: ReturnType<typeof setTimeout>;
  /** What it has shown that is not told of yet. */
  #lines: string[] = [];
  /** Whether what comes next is left out, until something is told of again. */
  #leavesOut = false;
  #news = Promise.withResolvers<void>();
  #ended = false;

  constructor(name: string, cwd: string, env: Record<string, string>) {
    this.#name = name;
    this.#shell = new Deno.Command("bash", {
      args: ["-s"],
      cwd,
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      // It leads a group of processes, which can be ended together.
      detached: true,
    }).spawn();
    this.#keyboard = this.#shell.stdin.getWriter();
    this.#keyboard.write(encode("exec 2>&1\n"));
    this.#output = this.#collect();
    // Who waits in vain shall fail, not hang.
    this.#guard = setTimeout(() => this.#kill("SIGKILL"), 120_000);
  }

  get ended(): boolean {
    return this.#ended;
  }

  async type(commands: string): Promise<void> {
    await this.#keyboard.write(encode(`${commands}\n`));
  }

  /** Waits until it shows this next. */
  async see(shown: string[], port: number): Promise<void> {
    const expected = comparable(shown);
    if (this.#leavesOut) expected.unshift("...");
    for (;;) {
      const length = lengthOfMatch(comparable(this.#lines, port), expected);
      if (length !== undefined) {
        this.#lines.splice(0, length);
        this.#leavesOut = expected.at(-1) === "...";
        return;
      }
      if (this.#ended) {
        assertEquals(comparable(this.#lines, port), expected, this.#name);
      }
      await this.#news.promise;
    }
  }

  checkItRuns(): void {
    assert(!this.#ended, `${this.#name} has ended: ${this.#lines.join("\n")}`);
  }

  checkNothingIsLeft(): void {
    if (!this.#leavesOut) assertEquals(this.#lines, [], this.#name);
  }

  async end(signal: Deno.Signal): Promise<void> {
    if (!this.#ended) this.#kill(signal);
    await this.#output;
    clearTimeout(this.#guard);
    await this.#keyboard.close().catch(() => {});
    await this.#shell.status;
  }

  #kill(signal: Deno.Signal): void {
    try {
      Deno.kill(-this.#shell.pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async #collect(): Promise<void> {
    for await (const line of lines(this.#shell.stdout)) {
      this.#lines.push(line);
      this.#announce();
    }
    this.#ended = true;
    this.#announce();
  }

  #announce(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** Whether a line shows a socket that lives for another minute, if it is closed. */
function isLeft(line: string): boolean {
  return line.startsWith("TIME-WAIT ");
}

/** How many of these lines are as expected, if there are enough. */
function lengthOfMatch(
  found: readonly string[],
  expected: readonly string[],
): number | undefined {
  const [line, ...rest] = expected;
  if (line === undefined) return 0;
  if (line !== "...") {
    if (found[0] !== line) return undefined;
    const length = lengthOfMatch(found.slice(1), rest);
    return length === undefined ? undefined : length + 1;
  }
  for (let skipped = 0; skipped <= found.length; skipped++) {
    const length = lengthOfMatch(found.slice(skipped), rest);
    if (length !== undefined) return skipped + length;
  }
  return undefined;
}

/**
 * Lines without what differs from run to run: the ports of clients, sizes of
 * queues, inodes, process ids, times, and how wide a column is. Descriptors are
 * told apart, but may be others.
 */
export function comparable(
  shown: readonly string[],
  port = portOfLesson,
): string[] {
  const descriptors = new Map<string, string>();
  const renamed = (descriptor: string) => {
    const name = descriptors.get(descriptor) ?? `fd${descriptors.size + 1}`;
    descriptors.set(descriptor, name);
    return name;
  };
  return shown.map((line) =>
    line.replaceAll(RegExp(`\\b${port}\\b`, "g"), `${portOfLesson}`)
      .replaceAll(/(?<=^\w+\(|= )\d+(?=<TCP)/g, renamed)
      .replaceAll(/(?<=127\.0\.0\.1:|htons\(|TCP:\[)\d{5,}/g, "N")
      .replaceAll(/(?<=^\S+ +\d* +)\d{5,}|(?<=^\S+ +)\d{5,}/g, "N")
      .replaceAll(/(?<=pid=|fd=)\d+/g, "N")
      .replaceAll(/\d{5,}(?= bytes in)/g, "N")
      .replaceAll(/^[-\d]+T[:.\d]+Z|[\d.]+(?= ms, )/g, "TIME")
      .replaceAll(/(?<=Address:Port)(?=Process)/g, " ")
      .replaceAll(/ +/g, " ").trim()
  );
}
