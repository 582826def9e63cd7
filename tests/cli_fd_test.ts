// The tool on a socket that it has inherited: `--fd`, and what systemd passes on.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { assertSame, pattern } from "./bytes.ts";
import { Exposition } from "./exposition.ts";
import { KeptSocket } from "./kept_socket.ts";
import { type Passing, passing } from "./passing_parent.ts";
import { printed, runProgram } from "./programs.ts";
import { ask, connect, exchange, freePort, readText, send } from "./sockets.ts";
import { testIf, testOnLinux, testUnix, until } from "./support.ts";
import { checkRefusal, moduleUrl, Tool, type ToolOptions } from "./tool.ts";

const isOnLinux = Deno.build.os === "linux";
const hasPython = isOnLinux &&
  await printed(["python3", "--version"]) !== undefined;
const activator = ["systemd-socket-activate", "--version"];
const hasActivator = isOnLinux && await printed(activator) !== undefined;

/** Permissions for what systemd passes on. */
const permissions = ["--allow-env=LISTEN_FDS,LISTEN_PID,LISTEN_FDNAMES"];

function testPassed(name: string, fn: () => Promise<void>): void {
  testIf(hasPython, "Linux and python3", name, fn);
}

/** Starts the tool on a socket that is passed on, and waits until it listens. */
function onPassed(
  args: string[] = [],
  what: Passing = {},
  options: ToolOptions = {},
): Promise<Tool> {
  return Tool.listeningAsIs(args, {
    permissions,
    wrapper: passing(what),
    ...options,
  });
}

/** Runs the tool to its end, with sockets that are passed on. */
function runPassed(args: string[], what: Passing = {}) {
  return Tool.run(args, { permissions, wrapper: passing(what) });
}

/** Lends the descriptor of a socket to programs that inherit it. */
function lent(kept: KeptSocket): Disposable & { readonly flags: string[] } {
  const fd = kept.lend();
  return {
    flags: ["--fd", `${fd}`],
    [Symbol.dispose]: () => kept.giveBack(fd),
  };
}

testOnLinux("cli: --fd takes the clients that wait in its socket", async () => {
  using kept = KeptSocket.tcp();
  using fd = lent(kept);
  for (let restarts = 0; restarts < 3; restarts++) {
    // There is no server yet.
    const early = await send(kept.place, "early");
    // No permission guards it.
    await using tool = await Tool.listening(fd.flags, { permissions: [] });
    assertEquals(await readText(early), "early");
    assertEquals(await ask(kept.place, "late"), "late");
    await tool.stop();
  }
});

testUnix("cli: --fd serves a Unix socket", async (folder) => {
  if (!isOnLinux) return;
  const path = `${folder}/test.sock`;
  using kept = KeptSocket.unix(path);
  using fd = lent(kept);
  const flags = [...fd.flags, "--log-format", "json"];
  await using tool = new Tool(flags, { permissions: [] });
  const [line] = await tool.line(/^.*"event":"listening".*$/);
  const { msg, server } = JSON.parse(line);
  assertEquals([msg, server], ["listening on an inherited Unix socket", null]);
  assertEquals(await ask(kept.place, "hello"), "hello");
  tool.kill("SIGTERM");
  assertEquals((await tool.ending()).code, 0);
  assert(Deno.lstatSync(path).isSocket);
});

testOnLinux("cli: --fd says what is no listening socket", async () => {
  checkRefusal(
    await Tool.run(["--fd", "99"], { permissions: [] }),
    1,
    "Cannot listen on descriptor 99: it is not a listening socket",
  );
});

testOnLinux("cli: --fd leaves no TLS of a module out in silence", async () => {
  using kept = KeptSocket.tcp();
  using fd = lent(kept);
  const module = moduleUrl(
    'export default { cert: "a", key: "b", handler: () => "" };',
  );
  const ending = await Tool.run([...fd.flags, module]);
  checkRefusal(ending, 1, 'options "fd" and "cert" exclude each other');
});

