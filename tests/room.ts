// Where the commands of the documentation are typed.

import {
  decoded,
  inOwnNetwork,
  type Output,
  printed,
  root,
  spawn,
} from "./programs.ts";
import { putDenoInto } from "./published.ts";
import { type Folder, temporaryFolder, testIf } from "./support.ts";
import { authorityFile, certFile, keyFile } from "./tls.ts";
import { Tool } from "./tool.ts";

// The pages name fixed ports. In a network of its own each of them is free. And
// localhost has two addresses there, as it has for most readers.
const network = [...inOwnNetwork(), "unshare", "--mount"];
const hosts = "127.0.0.1 localhost\n::1 localhost\n";
const isEquipped = await allThere(
  [...network, "nsenter", "--version"],
  ["nc", "-h"],
  ["cc", "--version"],
);

async function allThere(...programs: string[][]): Promise<boolean> {
  return (await Promise.all(programs.map(printed)))
    .every((output) => output !== undefined);
}

/** Whether a program is there. */
export async function isInstalled(program: string): Promise<boolean> {
  return await printed(["sh", "-c", `command -v ${program}`]) !== undefined;
}

/** Where a reader types: a folder, and a network of its own. */
export class Room implements AsyncDisposable {
  readonly #network: Deno.ChildProcess;
  readonly #folder: Folder;
  readonly #env: Record<string, string>;

  private constructor(
    network: Deno.ChildProcess,
    folder: Folder,
    path: string,
  ) {
    this.#network = network;
    this.#folder = folder;
    const installed = `${folder.path}/installed`;
    this.#env = {
      PATH: `${installed}/bin:${path}`,
      NO_COLOR: "1",
      DENO_INSTALL_ROOT: installed,
    };
  }

  static async open(): Promise<Room> {
    const folder = await temporaryFolder();
    const { path } = folder;
    await Deno.mkdir(`${path}/inbox`);
    await Deno.writeTextFile(`${path}/upper.ts`, upper());
    await Deno.writeTextFile(`${path}/report.pdf`, "a report");
    await Deno.copyFile(authorityFile, `${path}/ca.pem`);
    await Deno.copyFile(certFile, `${path}/cert.pem`);
    await Deno.copyFile(keyFile, `${path}/key.pem`);
    const found = await putDenoInto(`${path}/bin`);
    await Deno.writeTextFile(
      `${path}/bin/halfclose`,
      `#!/bin/sh\nexec deno run -A '${root}/cli.ts' "$@"\n`,
      { mode: 0o755 },
    );
    await Deno.writeTextFile(`${path}/hosts`, hosts);
    const enter = `mount --bind '${path}/hosts' /etc/hosts; echo; exec cat`;
    const [program = "", ...args] = [...network, "sh", "-c", enter];
    const child = spawn(program, args, { stdin: "piped" });
    const ready = child.stdout.getReader();
    await ready.read();
    ready.releaseLock();
    return new Room(child, folder, found);
  }

  /** The command that has a shell run another one. */
  #words(command: string): string[] {
    const there = command.replaceAll(
      /\/(?:run|tmp)\//g,
      `${this.#folder.path}/`,
    );
    const of = `/proc/${this.#network.pid}/ns`;
    const isOfCheckout = /\bdeno task\b|^cc\b|\bbench\/|\.\/cli\.ts\b/
      .test(command);
    const cwd = isOfCheckout ? root : this.#folder.path;
    const enter = [`--net=${of}/net`, `--mount=${of}/mnt`, `--wd=${cwd}`];
    return [...enter, "bash", "-c", there];
  }

  /** Types the command of a server. */
  async serve(command: string): Promise<Tool> {
    const tool = new Tool(this.#words(`exec ${command}`), {
      command: "nsenter",
      env: this.#env,
    });
    await tool.line(/ INFO listening on /);
    return tool;
  }

  /** Types a command, and waits for its end. */
  async run(command: string): Promise<Output> {
    const env = this.#env;
    const child = spawn("nsenter", this.#words(command), { env });
    return decoded(await child.output());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#network.stdin.close();
    await this.#network.output();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** The module of docs/cli.md. */
function upper(): string {
  const page = Deno.readTextFileSync(`${root}/docs/cli.md`);
  const [, text = ""] = /^```ts ignore\n([^]*?toUpperCase[^]*?)^```$/m
    .exec(page) ?? [];
  return text;
}

/** Defines a test that types commands, and may lack a program that is not there. */
export function testInRoom(
  name: string,
  fn: (room: Room) => Promise<void>,
  lacking?: string,
): void {
  testIf(
    isEquipped && !lacking,
    lacking ?? "root, unshare, nsenter, ip, nc and cc",
    `commands: ${name}`,
    async () => {
      await using room = await Room.open();
      await fn(room);
    },
  );
}
