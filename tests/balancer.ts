// Replicas of the tool behind a real balancer, which runs on the very files that
// `deploy/` offers.

import { Daemon } from "./daemons.ts";
import { root } from "./programs.ts";
import { ask, freePort, local, writeAll } from "./sockets.ts";
import { until } from "./support.ts";
import { Tool } from "./tool.ts";

const files = { haproxy: "haproxy.cfg", nginx: "nginx.conf" };

/** A program that balances. */
export type BalancerName = keyof typeof files;

/** Where a replica serves, and where it says how it is. */
export interface ReplicaPorts {
  readonly port: number;
  readonly health: number;
}

/** A replica that can be started anew, at the same place. */
export class Replica implements ReplicaPorts, AsyncDisposable {
  readonly port = freePort();
  readonly health = freePort();
  readonly #args: readonly string[];
  #tool: Tool;

  private constructor(args: readonly string[]) {
    this.#args = args;
    this.#tool = this.#run();
  }

  /** Starts one, and waits until it listens. It echoes unless told otherwise. */
  static async start(...args: string[]): Promise<Replica> {
    const replica = new Replica(args);
    await replica.#tool.line(/listening on/);
    return replica;
  }

  get tool(): Tool {
    return this.#tool;
  }

  /** Starts it anew, after its end. */
  async restart(): Promise<void> {
    this.#tool = this.#run();
    await this.#tool.line(/listening on/);
  }

  #run(): Tool {
    const place = ["--host", "127.0.0.1", "--port", `${this.port}`];
    const metrics = ["--metrics", `127.0.0.1:${this.health}`];
    return new Tool([...place, ...metrics, ...this.#args], {
      permissions: ["-N", "-R"],
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#tool[Symbol.asyncDispose]();
  }
}

/**
 * Starts a balancer on its file in `deploy/`. Only what cannot be the same in a
 * test is replaced: the ports and the number of replicas, the folders that it
 * writes to, and the account, which only root may choose.
 *
 * @param name Which one.
 * @param replicas Its replicas, which listen already.
 * @param edit What else to change in the file.
 */
export async function balance(
  name: BalancerName,
  replicas: readonly ReplicaPorts[],
  edit: (config: string) => string = (config) => config,
): Promise<Balancer> {
  const config = edit(await Deno.readTextFile(`${root}/deploy/${files[name]}`));
  let folder = "";
  const proxy = await Daemon.start(name, (place) => {
    folder = place.folder;
    return config
      .replace(Deno.uid() === 0 ? /$^/ : /^ *(user|group) .*\n/gm, "")
      .replaceAll(/\/run\/(haproxy\/)?|\/var\/log\/nginx\//g, `${folder}/`)
      .replace(/^( +(?:bind|listen) .*)8080/m, `$1${place.ports[0]}`)
      .replace(/^ +server .*:8082.*\n/m, "")
      .replace(/^ +server .*:8081.*\n/m, (line) => linesLike(line, replicas));
  });
  return new Balancer(proxy, folder);
}

/** The first replica's line, for each of these. */
function linesLike(line: string, replicas: readonly ReplicaPorts[]): string {
  return replicas.map(({ port, health }, i) =>
    line.replace("replica1", `replica${i + 1}`)
      .replace("8081", `${port}`).replace("9081", `${health}`)
  ).join("");
}

/** A balancer that runs. */
export class Balancer implements AsyncDisposable {
  readonly #proxy: Daemon;
  readonly #folder: string;

  constructor(proxy: Daemon, folder: string) {
    this.#proxy = proxy;
    this.#folder = folder;
  }

  /** Where clients come. */
  get port(): number {
    return this.#proxy.port;
  }

  /** What HAProxy says of itself: a row for each server, and some more. */
  async stats(): Promise<Map<string, Record<string, string>>> {
    const path = `${this.#folder}/admin.sock`;
    const table = await ask({ transport: "unix", path }, "show stat\n");
    const [heading = "", ...rows] = table.trim().split("\n");
    const names = heading.replace("# ", "").split(",");
    return new Map(rows.map((row) => {
      const fields = row.split(",");
      const [proxy, server] = fields;
      const stats = names.map((name, i) => [name, fields[i] ?? ""]);
      return [`${proxy}/${server}`, Object.fromEntries(stats)];
    }));
  }

  /** Has nginx read its file anew, and waits until no worker runs on the old one. */
  async reload(edit: (config: string) => string): Promise<void> {
    const path = `${this.#folder}/config`;
    await Deno.writeTextFile(path, edit(await Deno.readTextFile(path)));
    const before = this.#workers();
    this.#proxy.kill("SIGHUP");
    await until(() => this.#workers().isDisjointFrom(before));
  }

  #workers(): Set<string> {
    const { pid } = this.#proxy;
    const children = `/proc/${pid}/task/${pid}/children`;
    return new Set(Deno.readTextFileSync(children).trim().split(" "));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#proxy[Symbol.asyncDispose]();
  }
}

/** Clients that ask again and again, each time what has not been asked before. */
export class Load {
  /** How many have been answered rightly. */
  answered = 0;
  /** What the others have asked, and were answered instead. */
  readonly lost: { asked: number; answer: string }[] = [];
  readonly #clients: Promise<unknown>;
  #asked = 0;
  #isOver = false;

  constructor(port: number, clients = 8) {
    this.#clients = Promise.all(
      Array.from({ length: clients }, () => this.#ask(port)),
    );
  }

  /** How many requests have been begun. */
  get asked(): number {
    return this.#asked;
  }

  /** Waits until so many have been answered. */
  async until(count: number): Promise<void> {
    await until(() => this.answered >= count);
  }

  /** Lets everybody have the last answer. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#clients;
  }

  async #ask(port: number): Promise<void> {
    while (!this.#isOver) {
      const asked = ++this.#asked;
      const answer = await ask({ port }, `request ${asked}`).catch(String);
      if (answer === `request ${asked}`) this.answered++;
      else this.lost.push({ asked, answer });
    }
  }
}

/**
 * In the place of a replica: takes everybody at once, and answers nobody until
 * it is told to. Then it echoes.
 */
export class OpenHouse implements ReplicaPorts, AsyncDisposable {
  /** How many it has, */
  present = 0;
  /** and how many it had at once, at most. */
  most = 0;
  readonly #listener = Deno.listen(local);
  readonly #health = Deno.serve(
    { ...local, onListen() {} },
    () => new Response("ok"),
  );
  readonly #opened = Promise.withResolvers<void>();
  readonly #accepting = this.#accept();

  get port(): number {
    return this.#listener.addr.port;
  }

  get health(): number {
    return this.#health.addr.port;
  }

  /** Answers the connections that are there, and those that come. */
  answer(): void {
    this.#opened.resolve();
  }

  async #accept(): Promise<void> {
    const served: Promise<void>[] = [];
    for await (const conn of this.#listener) served.push(this.#serve(conn));
    await Promise.all(served);
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    this.most = Math.max(this.most, ++this.present);
    const request = new Uint8Array(64);
    let size = 0;
    for (let read; (read = await conn.read(request.subarray(size)));) {
      size += read;
    }
    await this.#opened.promise;
    // The balancer may have given up.
    await writeAll(conn, request.subarray(0, size)).catch(() => {});
    this.present--;
    conn.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.answer();
    this.#listener.close();
    await this.#accepting;
    await this.#health.shutdown();
  }
}
