// A Unix socket that a killed server has left behind is replaced, and no other.

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { listen, serve } from "../mod.ts";
import {
  lines,
  printed,
  runProgram,
  spawn,
  withoutRights,
} from "./programs.ts";
import { ask, readText, send } from "./sockets.ts";
import { namesIn, temporaryFolder, testIf, testUnix } from "./support.ts";
import { Tool } from "./tool.ts";

/** Makes a socket on which nobody listens. */
function makeDeadSocket(path: string): void {
  const listener = Deno.listen({ transport: "unix", path: `${path}.bound` });
  // On close, Deno removes what lies where it was bound.
  Deno.renameSync(`${path}.bound`, path);
  listener.close();
}

/** What `listen()` says of a path that it does not take. */
function complaintAt(path: string): string {
  const error = assertThrows(() => listen({ path }), Deno.errors.AddrInUse);
  return error.message.replace(`Cannot listen on ${path}: `, "");
}

const LIVE =
  "a server listens at this path already. Stop it or choose another path.";

/** A program that listens where it is told to. */
class Starter implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #told: AsyncGenerator<string, void, undefined>;

  /** @param folder All that it may read and write, besides its code. */
  constructor(folder: string) {
    const file = "tests/testdata/starts_at.ts";
    const flags = ["-N", `-R=${folder}`, `-W=${folder}`, "--no-prompt"];
    this.#child = spawn(Deno.execPath(), ["run", ...flags, file], {
      ...{ stdin: "piped", stderr: "inherit" },
    });
    this.#input = this.#child.stdin.getWriter();
    this.#told = lines(this.#child.stdout);
  }

  /** Has it listen, or close. Returns what it says of that. */
  async do(line: string): Promise<string> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
    const { value } = await this.#told.next();
    return value ?? "nothing";
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
    await this.#told.return();
  }
}

testUnix(
  "listen() replaces the Unix socket of a server that was killed",
  async (folder) => {
    const path = `${folder}/test.sock`;
    for (let restarts = 0; restarts < 3; restarts++) {
      await using starter = new Starter(folder);
      assertEquals(await starter.do(path), "listens");
      await starter.kill();
      assertEquals(namesIn(folder), ["test.sock"]);
    }
    await using server = serve({ path, mode: 0o600 }, (conn) => conn.bytes());
    assertEquals(await ask(server.addr, "hello"), "hello");
    assertEquals((Deno.lstatSync(path).mode ?? 0) & 0o777, 0o600);
    assertEquals(namesIn(folder), ["test.sock"]);
  },
);

testUnix(
  "cli: replaces the Unix socket of a server that was killed",
  async (folder) => {
    const args = ["--unix", `${folder}/test.sock`];
    for (let restarts = 0; restarts < 2; restarts++) {
      await using tool = await Tool.listening(args, Tool.allowing(folder));
      assertEquals(await ask(tool.addr, "hello"), "hello");
      tool.kill("SIGKILL");
      await tool.ending();
      assertEquals(namesIn(folder), ["test.sock"]);
    }
    await using tool = await Tool.listening(args, Tool.allowing(folder));
    assertEquals(await ask(tool.addr, "hello"), "hello");
    const { code, lines } = await Tool.run(args, Tool.allowing(folder));
    assertEquals(code, 1);
    assertStringIncludes(lines.join("\n"), LIVE);
    assertEquals(await ask(tool.addr, "still"), "still");
  },
);

testUnix(
  "listen() leaves alone a Unix socket on which somebody listens",
  async (folder) => {
    const path = `${folder}/test.sock`;
    const sockets: Record<string, string> = {
      "a server": "SOCK_STREAM); s.bind(path); s.listen()",
      "a server whose backlog is full":
        "SOCK_STREAM); s.bind(path); s.listen(0); " +
        "c = socket.socket(socket.AF_UNIX); c.connect(path)",
      "a receiver of datagrams": "SOCK_DGRAM); s.bind(path)",
    };
    for (const [name, code] of Object.entries(sockets)) {
      const program = "import socket, sys; path = sys.argv[1]; " +
        `s = socket.socket(socket.AF_UNIX, socket.${code}; ` +
        "print('there', flush=True); sys.stdin.read()";
      const child = spawn("python3", ["-c", program, path], {
        ...{ stdin: "piped", stderr: "inherit" },
      });
      const told = lines(child.stdout);
      assertEquals((await told.next()).value, "there");
      const { ino } = Deno.lstatSync(path);
      assertEquals(complaintAt(path), LIVE, name);
      assertEquals(Deno.lstatSync(path).ino, ino);
      await child.stdin.close();
      await child.status;
      await told.return();
      listen({ path }).close();
      assertEquals(namesIn(folder), []);
    }
  },
);

