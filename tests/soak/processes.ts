// Processes that tell each other things, a line each.

import { kill, lines } from "../programs.ts";

/** A process of ours. It ends when we do, as its input ends with us. */
export class Child<Message> {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string, void, undefined>;

  constructor(file: string, args: string[], flags: string[] = []) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "-A", ...flags, file, ...args],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#lines = lines(this.#process.stdout);
  }

  get pid(): number {
    return this.#process.pid;
  }

  async tell(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** What it says next, or `undefined` when it has ended. */
  async hear(): Promise<Message | undefined> {
    const { value } = await this.#lines.next();
    return value === undefined ? undefined : JSON.parse(value);
  }

  /** Ends it, if it has not ended by itself. */
  async end(): Promise<void> {
    kill(this.#process);
    await this.#process.status;
  }
}

/** Says something to the process that started this one. */
export function say(message: unknown): void {
  console.log(JSON.stringify(message));
}

/** What the process that started this one says, until it ends. */
export function heard(): AsyncGenerator<string, void, undefined> {
  return lines(Deno.stdin.readable);
}
