// HAProxy and nginx, the real ones, between the clients and servers of tests.

import { said } from "./clients.ts";
import { kill, lines, spawn } from "./programs.ts";
import { freePorts, pause } from "./sockets.ts";
import { type Folder, temporaryFolder, testIf } from "./support.ts";

const builtNginx = said("nginx", "-V");

/** nginx's module for TCP: it must be loaded by its full path. */
export const nginxStream = `${
  /--modules-path=(\S+)/.exec(builtNginx)?.[1]
}/ngx_stream_module.so`;

/** How each is run in the foreground, with all that it writes in a folder. */
const programs = {
  haproxy: {
    isInstalled: said("haproxy", "-v").startsWith("HAProxy"),
    args: (
      folder: string,
      config: string,
    ) => ["-db", "-C", folder, "-f", config],
  },
  nginx: {
    isInstalled: builtNginx.startsWith("nginx") && isFile(nginxStream),
    args: (folder: string, config: string) => {
      const foreground = "daemon off;";
      const files = ["-p", folder, "-c", config, "-e", "stderr"];
      return [...files, "-g", foreground];
    },
  },
};

/** A program that passes connections on. */
export type ProxyName = keyof typeof programs;

/** Where a proxy works: its configuration is made from this. */
export interface ProxyPlace {
  /** A folder of its own, for all that it writes. */
  readonly folder: string;
  /** Free ports on 127.0.0.1, for it to listen on. */
  readonly ports: readonly number[];
}

/** Makes the text of a configuration. */
export type ProxyConfig = (place: ProxyPlace) => string;

/** Defines a test that is ignored, for all to see, where the proxy lacks. */
export function testWithProxy(
  name: ProxyName,
  title: string,
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  const { isInstalled } = programs[name];
  testIf(isInstalled && Deno.build.os === "linux", name, title, fn);
}

/** A proxy as a child process, which does not outlive the test. */
export class Proxy implements AsyncDisposable {
  /** Where it listens. */
  readonly ports: readonly number[];
  /** What it has written to standard error so far. */
  readonly lines: string[] = [];
  readonly #folder: Folder;
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<unknown>;
  #hasEnded = false;

  private constructor(folder: Folder, name: ProxyName, place: ProxyPlace) {
    this.#folder = folder;
    this.ports = place.ports;
    const args = programs[name].args(place.folder, `${place.folder}/config`);
    const child = spawn(name, args, { cwd: place.folder });
    this.#child = child;
    this.#output = Promise.all([
      child.stdout.pipeTo(new WritableStream()),
      this.#collect(),
      child.status.then(() => this.#hasEnded = true),
    ]);
  }

  /**
   * Starts one, and waits until it listens on all its ports. No connection is
   * made for that, as it would reach the server behind the proxy.
   *
   * @param name Which program to start.
   * @param config Makes its configuration, which must listen on all the ports.
   * @param count How many ports it needs.
   */
  static async start(
    name: ProxyName,
    config: ProxyConfig,
    count = 1,
  ): Promise<Proxy> {
    const folder = await temporaryFolder();
    const place = { folder: folder.path, ports: freePorts(count) };
    await Deno.writeTextFile(`${folder.path}/config`, config(place));
    const proxy = new Proxy(folder, name, place);
    while (!await proxy.#listens()) {
      if (proxy.#hasEnded) {
        await proxy[Symbol.asyncDispose]();
        throw new Error(`${name} has ended: ${proxy.lines.join("\n")}`);
      }
      await pause(10);
    }
    return proxy;
  }

  /** Its first port. */
  get port(): number {
    return this.ports[0] ?? 0;
  }

  get pid(): number {
    return this.#child.pid;
  }

  kill(signal: Deno.Signal): void {
    kill(this.#child, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The master of nginx ends its workers before itself.
    this.kill("SIGTERM");
    const guard = setTimeout(() => this.kill("SIGKILL"), 30_000);
    await this.#output;
    clearTimeout(guard);
    await this.#folder[Symbol.asyncDispose]();
  }

  async #collect(): Promise<void> {
    for await (const line of lines(this.#child.stderr)) this.lines.push(line);
  }

  /** Whether somebody listens on each of its ports, as the kernel tells. */
  async #listens(): Promise<boolean> {
    const table = await Deno.readTextFile("/proc/net/tcp");
    const rows = table.matchAll(/: [0-9A-F]{8}:([0-9A-F]{4}) \S+ 0A /g);
    const listening = Array.from(rows, ([, port = ""]) => parseInt(port, 16));
    return this.ports.every((port) => listening.includes(port));
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