testUnix(
  "listen() asks a server on a Unix socket whether it lives, and no more",
  async (folder) => {
    const path = `${folder}/test.sock`;
    await using starter = new Starter(folder);
    const served: string[] = [];
    const server = serve({ path }, async (conn) => {
      served.push(await conn.text());
      return "mine";
    });
    assertEquals(
      await starter.do(path),
      `AddrInUse: Cannot listen on ${path}: ${LIVE}`,
    );
    assertEquals(await ask(server.addr, "hello"), "mine");
    await server.shutdown();
    assertEquals(served, ["", "hello"]);
  },
);

testUnix(
  "listen() replaces a dead Unix socket once, if two start at once",
  async (folder) => {
    const path = `${folder}/test.sock`;
    await using one = new Starter(folder);
    await using other = new Starter(folder);
    const starters = [one, other];
    const told = await Promise.all(starters.map((one) => one.do("close")));
    assertEquals(told, ["closed", "closed"]);
    for (let rounds = 0; rounds < 16; rounds++) {
      // Half of the time nothing is there.
      if (rounds % 2 === 0) makeDeadSocket(path);
      const told = await Promise.all(starters.map((one) => one.do(path)));
      assertEquals(told.sort(), [
        `AddrInUse: Cannot listen on ${path}: ${LIVE}`,
        "listens",
      ], `round ${rounds}`);
      const client = await send({ transport: "unix", path }, "");
      for (const starter of starters) await starter.do("close");
      await readText(client).catch(() => {});
      assertEquals(namesIn(folder), []);
    }
  },
);

testUnix(
  "listen() replaces dead Unix sockets in one folder at once",
  async (folder) => {
    const starters = Array.from({ length: 3 }, () => new Starter(folder));
    const paths = starters.map((_, i) => `${folder}/${i}.sock`);
    for (const path of paths) makeDeadSocket(path);
    const told = starters.map((starter, i) => starter.do(paths[i] ?? ""));
    assertEquals(await Promise.all(told), paths.map(() => "listens"));
    for (const starter of starters) await starter[Symbol.asyncDispose]();
  },
);

testUnix(
  "listen() waits while another process locks the folder of a dead Unix socket",
  async (folder) => {
    const path = `${folder}/test.sock`;
    makeDeadSocket(path);
    const program = `
import fcntl, os, sys, time
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(folder, fcntl.LOCK_EX)
before = os.stat(sys.argv[2]).st_ino
print("locked", flush=True)
time.sleep(0.3)
print("untouched" if os.stat(sys.argv[2]).st_ino == before else "replaced")
`;
    await using other = spawn("python3", ["-c", program, folder, path], {
      stderr: "inherit",
    });
    const told = lines(other.stdout);
    assertEquals((await told.next()).value, "locked");
    const listener = listen({ path });
    assertEquals((await told.next()).value, "untouched");
    listener.close();
    await told.return();
  },
);

testIf(
  Deno.build.os !== "windows" &&
    await printed([...withoutRights, "true"]) !== undefined,
  "setpriv if root runs it",
  "listen() leaves alone a Unix socket that it may not connect to",
  async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/test.sock`;
    makeDeadSocket(path);
    await Deno.chmod(path, 0o000);
    const { stdout } = await runProgram("sh", [
      ...["-c", 'exec "$@"', "sh", ...withoutRights, Deno.execPath()],
      ...["run", "--no-config", "-A", "tests/testdata/listen_at.ts"],
      ...[path, folder.path],
    ]);
    assertStringIncludes(
      stdout,
      "there is a socket at this path already that cannot be tried. Remove it " +
        "if its server is dead, or choose another path.",
    );
    assertEquals(namesIn(folder.path), ["test.sock"]);
  },
);

testUnix(
  "listen() leaves alone a link to a dead Unix socket",
  async (folder) => {
    const path = `${folder}/link`;
    makeDeadSocket(`${folder}/dead`);
    await Deno.symlink("dead", path);
    assertStringIncludes(complaintAt(path), "that is no socket");
    assertEquals(namesIn(folder), ["dead", "link"]);
  },
);
