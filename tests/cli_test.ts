// The command-line tool, run as its users run it: as a process of its own.

import {
  assert,
  assertEquals,
  assertFalse,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { assertSame, pattern } from "./bytes.ts";
import { canTrace, importsForInstall, runDeno } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  begin,
  exchange,
  local,
  readBytes,
  readText,
  send,
} from "./sockets.ts";
import { lineUp, temporaryFolder, testIf, testWithSignals } from "./support.ts";
import {
  checkEnding,
  checkRefusal,
  moduleUrl,
  outcomes,
  Tool,
  type ToolOptions,
} from "./tool.ts";

function portOf(conn: Deno.Conn): number {
  return (conn.localAddr as Deno.NetAddr).port;
}

const entries: ToolOptions[] = [
  { entry: "cli.ts" },
  // It reads the file of the tool only when it is run.
  { entry: "mod.ts", permissions: ["-N", "-R"] },
];

for (const options of entries) {
  testWithSignals(
    `cli: ${options.entry} sends requests of all sizes back`,
    async () => {
      const sizes = [0, 1, 65_535, 65_536, 65_537, 5_000_000];
      await using tool = await Tool.listening([], options);
      for (const size of sizes) {
        const request = pattern(size);
        assertSame(await exchange(tool.addr, request), request);
      }
      assertEquals(
        (await tool.stop()).map(({ port: _, ...rest }) => rest),
        sizes.map((size) => ({
          bytesIn: size,
          bytesOut: size,
          outcome: "ok",
        })),
      );
    },
  );
}

testWithSignals("cli: deno install makes it a command", async () => {
  await using folder = await temporaryFolder();
  const named = ["--root", folder.path, "--name", "halfclose"];
  const flags = ["--global", "-N", ...named, ...importsForInstall()];
  const { code, stderr } = await runDeno("install", ...flags, "./cli.ts");
  assertEquals(code, 0, stderr);
  const command = `${folder.path}/bin/halfclose`;
  await using tool = await Tool.listening([], { command });
  assertEquals(await ask(tool.addr, "hello"), "hello");
  assertEquals(outcomes(await tool.stop()), ["ok"]);
});

Deno.test("cli: says that a port is in use", async () => {
  using other = Deno.listen(local);
  const { port } = other.addr;
  const ending = await Tool.run(["--host", "127.0.0.1", "--port", `${port}`]);
  checkRefusal(ending, 1, `127.0.0.1:${port}`);
  assertStringIncludes(ending.lines.join(), "in use");
});

Deno.test("cli: says that an address is none of this machine", async () => {
  // Reserved for documentation (RFC 5737).
  checkRefusal(
    await Tool.run(["--host", "192.0.2.1", "--port", "0"]),
    1,
    "192.0.2.1:0",
  );
});

const sizes: [spelling: string, bytes: number][] = [
  ["1000", 1000],
  ["64KiB", 65_536],
  ["16MiB", 16_777_216],
];

for (const [spelling, bytes] of sizes) {
  Deno.test(`cli: --max-request-bytes ${spelling} lets ${bytes} bytes in, no more`, async () => {
    await using tool = await Tool.listening(["--max-request-bytes", spelling]);
    const request = pattern(bytes + 1);
    const most = request.subarray(0, bytes);
    assertSame(await exchange(tool.addr, most), most);
    const reply = await exchange(tool.addr, request);
    assertMatch(
      new TextDecoder().decode(reply),
      new RegExp(`^halfclose: .* ${bytes} bytes .*\n$`),
    );
  });
}

Deno.test("cli: --max-request-bytes none lets more in than the default", async () => {
  await using tool = await Tool.listening(["--max-request-bytes", "none"]);
  const request = pattern(16_777_217);
  assertSame(await exchange(tool.addr, request), request);
});

const times: [spelling: string, milliseconds: number][] = [
  ["700ms", 700],
  ["1s", 1000],
  ["1.5s", 1500],
  ["0.01m", 600],
  ["1", 1000],
];

for (const [spelling, milliseconds] of times) {
  Deno.test(`cli: --idle-timeout ${spelling} is ${milliseconds} ms`, async () => {
    await using tool = await Tool.listening(["--idle-timeout", spelling]);
    const reply = await readText(await begin(tool.addr, "x"));
    assertMatch(reply, new RegExp(`^halfclose: .* ${milliseconds} ms.*\n$`));
  });
}

Deno.test("cli: takes times that nobody wants to wait for", async (t) => {
  for (const flag of ["--deadline", "--idle-timeout"]) {
    for (const time of ["10s", "1m", "1h", "none"]) {
      await t.step(`${flag} ${time}`, async () => {
        await using tool = await Tool.listening([flag, time]);
        assertEquals(await ask(tool.addr, "hello"), "hello");
      });
    }
  }
});

/** Clients that are turned away, each for a limit, and what they are told. */
const refusals = [
  {
    does: "sends too much",
    args: ["--max-request-bytes", "1KiB"],
    told: "1024 bytes",
    outcome: "too-large",
  },
  {
    does: "falls silent",
    args: ["--idle-timeout", "1s", "--deadline", "none"],
    told: "1000 ms",
    outcome: "idle",
  },
  {
    does: "takes too long",
    args: ["--idle-timeout", "none", "--deadline", "1s"],
    told: "1000 ms",
    outcome: "deadline",
  },
];

