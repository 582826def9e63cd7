import { assertEquals, assertThrows } from "@std/assert";
import { listen, type Listener } from "../mod.ts";
import { pattern } from "./bytes.ts";
import { checkRow } from "./fault_table.ts";
import { root, runDeno, runProgram } from "./programs.ts";
import { ask, begin, exchange, readBytes, readText, send } from "./sockets.ts";
import { block, lineUp, namesIn, serveAt, testUnix } from "./support.ts";

const importing = `import { listen } from "${
  import.meta.resolve("../server.ts")
}";`;

testUnix("listen() serves a Unix socket", async (folder) => {
  const path = `${folder}/test.sock`;
  const { server, records } = serveAt(path, {}, (conn) => {
    assertEquals(conn.localAddr, { transport: "unix", path });
    return conn.bytes();
  });
  assertEquals(server.addr, { transport: "unix", path });
  assertEquals(await ask(server.addr, "hello"), "hello");
  const large = pattern(5_000_000);
  assertEquals(await exchange(server.addr, large), large);
  await server.shutdown();
  assertEquals(records.outcomes, ["ok", "ok"]);
  assertEquals(records.all[0]?.localAddr, server.addr);
});

testUnix(
  "listen() on a Unix socket serves its backlog before it closes",
  async (folder) => {
    const { server, records } = serveAt(`${folder}/test.sock`);
    const line = await lineUp(server.addr, 50);
    // Timers fire before what the event loop has missed meanwhile.
    block(500);
    const stopped = server.shutdown();
    await line.served();
    await stopped;
    assertEquals(records.outcomes, Array(50).fill("ok"));
  },
);

testUnix(
  "listen() answers a client on a Unix socket that still sends",
  async (folder) => {
    const large = pattern(3_000_000);
    const { server } = serveAt(
      `${folder}/test.sock`,
      { streaming: true },
      () => large,
    );
    const client = await send(server.addr, large);
    assertEquals(await readBytes(client), large);
    await server.shutdown();
  },
);

testUnix(
  "idleTimeout cuts a silent client of a Unix socket that is told nothing",
  async (folder) => {
    const path = `${folder}/socket`;
    const { server, records } = serveAt(path, { idleTimeout: 30 });
    const client = await begin(server.addr, "half a requ");
    assertEquals(await readText(client), "");
    assertEquals(await ask(server.addr, "next"), "next");
    await server.shutdown();
    assertEquals(records.outcomes, ["idle", "ok"]);
  },
);

for (const end of ["close", "shutdown"] as const) {
  testUnix(
    `Listener.${end}() removes its Unix socket, and leaves nothing behind`,
    async (folder) => {
      const listener = listen({ path: `${folder}/s` });
      assertEquals(namesIn(folder), ["s"]);
      await listener[end]();
      assertEquals(namesIn(folder), []);
    },
  );
}

testUnix("Server.shutdown() removes its Unix socket", async (folder) => {
  const { server } = serveAt(`${folder}/test.sock`);
  assertEquals(await ask(server.addr, "hello"), "hello");
  await server.shutdown();
  assertEquals(namesIn(folder), []);
});

for (
  const [place, put] of Object.entries({
    "a file": (path: string) => Deno.writeTextFileSync(path, "precious"),
    "a folder": (path: string) => Deno.mkdirSync(path),
    "the socket of a newer server": (path: string) =>
      newer.push(listen({ path })),
    "nothing": () => {},
  })
) {
  testUnix(
    `listen() leaves alone ${place} in the place of its Unix socket`,
    async (folder) => {
      const path = `${folder}/test.sock`;
      for (const end of ["close", "shutdown"] as const) {
        const listener = listen({ path });
        const waiting = Array.fromAsync(listener);
        Deno.removeSync(path);
        put(path);
        const before = describe(folder);
        await listener[end]();
        await waiting;
        assertEquals(describe(folder), before);
        for (const listener of newer.splice(0)) listener.close();
        for (const name of namesIn(folder)) {
          Deno.removeSync(`${folder}/${name}`);
        }
      }
    },
  );
}

/** Servers that have taken the place of another. */
const newer: Listener[] = [];

/** What lies in a folder, and which of it. */
function describe(folder: string): string[] {
  return namesIn(folder).map((name) => {
    const { ino, isFile, isSocket } = Deno.lstatSync(`${folder}/${name}`);
    return `${name} ${ino} ${isFile ? "file" : isSocket ? "socket" : "other"}`;
  });
}

testUnix("listen() gives its Unix socket the `mode` asked for", (folder) => {
  for (const mode of [0o600, 0o660, 0o777]) {
    const listener = listen({ path: `${folder}/test.sock`, mode });
    const { mode: actual } = Deno.lstatSync(`${folder}/test.sock`);
    assertEquals((actual ?? 0) & 0o777, mode);
    listener.close();
  }
});