testOnLinux("cli: --fd wins over the place of a module", async () => {
  using kept = KeptSocket.tcp();
  using fd = lent(kept);
  const module = moduleUrl(
    'export default { hostname: "192.0.2.1", port: 1, tcpBacklog: 5, ' +
      'handler: () => "mine" };',
  );
  await using _tool = await Tool.listening([...fd.flags, module]);
  assertEquals(await ask(kept.place), "mine");
});

testUnix(
  "cli: --fd of a Unix socket and --allow are a usage error",
  async (folder) => {
    if (!isOnLinux) return;
    using kept = KeptSocket.unix(`${folder}/test.sock`);
    using fd = lent(kept);
    const flags = [...fd.flags, "--allow", "::1"];
    checkRefusal(
      await Tool.run(flags),
      2,
      "--allow cannot be ::1 on a Unix socket",
    );
  },
);

testPassed("cli: takes the socket that LISTEN_FDS passes on", async () => {
  await using tool = await onPassed();
  assertEquals(await ask(tool.addr, "hello"), "hello");
  await tool.stop();
});

testPassed(
  "cli: takes no socket of LISTEN_FDS that it may not know of",
  async () => {
    const port = `${freePort()}`;
    const flags = ["--host", "127.0.0.1", "--port", port];
    await using tool = await onPassed(flags, {}, { permissions: ["-N"] });
    assertEquals(`${tool.port}`, port);
    await tool.stop();
  },
);

/** Whose sockets are left alone, with a warning that says why. */
const ignored: Record<string, [what: Passing, flags: string[], why: RegExp]> = {
  "another process": [
    { env: { LISTEN_PID: "1" } },
    [],
    /it is for process 1, and this is process \d+$/,
  ],
  "nobody knows which process": [
    { without: ["LISTEN_PID"] },
    [],
    /LISTEN_PID, which says for which process it is, is missing or may not be read$/,
  ],
  "a server that listens elsewhere": [{}, [], /--host says where to listen$/],
};

for (const [whose, [what, flags, why]] of Object.entries(ignored)) {
  testPassed(
    `cli: ignores LISTEN_FDS of ${whose}, and warns once`,
    async () => {
      const port = `${freePort()}`;
      const own = whose === "a server that listens elsewhere"
        ? ["--host", "127.0.0.1", "--port", port]
        : [moduleUrl(
          `export default { hostname: "127.0.0.1", port: ${port}, ` +
            "handler: (conn) => conn.bytes() };",
        )];
      await using tool = await onPassed([...flags, ...own], what, {
        permissions: ["-N", ...permissions],
      });
      assertEquals(`${tool.port}`, port);
      assertEquals(await ask(tool.addr, "hello"), "hello");
      const warnings = tool.lines.filter((line) => / WARN /.test(line));
      assertEquals(warnings.length, 1, warnings.join("\n"));
      assertStringIncludes(warnings[0] ?? "", "LISTEN_FDS is ignored: ");
      assert(why.test(warnings[0] ?? ""), warnings[0]);
    },
  );
}

testPassed(
  "cli: cannot choose among several sockets, and names them",
  async () => {
    const env = { LISTEN_FDNAMES: "http:metrics" };
    checkRefusal(
      await runPassed([], { count: 2, env }),
      1,
      "Cannot listen on 2 sockets: LISTEN_FDS passes on http, metrics. Give each " +
        "server one of them.",
    );
    checkRefusal(await runPassed([], { count: 3 }), 1, "without names");
  },
);

testPassed("cli: says what is wrong with LISTEN_FDS", async () => {
  checkRefusal(
    await runPassed([], { env: { LISTEN_FDS: "one" } }),
    1,
    "Cannot use LISTEN_FDS: it must be a whole number, received one",
  );
});

testPassed("cli: a socket that is passed on excludes TLS", async () => {
  checkRefusal(
    await runPassed(["--tls-cert", "a.pem", "--tls-key", "a.key"]),
    2,
    "--fd and --tls-cert exclude each other",
  );
});