for (const { does, args, told, outcome } of refusals) {
  testWithSignals(
    `cli: tells a client that ${does}, and logs "${outcome}"`,
    async () => {
      await using tool = await Tool.listening(args);
      const bad = await begin(tool.addr, "secret".repeat(1000));
      const port = portOf(bad);
      const reply = await readText(bad);
      assertMatch(reply, /^halfclose: .+\n$/);
      assertStringIncludes(reply, told);
      assertFalse(reply.includes("secret"), reply);

      assertEquals(await ask(tool.addr, "hello"), "hello");
      const [first, ...others] = await tool.stop();
      assertEquals(
        [first?.port, first?.bytesOut, first?.outcome],
        [port, 0, outcome],
      );
      assertEquals(outcomes(others), ["ok"]);
    },
  );
}

testWithSignals("cli: logs a reset in the middle of a request", async () => {
  await using tool = await Tool.listening(["--max-request-bytes", "none"]);
  const rude = await RudeClient.connect(tool.addr);
  // More than the kernel buffers: once this is written, the server has read.
  await rude.write(pattern(67_108_864));
  await rude.reset();
  assertEquals(await ask(tool.addr, "hello"), "hello");
  assertEquals(outcomes(await tool.stop()), ["reset", "ok"]);
});

testWithSignals(
  "cli: outlives 200 clients that reset in the backlog",
  async () => {
    await using tool = await Tool.listening();
    const first = await begin(tool.addr, "first");
    for (let i = 0; i < 200; i++) {
      const rude = await RudeClient.connect(tool.addr);
      await rude.reset();
    }
    await first.closeWrite();
    assertEquals(await readText(first), "first");
    assertEquals(await ask(tool.addr, "last"), "last");
    const all = outcomes(await tool.stop());
    assertEquals([all.at(0), all.at(-1)], ["ok", "ok"]);
    // Most are gone before there is an exchange that could be logged.
    for (const outcome of all.slice(1, -1)) assertEquals(outcome, "reset");
  },
);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  testWithSignals(
    `cli: ${signal} ends it when there is nothing to do`,
    async () => {
      await using tool = await Tool.listening();
      assertEquals(await tool.stop(signal), []);
    },
  );
}

testWithSignals(
  "cli: SIGTERM leaves nobody in the backlog without an answer",
  async () => {
    await using tool = await Tool.listening();
    const slow = await begin(tool.addr, "slow");
    const requests = Array.from({ length: 50 }, (_, i) => pattern(1000 + i));
    const waiting = await Promise.all(
      requests.map((request) => send(tool.addr, request)),
    );
    const ports = [slow, ...waiting].map(portOf);

    tool.kill("SIGTERM");
    await tool.refusesConnections();
    await slow.closeWrite();

    assertEquals(await readText(slow), "slow");
    for (const [i, conn] of waiting.entries()) {
      assertSame(await readBytes(conn), requests[i] ?? new Uint8Array());
    }
    const exchanges = checkEnding(await tool.ending(), 0)
      .filter(({ port }) => ports.includes(port));
    assertEquals(exchanges.length, ports.length);
    assertEquals([...new Set(outcomes(exchanges))], ["ok"]);
  },
);

for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
  testWithSignals(`cli: a second ${signal} cuts those who wait`, async () => {
    const limits = ["--deadline", "none", "--idle-timeout", "none"];
    await using tool = await Tool.listening(limits);
    const slow = await begin(tool.addr, "slow");
    const { clients } = await lineUp(tool.addr, 5);
    const ports = [slow, ...clients].map(portOf);
    const ending = await tool.cut(signal);
    for (const conn of [slow, ...clients]) {
      assertEquals(await readText(conn).catch(() => ""), "");
    }
    const exchanges = checkEnding(ending, code)
      .filter(({ port }) => ports.includes(port));
    assertEquals(exchanges.length, ports.length);
    assertEquals([...new Set(outcomes(exchanges))], ["aborted"]);
  });
}

testWithSignals(
  "cli: clients that wait one --deadline after a SIGTERM are closed without a response",
  async () => {
    const hangs = moduleUrl("export default () => new Promise(() => {})");
    await using tool = await Tool.listening(["--deadline", "400ms", hangs]);
    const { clients } = await lineUp(tool.addr, 8);
    tool.kill("SIGTERM");
    const ending = await tool.ending();
    const exchanges = checkEnding(ending, 0);
    for (const client of clients) {
      const reply = await readText(client).catch(() => "");
      const exchange = exchanges.find(({ port }) => port === portOf(client));
      assertEquals(reply === "", exchange?.outcome === "aborted");
    }
    assertEquals(outcomes(exchanges).at(-1), "aborted");
  },
);

testWithSignals("cli: takes a Ctrl-C that arrives twice for one", async () => {
  await using tool = await Tool.listening();
  const slow = await begin(tool.addr, "slow");
  for (let i = 0; i < 5; i++) tool.kill("SIGINT");
  await tool.refusesConnections();
  await slow.closeWrite();
  assertEquals(await readText(slow), "slow");
  checkEnding(await tool.ending(), 0);
});

testIf(
  await canTrace(),
  "a strace that may trace",
  "cli: heeds signals before anybody can connect",
  async () => {
    await using folder = await temporaryFolder();
    const calls = `${folder.path}/calls`;
    const strace = "-D -f -e trace=rt_sigaction,listen -o".split(" ");
    const args = ["--host", "127.0.0.1", "--port", "0"];
    await using tool = new Tool([...strace, calls, ...Tool.command(args)], {
      command: "strace",
    });
    await tool.line(/ INFO listening on /);
    const lines = (await Deno.readTextFile(calls)).split("\n");
    const listens = lines.findIndex((line) => line.includes(" listen("));
    assert(listens >= 0);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
      const heeded = new RegExp(`rt_sigaction\\(${signal}, \\{sa_handler=0x`);
      const heeds = lines.findIndex((line) => heeded.test(line));
      assert(heeds >= 0 && heeds < listens, signal);
    }
    await tool.stop();
  },
);
