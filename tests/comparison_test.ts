// What docs/comparison.md says of other tools, tried with each of them.

import { assert, assertEquals } from "@std/assert";
import { areSame, pattern } from "./bytes.ts";
import { said } from "./clients.ts";
import { importMap, kill, root, spawn } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import {
  begin,
  connect,
  exchange,
  exchangeOn,
  freePort,
  type Place,
  readText,
  send,
  writeAll,
} from "./sockets.ts";
import { namesIn, temporaryFolder, testIf, until } from "./support.ts";
import { certFile, connectTls, keyFile } from "./tls.ts";

const page = Deno.readTextFileSync(`${root}/docs/comparison.md`);

/** A row of a table: a tool, its command line, and whether it does the task. */
interface Row {
  task: string;
  tool: string;
  command: string;
  does: boolean;
}

const rows: Row[] = page.split(/^## /m).slice(1).flatMap((section) => {
  const [task = ""] = section.split("\n");
  const table = section.matchAll(/^\| (\w+) +\| `(.+?)` +\| (yes|no)\b/gm);
  return Array.from(table, ([, tool = "", command = "", does]) => {
    return { task, tool, command, does: does === "yes" };
  });
});

/** The files that the page shows, by name. */
const files = Array.from(
  page.matchAll(/^```\w+ (?:ignore )?(\S+\.\w+)\n([^]*?)^```$/gm),
  ([, name = "", content = ""]) => ({ name, content }),
);

/** The versions of the tools that there are, in the order of the page. */
const versions: Record<string, string | undefined> = {
  ncat: /Ncat: Version (\S+)/.exec(said("ncat", "--version"))?.[1],
  socat: /socat version (\S+)/.exec(said("socat", "-V"))?.[1],
  tcpserver: versionOfTcpserver(),
  systemd: /systemd (\d+)/.exec(said("systemd-socket-activate", "--version"))
    ?.[1],
  Deno: Deno.version.deno,
  Node: /^v(\S+)/.exec(said("node", "--version"))?.[1],
};

/** It does not tell its version: its package may do so. */
function versionOfTcpserver(): string | undefined {
  if (!said("tcpserver").includes("tcpserver: usage")) return undefined;
  const told = said("dpkg-query", "--show", "ucspi-tcp");
  return /\s(?:\d+:)?(\d[\d.]*)/.exec(told)?.[1] ?? "of an unknown version";
}

function isInstalled(tool: string): boolean {
  return tool === "halfclose" || versions[tool] !== undefined;
}

/** A tool that runs in a folder with the files that it needs. */
class Running implements AsyncDisposable {
  readonly dir: string;
  readonly place: Place;
  readonly #child: Deno.ChildProcess;
  #hasEnded = false;

  constructor(command: string, dir: string) {
    this.dir = dir;
    const port = freePort();
    for (const { name, content } of files) {
      Deno.writeTextFileSync(
        `${dir}/${name}`,
        content.replaceAll("port: 8080", `port: ${port}`),
        { mode: 0o755 },
      );
    }
    Deno.copyFileSync(certFile, `${dir}/cert.pem`);
    Deno.copyFileSync(keyFile, `${dir}/key.pem`);
    Deno.mkdirSync(`${dir}/inbox`);
    this.place = command.includes("control.sock")
      ? { transport: "unix", path: `${dir}/control.sock` }
      : { transport: "tcp", hostname: "127.0.0.1", port };
    const there = command
      .replace(/(?<!by_hand\.\w+ )\b8080\b/, `${port}`)
      .replace(/^halfclose/, halfclose)
      .replace(/^deno/, Deno.execPath());
    const script = `umask 022; exec ${there}`;
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

  stop(): void {
    kill(this.#child, "SIGTERM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child);
    await this.#child.status;
  }
}

const halfclose = [
  Deno.execPath(),
  "run",
  "-A",
  ...importMap(),
  `${root}/cli.ts`,
].join(" ");

/** The reply to a request, or nothing if the connection fails. */
async function answered(place: Place, request: string): Promise<string> {
  try {
    return new TextDecoder().decode(await exchange(place, request));
  } catch {
    return "";
  }
}

/** Each task: whether a tool that listens does it. */
const tasks: Record<
  string,
  (running: Running, does: boolean) => Promise<boolean>
> = {
  async "Echo"({ place }) {
    return await answered(place, "hello") === "hello";
  },

  async "A command for each connection"({ place }) {
    return (await answered(place, "hello")).trim() === "5";
  },

  async "A drop box for files"({ place, dir }) {
    // The answer ends with the name: ours is a receipt.
    const name = (await answered(place, "hello")).trim().split(/[ /]/).at(-1);
    if (!name) return false;
    return await Deno.readTextFile(`${dir}/inbox/${name}`) === "hello";
  },

  async "A control socket"({ place }) {
    const { path } = place as Deno.UnixAddr;
    const mode = (await Deno.stat(path)).mode ?? 0o777;
    return await answered(place, "hello") === "hello" && (mode & 0o077) === 0;
  },

  async "TLS"({ place }) {
    const { port } = place as Deno.NetAddr;
    try {
      const conn = await connectTls(port);
      return new TextDecoder().decode(await exchangeOn(conn, "hello")) ===
        "hello";
    } catch {
      return false;
    }
  },

  async "50 clients at once"({ place }) {
    const request = pattern(100_000);
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => exchange(place, request)),
    );
    return replies.every((reply) => areSame(reply, request));
  },

