// A line of docs/comparison.md as it runs: in a folder with the files that it needs.

import { assert } from "@std/assert";
import { importMap, kill, root, spawn } from "../programs.ts";
import { connect, exchange, freePort, type Place } from "../sockets.ts";
import { until } from "../support.ts";
import { certFile, keyFile } from "../tls.ts";

const halfclose = [
  Deno.execPath(),
  "run",
  "-A",
  ...importMap(),
  `${root}/cli.ts`,
].join(" ");

/** The programs beside this file that lines name. */
const programs = [
  "alone.sh",
  "by_hand.mjs",
  "by_hand.py",
  "by_hand.ts",
  "keep.sh",
  "slow.sh",
];

/** A line of a shell that serves. Port 8080 is a free one. */
export class RunningLine implements AsyncDisposable {
  readonly dir: string;
  readonly place: Place;
  readonly #child: Deno.ChildProcess;
  readonly #isLoop: boolean;
  #hasEnded = false;

  /**
   * @param line What is typed.
   * @param dir Where, an empty folder.
   * @param files Further files that lie there, by name.
   */
  constructor(line: string, dir: string, files: Record<string, string> = {}) {
    this.dir = dir;
    const port = freePort();
    const there = (text: string) => text.replaceAll(/\b8080\b/g, `${port}`);
    for (const name of programs) {
      Deno.copyFileSync(`${import.meta.dirname}/${name}`, `${dir}/${name}`);
    }
    for (const [name, content] of Object.entries(files)) {
      Deno.writeTextFileSync(`${dir}/${name}`, there(content), { mode: 0o755 });
    }
    Deno.copyFileSync(certFile, `${dir}/cert.pem`);
    Deno.copyFileSync(keyFile, `${dir}/key.pem`);
    Deno.mkdirSync(`${dir}/inbox`);
    this.place = line.includes("control.sock")
      ? { transport: "unix", path: `${dir}/control.sock` }
      : { transport: "tcp", hostname: "127.0.0.1", port };
    const typed = there(line)
      .replace(/^halfclose(?!.* --(?:port|unix) )/, `halfclose --port ${port}`)
      .replace(/^halfclose/, halfclose)
      .replace(/^deno/, Deno.execPath());
    this.#isLoop = typed.startsWith("while ");
    const script = `umask 022; ${this.#isLoop ? "" : "exec "}${typed}`;
    this.#child = spawn("bash", ["-c", script], {
      cwd: dir,
      stdout: "null",
      stderr: "null",
    });
    this.#child.status.then(() => this.#hasEnded = true);
  }

  /** Waits until it accepts connections. */
  async listens(): Promise<void> {
    await until(async () => {
      try {
        (await connect(this.place)).close();
        return true;
      } catch {
        assert(!this.#hasEnded, "it has ended");
        return false;
      }
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  stop(): void {
    kill(this.#child, "SIGTERM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child);
    await this.#child.status;
    // The last program of a loop serves once more.
    if (this.#isLoop) await exchange(this.place, "").catch(() => {});
  }
}
