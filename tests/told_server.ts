// A server as a process of its own that echoes, says what happens to it, and
// does what it is told: see `testdata/told_server.ts`.

import { encode } from "./bytes.ts";
import { kill, lines, spawn } from "./programs.ts";
import { local, type Place } from "./sockets.ts";

/** Where it listens. */
export type Where = "tcp" | "tls" | "unix" | "given" | "inherited";

export interface ToldOptions {
  where?: Where;
  readAhead?: number;
  /** The path of the Unix socket. */
  path?: string;
  /** The descriptor of the inherited socket. */
  fd?: number;
  /** The words before the program. */
  wrapper?: readonly string[];
}

/** The words before a program that gives it few descriptors. */
export function withDescriptors(count: number): string[] {
  return ["sh", "-c", `ulimit -n ${count}; exec "$@"`, "sh"];
}

/** The words before a program whose system calls fail. */
export function injecting(fault: string): string[] {
  const [call = ""] = fault.split(":");
  return [
    ..."strace -f --seccomp-bpf -qq -o /dev/null -e".split(" "),
    ...[`trace=${call}`, "-e", `inject=${fault}`],
  ];
}

export class ToldServer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: AsyncGenerator<string, void, undefined>;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  /** What it has said so far. */
  readonly said: string[] = [];
  /** Who waits in vain shall fail, not hang. */
  readonly #guard = setTimeout(() => kill(this.#child), 30_000);
  #place: Place = { port: 0 };

  private constructor(options: ToldOptions) {
    const { wrapper = [], where = "tcp", readAhead = 0 } = options;
    const { path = "", fd = 0 } = options;
    const file = import.meta.resolve("./testdata/told_server.ts");
    const [program = "", ...args] = [
      ...[...wrapper, Deno.execPath(), "run", "--no-config", "-N", "-R", "-W"],
      ...[file, where, `${readAhead}`, path, `${fd}`],
    ];
    this.#child = spawn(program, args, {
      stdin: "piped",
      stderr: "inherit",
      // Deno looks for a newer one after half a second, and panics without
      // descriptors.
      env: { DENO_NO_UPDATE_CHECK: "1" },
    });
    this.#output = lines(this.#child.stdout);
    this.#orders = this.#child.stdin.getWriter();
  }

  static async start(options: ToldOptions = {}): Promise<ToldServer> {
    const server = new ToldServer(options);
    try {
      const [, port] = await server.says(/^port (\d+)$/);
      server.#place = options.where === "unix"
        ? { transport: "unix", path: options.path ?? "" }
        : { ...local, port: Number(port) };
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  get place(): Place {
    return this.#place;
  }

  /** Waits for what it says from now on. */
  async says(expected: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const { value } = await this.#output.next();
      if (value === undefined) throw new Error(`It did not say ${expected}`);
      this.said.push(value);
      const match = expected.exec(value);
      if (match) return match;
    }
  }

  /** Tells it what to do, and waits until it has begun. */
  async order(order: string): Promise<void> {
    await this.#orders.write(encode(`${order}\n`));
    await this.says(/^begun /);
  }

  /** Waits until it has ended by itself, with nothing left to do. */
  async ended(): Promise<number> {
    await this.#orders.close();
    for await (const line of this.#output) this.said.push(line);
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#guard);
    kill(this.#child);
    await this.#orders.close().catch(() => {});
    await this.#child.status;
    await this.#output.return();
  }
}