  async "Clients that reset"({ place }) {
    try {
      for (let count = 0; count < 5; count++) {
        const clients = await Promise.all(
          Array.from({ length: 4 }, () => RudeClient.connect(place)),
        );
        await Promise.all(clients.map((client) => client.reset()));
      }
    } catch {
      // Nobody listens any more.
    }
    return await answered(place, "hello") === "hello";
  },

  async "A client that falls silent"({ place }, does) {
    const silent = await begin(place, "s");
    const meanwhile = answered(place, "hello");
    if (does) {
      const reply = await meanwhile;
      silent.close();
      return reply === "hello";
    }
    let isAnswered = false;
    meanwhile.then(() => isAnswered = true);
    await silent.closeWrite();
    assertEquals(await readText(silent), "s");
    const wasFirst = isAnswered;
    assertEquals(await meanwhile, "hello");
    return wasFirst;
  },

  async "A reset midway through a file"({ place, dir }) {
    const inbox = `${dir}/inbox`;
    const client = await RudeClient.connect(place);
    await client.write("half");
    await until(() =>
      namesIn(inbox).some((name) => Deno.statSync(`${inbox}/${name}`).size)
    );
    await client.reset();
    // Whoever serves one at a time is done with it now.
    await answered(place, "whole");
    return namesIn(inbox).every((name) =>
      Deno.readTextFileSync(`${inbox}/${name}`) !== "half"
    );
  },

  async "A request of 1 GiB"({ place }) {
    const chunk = new Uint8Array(1024 ** 2);
    const conn = await connect(place);
    const reply = readText(conn);
    try {
      for (let sent = 0; sent < 1024; sent++) await writeAll(conn, chunk);
      await conn.closeWrite();
      return (await reply).trim() === `${1024 ** 3}`;
    } catch {
      await reply.catch(() => {});
      return false;
    }
  },

  async "A stop without a loss"(running) {
    const { place } = running;
    const clients = await Promise.all(
      Array.from({ length: 5 }, () => send(place, "hello")),
    );
    running.stop();
    const replies = await Promise.all(
      clients.map((client) => readText(client).catch(() => "")),
    );
    return replies.every((reply) => reply.trim() === "5");
  },
};

Deno.test("docs/comparison.md has rows that are tried for each task", () => {
  assertEquals(
    new Set(rows.map(({ task }) => task)),
    new Set(Object.keys(tasks)),
  );
  assert(rows.length > 60, `only ${rows.length} rows are found`);
  const table = page.match(/^\| (?!tool|-).+\| (yes|no)\b/gm) ?? [];
  assertEquals(rows.length, table.length);
});

Deno.test("docs/comparison.md says which versions it was tried with", () => {
  const there = Object.entries(versions)
    .map(([tool, version]) => `${tool} ${version ?? "that is not here"}`);
  const [, named = ""] = /these versions: ([^]+?)\.\s/.exec(page) ?? [];
  // Other versions may be here than those that the page was tried with.
  assertEquals(
    named.split(/,\s+/).map((one) => one.replace(/\s+\d+(?:\.\d+)*$/, "")),
    Object.keys(versions),
    `Here it would be: ${there.join(", ")}.`,
  );
  const tools = new Set(rows.map(({ tool }) => tool));
  assertEquals(tools, new Set(["halfclose", ...Object.keys(versions)]));
});

/** How often a tool may do what it cannot be relied on to do. */
const LUCK = 100;

for (const { task, tool, command, does } of rows) {
  const name = `comparison: ${task}: ${command}`;
  testIf(isInstalled(tool), tool, name, async () => {
    await using folder = await temporaryFolder();
    await using running = new Running(command, folder.path);
    await running.listens();
    let done = await tasks[task]?.(running, does);
    for (let tries = 1; done && !does && tries < LUCK; tries++) {
      done = await tasks[task]?.(running, does);
    }
    assertEquals(done, does);
  });
}
