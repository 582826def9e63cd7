// Programs of others that serve or pass on, as child processes of the tests.

import { said } from "./clients.ts";
import { kill, lines, spawn } from "./programs.ts";
import { freePorts, pause } from "./sockets.ts";
import { type Folder, temporaryFolder, testIf } from "./support.ts";

const builtNginx = said("nginx", "-V");

/** nginx's module for TCP: it must be loaded by its full path. */
export const nginxStream = `${
  /--modules-path=(\S+)/.exec(builtNginx)?.[1]
}/ngx_stream_module.so`;

/** How a program is run in the foreground, with all that it writes in a folder. */
interface Run {
  isInstalled: boolean;
  /** Its path, if that is not its name. */
  program?: string;
  args: (folder: string, config: string) => string[];
}

/** The arguments of a program that has no file for its configuration: its lines. */
function argsIn(_folder: string, config: string): string[] {
  return Deno.readTextFileSync(config).trim().split("\n");
}

const programs = {
  haproxy: {
    isInstalled: said("haproxy", "-v").startsWith("HAProxy"),
    args: (folder, config) => ["-db", "-C", folder, "-f", config],
  },
  nginx: {
    isInstalled: builtNginx.startsWith("nginx") && isFile(nginxStream),
    args: (folder, config) => {
      const foreground = "daemon off;";
      const files = ["-p", folder, "-c", config, "-e", "stderr"];
      return [...files, "-g", foreground];
    },
  },
  stunnel: {
    isInstalled: isFile("/usr/bin/stunnel4"),
    program: "/usr/bin/stunnel4",
    args: (_, config) => [config],
  },
  socat: { isInstalled: said("socat", "-V").includes("socat"), args: argsIn },
  sshd: {
    isInstalled: isFile("/usr/sbin/sshd") && Deno.uid() === 0,
    // It starts itself anew, by this name.
    program: "/usr/sbin/sshd",
    args: (_, config) => ["-D", "-e", "-f", config],
  },
  ssh: {
    isInstalled: said("ssh", "-V").includes("OpenSSH"),
    args: (_, config) => ["-F", config, "-N", "there"],
  },
  xinetd: {
    isInstalled: isFile("/usr/sbin/xinetd"),
    program: "/usr/sbin/xinetd",
    args: (folder, config) => {
      return ["-dontfork", "-f", config, "-pidfile", `${folder}/pid`];
    },
  },
  "systemd-socket-activate": {
    isInstalled: isFile("/usr/lib/systemd/systemd-socket-proxyd") &&
      said("systemd-socket-activate", "--version").includes("systemd"),
    args: argsIn,
  },
  cupsd: {
    isInstalled: isFile("/usr/sbin/cupsd") && Deno.uid() === 0,
    program: "/usr/sbin/cupsd",
    args: (folder, config) => ["-f", "-c", config, "-s", `${folder}/files`],
  },
  rsyslogd: {
    isInstalled: isFile("/usr/sbin/rsyslogd"),
    program: "/usr/sbin/rsyslogd",
    args: (folder, config) => ["-n", "-i", `${folder}/pid`, "-f", config],
  },
} satisfies Record<string, Run>;

/** Such a program. */
export type DaemonName = keyof typeof programs;

/** Where it works: its configuration is made from this. */
export interface DaemonPlace {
  /** A folder of its own, for all that it writes. */
  readonly folder: string;
  /** Free ports on 127.0.0.1, for it to listen on. */
  readonly ports: readonly number[];
}

/** Makes the text of a configuration. */
export type DaemonConfig = (place: DaemonPlace) => string;

/** HAProxy that passes TCP on. */
export function haproxyBetween(
  bind: string,
  server: string,
  more = "",
): string {
  return `
defaults
  mode tcp
  timeout connect 60s
  timeout client 60s
  timeout server 60s
listen front
  bind ${bind}
  ${more}
  server back ${server}
`;
}

/** Defines a test that is ignored, for all to see, where the program lacks. */
export function testWithDaemon(
  name: DaemonName,
  title: string,
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  const { isInstalled } = programs[name];
  testIf(isInstalled && Deno.build.os === "linux", name, title, fn);
}

/** One as a child process, which does not outlive the test. */
export class Daemon implements AsyncDisposable {
  /** Where it listens. */
  readonly ports: readonly number[];
  /** What it has written to standard error so far. */
  readonly lines: string[] = [];
  readonly #folder: Folder;
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<unknown>;
  #hasEnded = false;

  private constructor(folder: Folder, name: DaemonName, place: DaemonPlace) {
    this.#folder = folder;
    this.ports = place.ports;
    const run: Run = programs[name];
    const args = run.args(place.folder, `${place.folder}/config`);
    const child = spawn(run.program ?? name, args, { cwd: place.folder });
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
    name: DaemonName,
    config: DaemonConfig,
    count = 1,
  ): Promise<Daemon> {
    const folder = await temporaryFolder();
    const place = { folder: folder.path, ports: freePorts(count) };
    await Deno.writeTextFile(`${folder.path}/config`, config(place));
    const daemon = new Daemon(folder, name, place);
    while (!await daemon.#listens()) {
      if (daemon.#hasEnded) {
        await daemon[Symbol.asyncDispose]();
        throw new Error(`${name} has ended: ${daemon.lines.join("\n")}`);
      }
      await pause(10);
    }
    return daemon;
  }

  /** Where it keeps what it writes. */
  get folder(): string {
    return this.#folder.path;
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