testUnix(
  "listen() removes its Unix socket as the program ends by itself",
  async (folder) => {
    for (const end of ["listener.unref()", "Deno.exit()"]) {
      const program = `${importing}
      const listener = listen({ path: ${JSON.stringify(`${folder}/s`)} });
      listener[Symbol.asyncIterator]().next();
      ${end};`;
      const { code, stderr } = await runDeno("eval", "--no-config", program);
      assertEquals(code, 0, stderr);
      assertEquals(namesIn(folder), [], end);
    }
  },
);

testUnix(
  "listen() says what to do about something else at the path",
  async (folder) => {
    const put: Record<string, (path: string) => void> = {
      "a file": (path) => Deno.writeTextFileSync(path, "precious"),
      "a folder": (path) => Deno.mkdirSync(path),
      "a link to nowhere": (path) => Deno.symlinkSync("nowhere", path),
    };
    for (const [what, make] of Object.entries(put)) {
      const path = `${folder}/${what}`;
      make(path);
      const before = describe(folder);
      assertThrows(
        () => listen({ path }),
        Deno.errors.AddrInUse,
        `Cannot listen on ${path}: there is something at this path already that is no socket`,
      );
      assertEquals(describe(folder), before);
    }
    assertEquals(await Deno.readTextFile(`${folder}/a file`), "precious");
  },
);

testUnix(
  "listen() refuses a path that is too long for a socket, and makes nothing",
  (folder) => {
    const long = `${folder}/`.padEnd(
      Deno.build.os === "linux" ? 108 : 104,
      "x",
    );
    assertThrows(
      () => listen({ path: long }),
      RangeError,
      `Cannot listen on ${long}: its path is too long by 1 bytes. Choose a shorter one.`,
    );
    const deep = long.slice(0, -3);
    Deno.mkdirSync(deep);
    assertThrows(
      () => listen({ path: `${deep}/s` }),
      RangeError,
      "its folder is too long by 8 bytes",
    );
    assertEquals(namesIn(deep), []);
    assertEquals(namesIn(folder).length, 1);
    const longest = long.slice(0, -1);
    const listener = listen({ path: longest });
    assertEquals(listener.addr.path, longest);
    listener.close();
  },
);

testUnix("listen() makes nothing where it cannot listen", (folder) => {
  assertThrows(
    () => listen({ path: `${folder}/none/test.sock` }),
    Deno.errors.NotFound,
    "/none/test.sock",
  );
  assertEquals(namesIn(folder), []);
});

testUnix(
  "listen() on a Unix socket needs permissions for its folder",
  async (folder) => {
    const program = `${importing}
    try { listen({ path: ${
      JSON.stringify(`${folder}/s`)
    } }).close(); console.log("fine"); }
    catch (error) { console.log(error.name); }`;
    const file = `${folder}/program.ts`;
    await Deno.writeTextFile(file, program);
    const told = async (...permissions: string[]) => {
      const flags = ["--no-config", "--no-prompt", ...permissions];
      const { stdout } = await runDeno("run", ...flags, file);
      assertEquals(namesIn(folder), ["program.ts"]);
      return stdout.trim();
    };
    const read = `-R=${folder},${root}`;
    assertEquals(await told("-N", read, `-W=${folder}`), "fine");
    assertEquals(await told(read, `-W=${folder}`), "NotCapable");
    assertEquals(await told("-N", read, `-W=${folder}/s`), "NotCapable");
    assertEquals(await told("-N", read), "NotCapable");
  },
);

testUnix(
  "listen() does not notice a client bound to a path that is not UTF-8",
  async (folder) => {
    const path = `${folder}/test.sock`;
    const { server, records } = serveAt(path);
    const { code, stderr } = await runProgram("python3", [
      "-c",
      `
import os, socket, sys
folder = os.fsencode(sys.argv[1])
for name in (b"/\\xff", b"/fine"):
    client = socket.socket(socket.AF_UNIX)
    client.bind(folder + name)
    client.connect(folder + b"/test.sock")
    answer = b""
    try:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(5)
    except (BrokenPipeError, ConnectionResetError):
        answer = b"reset"
    assert answer == (b"hello" if name == b"/fine" else b"reset"), answer
`,
      folder,
    ]);
    assertEquals(code, 0, stderr);
    assertEquals(await ask(server.addr, "hello"), "hello");
    await server.shutdown();
    assertEquals(records.outcomes, ["ok", "ok"]);
    assertEquals(records.all[0]?.remoteAddr.transport, "unix");
    checkRow("a client bound to a path that is not UTF-8", {
      client: "reset",
      records: [],
      released: "at once",
    });
  },
);