testPassed(
  "cli: no program gets the socket that was passed on, nor what it starts",
  async () => {
    for (const first of [0, 3, 5]) {
      const list = "ls -l /proc/self/fd; env | grep LISTEN_";
      const script = `${list}; (${list}) & wait; true`;
      const flags = first === 3 ? [] : ["--fd", `${first}`];
      const args = [...flags, "--", "sh", "-c", script];
      await using tool = await onPassed(args, { first }, {
        permissions: ["--allow-run=sh", "--allow-env"],
      });
      const listening = await listeningSocketsOf(tool.pid);
      assertEquals(listening.length, 1, listening.join());
      const told = await ask(tool.addr);
      assertEquals(told.match(/\/proc\//g)?.length, 2, told);
      assert(!told.includes(`${listening[0]}`), told);
      assert(!told.includes("LISTEN_"), told);
    }
  },
);

testPassed(
  "cli: no program gets a socket that was passed on and is not used",
  async () => {
    const args = ["--host", "127.0.0.1", "--port", "0", "--", "sh", "-c"];
    await using tool = await onPassed([...args, "ls -l /proc/self/fd"], {}, {
      permissions: ["-N", "--allow-run=sh", "--allow-env"],
    });
    await tool.line(/LISTEN_FDS is ignored: --host says where to listen/);
    const told = await ask(tool.addr);
    assert(told.includes("/proc/") && !told.includes("socket:"), told);
  },
);

testOnLinux(
  "cli: --count serves whom an inherited socket has given besides",
  async () => {
    using kept = KeptSocket.tcp();
    using fd = lent(kept);
    const clients = await Promise.all(
      ["1", "2", "3"].map((request) => send(kept.place, request)),
    );
    await using tool = new Tool([...fd.flags, "--count", "1"]);
    const replies = await Promise.all(clients.map(readText));
    assertEquals(replies, ["1", "2", "3"]);
    assertEquals((await tool.ending()).code, 0);
  },
);

/** The sockets of a process on which it listens, as `ls` shows them. */
async function listeningSocketsOf(pid: number): Promise<string[]> {
  const tcp = await Deno.readTextFile("/proc/net/tcp");
  const listening = tcp.split("\n").map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === "0A").map((fields) => fields[9]);
  const own = (await socketsOf(pid)).values();
  const found = [...own].filter((socket) =>
    listening.includes(socket.slice("socket:[".length, -1))
  );
  return [...new Set(found)];
}

/** The sockets of a process, by their descriptors. */
async function socketsOf(pid: number): Promise<Map<number, string>> {
  const script = `cd /proc/${pid}/fd; for fd in *; do ` +
    'echo "$fd $(readlink $fd)"; done | grep socket:';
  const { stdout } = await runProgram("sh", ["-c", script]);
  const lines = stdout.trim().split("\n").map((line) => line.split(" "));
  return new Map(lines.map(([fd, socket = ""]) => [Number(fd), socket]));
}

testPassed(
  "cli: programs answer as ever on a socket that was passed on",
  async () => {
    const script = `read word rest; case $word in
    status) exit 3;; signal) kill -KILL $$;; error) echo oops >&2;;
    both) seq 200000; echo done >&2; exit 1;;
    env) echo "$PROTO $TCPREMOTEIP $HALFCLOSE_TEST";;
    early) exec echo early;;
    stdin) [ "$(readlink /proc/self/fd/0 | cut -c1-4)" = pipe ] && echo pipe;;
    esac; cat >/dev/null`;
    const env = { HALFCLOSE_TEST: "kept" };
    const args = ["--log-format", "json", "--", "sh", "-c", script];
    await using tool = await onPassed(args, {}, {
      permissions: ["--allow-run", ...permissions],
      env,
    });
    const asked = (word: string) =>
      ask(tool.addr, `${word}\n`).catch((error) => error.name as string);
    const failure = /"outcome":"failed".*"error":"sh (.*?)"/;
    assertEquals(await asked("env"), "TCP 127.0.0.1 kept\n");
    assertEquals(await asked("stdin"), "pipe\n");
    assertEquals(await asked("early"), "early\n");
    await asked("status");
    assertEquals((await tool.line(failure))[1], "ended with status 3");
    let seen = tool.lines.length;
    await asked("signal");
    assertEquals((await tool.line(failure, seen))[1], "was ended by SIGKILL");
    await asked("error");
    await tool.line(/"event":"program".*"line":"oops"/);
    seen = tool.lines.length;
    await asked("both");
    assertEquals((await tool.line(failure, seen))[1], "ended with status 1");
    await tool.line(/"line":"done"/);
  },
);

testPassed(
  "cli: programs take and give all on a socket that was passed on",
  async () => {
    const args = ["--max-request-bytes", "none", "--", "cat"];
    await using tool = await onPassed(args, {}, {
      permissions: ["--allow-run", ...permissions],
    });
    for (const size of [0, 1, 65_537, 30_000_000]) {
      const request = pattern(size);
      assertSame(await exchange(tool.addr, request), request);
    }
    const before = (await socketsOf(tool.pid)).size;
    for (let i = 0; i < 20; i++) await ask(tool.addr, "x");
    await until(async () => (await socketsOf(tool.pid)).size <= before);
  },
);

testPassed(
  "cli: a program on a socket that was passed on is killed at the deadline",
  async () => {
    const script = 'echo "pid $$" >&2; exec sleep 600';
    const args = ["--deadline", "500ms", "--", "sh", "-c", script];
    await using tool = await onPassed(args, {}, {
      permissions: ["--allow-run=sh", "--allow-env"],
    });
    const asked = ask(tool.addr).catch(() => "");
    const [, pid = ""] = await tool.line(/: pid (\d+)$/);
    await tool.line(/ deadline while .*\(sh has not ended\)/);
    await asked;
    await until(async () => await printed(["kill", "-0", pid]) === undefined);
  },
);

testPassed(
  "cli: a program that has vanished fails the exchange on a socket that was passed on",
  async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/program`;
    await Deno.copyFile("/bin/true", path);
    const args = ["--", path];
    await using tool = await onPassed(args, {}, {
      permissions: [`--allow-run=${path}`, "--allow-env"],
    });
    assertEquals(await ask(tool.addr), "");
    await Deno.remove(folder, { recursive: true });
    await ask(tool.addr).catch(() => "");
    await tool.line(/ failed .*Cannot run .*No such file or directory/);
  },
);

testOnLinux(
  "cli: --metrics tells how many wait in the process on an inherited socket",
  async () => {
    using kept = KeptSocket.tcp();
    using fd = lent(kept);
    const metrics = `127.0.0.1:${freePort()}`;
    const module = moduleUrl("export default () => new Promise(() => {});");
    const flags = [...fd.flags, "--metrics", metrics, module];
    await using _tool = await Tool.listening(flags);
    const queued = async () => {
      const response = await fetch(`http://${metrics}/metrics`);
      const numbers = new Exposition(await response.text());
      return numbers.value("halfclose_connections_queued");
    };
    assertEquals(await queued(), 0);
    const clients = await Promise.all([1, 2, 3].map(() => connect(kept.place)));
    // The first one has its turn.
    await until(async () => await queued() === 2);
    for (const client of clients) client.close();
  },
);

testIf(
  hasActivator,
  "systemd-socket-activate",
  "cli: is started on demand by systemd-socket-activate",
  async () => {
    const port = freePort();
    const place = { hostname: "127.0.0.1", port };
    await using tool = new Tool([], {
      permissions,
      wrapper: [
        "systemd-socket-activate",
        `--listen=127.0.0.1:${port}`,
        "--setenv=HOME",
        "--setenv=DENO_DIR",
      ],
    });
    await tool.line(/Listening on /);
    assertEquals(await ask(place, "first"), "first");
    assertEquals(await ask(place, "second"), "second");
    await tool.line(/ INFO listening on 127\.0\.0\.1:\d+$/);
    tool.kill("SIGTERM");
    assertEquals((await tool.ending()).code, 0);
  },
);
