// What answers: an echo, a text, a file, a module.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { assertSame, encode, pattern } from "./bytes.ts";
import { runProgram } from "./programs.ts";
import { ask, begin, connect, exchange, readText, send } from "./sockets.ts";
import { temporaryFolder, testUnix, testWithSignals } from "./support.ts";
import {
  checkEnding,
  checkRefusal,
  moduleUrl,
  outcomes,
  Tool,
} from "./tool.ts";

/** Defines a test of a module that answers. */
function testModule(
  name: string,
  source: string,
  flags: string[],
  fn: (tool: Tool) => Promise<void>,
): void {
  testWithSignals(name, async () => {
    await using folder = await temporaryFolder();
    const file = `${folder.path}/handler.ts`;
    await Deno.writeTextFile(file, source);
    const permissions = ["-N", `-R=${folder.path}`];
    await using tool = await Tool.listening([...flags, file], { permissions });
    await fn(tool);
  });
}

Deno.test("cli: --echo sends back what is sent, as without it", async () => {
  await using tool = await Tool.listening(["--echo"]);
  assertEquals(await ask(tool.addr, "hello"), "hello");
});

testWithSignals("cli: --text answers with a text", async () => {
  await using tool = await Tool.listening(["--text", "Grüß Gott\n"]);
  for (const request of ["", "hello", "x".repeat(200_000)]) {
    assertEquals(await ask(tool.addr, request), "Grüß Gott\n");
  }
  assertEquals(outcomes(await tool.stop()), ["ok", "ok", "ok"]);
});

testWithSignals(
  "cli: --text turns away a request that is too large",
  async () => {
    const limit = ["--max-request-bytes", "1KiB"];
    await using tool = await Tool.listening(["--text", "hello", ...limit]);
    assertStringIncludes(await ask(tool.addr, "x".repeat(1025)), "1024 bytes");
    assertEquals(await ask(tool.addr, "x".repeat(1024)), "hello");
    assertEquals(outcomes(await tool.stop()), ["too-large", "ok"]);
  },
);

testWithSignals(
  "cli: --text gives up on a client that never half-closes",
  async () => {
    const limit = ["--deadline", "300ms"];
    await using tool = await Tool.listening(["--text", "hello", ...limit]);
    const conn = await connect(tool.addr);
    assertStringIncludes(await readText(conn), "300 ms");
    assertEquals(outcomes(await tool.stop()), ["deadline"]);
  },
);

/** Defines a test of a file that answers. */
function testFile(
  name: string,
  content: Uint8Array,
  fn: (tool: Tool, path: string) => Promise<void>,
): void {
  testWithSignals(name, async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/file`;
    await Deno.writeFile(path, content);
    const permissions = ["-N", `-R=${path}`];
    await using tool = await Tool.listening(["--file", path], { permissions });
    await fn(tool, path);
  });
}

testFile(
  "cli: --file answers with what the file holds by then",
  encode("one"),
  async (tool, path) => {
    assertEquals(await ask(tool.addr, "?"), "one");
    const large = pattern(5_000_000);
    await Deno.writeFile(path, large);
    assertSame(await exchange(tool.addr, "?"), large);
    await Deno.remove(path);
    assertEquals(await ask(tool.addr, "?"), "");
    await Deno.writeTextFile(path, "two");
    assertEquals(await ask(tool.addr, "?"), "two");
    assertEquals(outcomes(await tool.stop()), ["ok", "ok", "failed", "ok"]);
  },
);

testFile(
  "cli: --file outlives clients that leave in the middle",
  pattern(20_000_000),
  async (tool) => {
    for (let i = 0; i < 10; i++) {
      const conn = await send(tool.addr, "?");
      await conn.read(new Uint8Array(1));
      conn.close();
    }
    assertEquals((await exchange(tool.addr, "?")).length, 20_000_000);
    const all = outcomes(await tool.stop());
    assertEquals(all, [...Array(10).fill("reset"), "ok"]);
  },
);

Deno.test("cli: --file says that there is no such file", async () => {
  const args = ["--port", "0", "--file", "no-such-file"];
  const ending = await Tool.run(args, { permissions: ["-N", "-R"] });
  checkRefusal(ending, 1, "Cannot read no-such-file: No such file");
});

testUnix("cli: --file says that it is given a FIFO", async (folder) => {
  const file = `${folder}/fifo`;
  await runProgram("mkfifo", [file]);
  const permissions = ["-N", `-R=${folder}`];
  const ending = await Tool.run(["--file", file], { permissions });
  checkRefusal(ending, 1, `Cannot read ${file}: it is a FIFO`);
});

Deno.test("cli: --file says that it is given a directory", async () => {
  const args = ["--port", "0", "--file", "tests"];
  const ending = await Tool.run(args, { permissions: ["-N", "-R"] });
  checkRefusal(ending, 1, "Cannot read tests: it is a directory");
});

const upper =
  "export default async (conn) => (await conn.text()).toUpperCase();";

testWithSignals("cli: a module's function answers", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/upper.ts`;
  await Deno.writeTextFile(file, upper);
  const permissions = ["-N", `-R=${folder.path}`];
  for (const specifier of [file, `file://${file}`]) {
    await using tool = await Tool.listening([specifier], { permissions });
    assertEquals(await ask(tool.addr, "hello"), "HELLO");
    assertEquals(outcomes(await tool.stop()), ["ok"]);
  }
});

Deno.test("cli: a module may be any URL that Deno can import", async () => {
  await using tool = await Tool.listening([moduleUrl(upper)]);
  assertEquals(await ask(tool.addr, "hello"), "HELLO");
});

testModule(
  "cli: a module may bring options along, and flags win over them",
  `export default {
    port: 1,
    hostname: "192.0.2.1",
    maxRequestBytes: 3,
    deadline: 1,
    streaming: true,
    onRefuse: () => "too much",
    onListen: (addr) => console.log("listens on " + addr.hostname),
    onExchange: (record) => console.log(record.outcome),
    handler: (conn) => conn.text(),
  };`,
  ["--deadline", "none"],
  async (tool) => {
    assertEquals(await ask(tool.addr, "abc"), "abc");
    assertEquals(await ask(tool.addr, "abcd"), "too much");
    tool.kill("SIGTERM");
    const { stdout, ...ending } = await tool.ending();
    assertEquals(stdout, "listens on 127.0.0.1\nok\ntoo-large\n");
    const all = checkEnding({ ...ending, stdout: "" }, 0);
    assertEquals(outcomes(all), ["ok", "too-large"]);
  },
);

testUnix(
  "cli: a module may say where to listen, and flags win over it",
  async (folder) => {
    const path = `${folder}/control.sock`;
    const file = `${folder}/unix.ts`;
    const module = `export default {
      path: ${JSON.stringify(path)}, handler: () => "here",
    };`;
    await Deno.writeTextFile(file, module);
    {
      await using tool = new Tool([file], Tool.allowing(folder));
      await tool.line(/listening on /);
      assertEquals(await ask({ transport: "unix", path }), "here");
    }
    // Killed, so its socket is still there.
    await Deno.remove(path);
    await using tool = await Tool.listening([file], Tool.allowing(folder));
    assertEquals(tool.addr.transport, "tcp");
    assertEquals(await ask(tool.addr), "here");
  },
);

testModule(
  "cli: a module that throws fails that exchange only",
  `export default async (conn) => {
    const request = await conn.text();
    if (request === "throw") throw new Error("as told\\nto do");
    return request;
  };`,
  [],
  async (tool) => {
    assertEquals(await ask(tool.addr, "throw"), "");
    assertEquals(await ask(tool.addr, "hello"), "hello");
    await tool.line(/ WARN .* failed while handling: as told to do$/);
    assertEquals(outcomes(await tool.stop()), ["failed", "ok"]);
  },
);

testModule(
  "cli: a module that throws what is no text fails that exchange only",
  `export default async (conn) => {
    if (await conn.text() === "throw") throw Object.create(null);
    return "fine";
  };`,
  [],
  async (tool) => {
    assertEquals(await ask(tool.addr, "throw"), "");
    assertEquals(await ask(tool.addr, "hello"), "fine");
    assertEquals(outcomes(await tool.stop()), ["failed", "ok"]);
  },
);

testModule(
  "cli: what a client sends cannot forge a line of the log",
  `export default async (conn) => {
    throw new Error(await conn.text());
  };`,
  ["--log-level", "debug"],
  async (tool) => {
    await ask(tool.addr, "\x1b[2J\nforged");
    tool.kill("SIGTERM");
    const { lines } = await tool.ending();
    assert(
      lines.every((line) =>
        !line.startsWith("forged") && !line.includes("\x1b")
      ),
      lines.join("\n"),
    );
    assert(lines.some((line) => /^ +at .*handler\.ts/.test(line)), `${lines}`);
  },
);

testModule(
  "cli: tells of a module's fault that comes after its exchange",
  `let fail;
  export default () => {
    fail?.(new Error("late"));
    return fail ? "next" : new Promise((_, reject) => fail = reject);
  };`,
  ["--deadline", "200ms"],
  async (tool) => {
    assertStringIncludes(await ask(tool.addr), "200 ms");
    assertEquals(await ask(tool.addr), "next");
    await tool.line(/ ERROR after request 1: late$/);
  },
);

testWithSignals(
  "cli: ends in one line for what a module leaves uncaught",
  async (t) => {
    for (
      const module of [
        'export default () => { Promise.reject(new Error("stray")); };',
        'export default () => { setTimeout(() => { throw new Error("stray"); }); };',
      ]
    ) {
      await t.step(module, async () => {
        await using tool = await Tool.listening([moduleUrl(module)]);
        await ask(tool.addr, "hello").catch(() => "");
        const { code, lines } = await tool.ending();
        assertEquals([code, lines.at(-1)], [1, "halfclose: stray"]);
        assert(!lines.some((line) => /^ +at /.test(line)), lines.join("\n"));
      });
    }
  },
);

/** Modules that cannot answer, and what is said of them. */
const useless: [module: string, named: string][] = [
  ["export const handler = () => {};", "received undefined"],
  ["export default 'hello';", 'received "hello"'],
  ["export default null;", "received null"],
  ["export default { port: 0 };", "a handler, received"],
  ["export default { handler: 1 };", "a handler, received"],
  ["throw new Error('not today');", ": not today"],
  ["throw 'not today';", ": not today"],
  ["export default (;", "Cannot load"],
  ["import './missing.ts'; export default () => {};", "missing.ts"],
  ["export default { port: -1, handler() {} };", 'option "port"'],
  ["export default { deadline: '1s', handler() {} };", 'option "deadline"'],
  ["export default { path: 'x', cert: 'y', handler() {} };", "exclude"],
];

Deno.test("cli: complains in one line of a module that is of no use", async (t) => {
  await using folder = await temporaryFolder();
  const { path } = folder;
  for (const [module, named] of useless) {
    await t.step(module, async () => {
      await Deno.writeTextFile(`${path}/useless.ts`, module);
      const ending = await Tool.run(
        [`${path}/useless.ts`],
        Tool.allowing(`${path},.`),
      );
      checkRefusal(ending, 1, named);
    });
  }
  await t.step("no such module", async () => {
    const ending = await Tool.run([`${path}/other.ts`], Tool.allowing(path));
    checkRefusal(ending, 1, `Cannot load ${path}/other.ts: No such file`);
  });
});

testWithSignals("cli: a failing module shows where at DEBUG only", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/throws.ts`;
  await Deno.writeTextFile(file, "throw new Error('not today');");
  const args = ["--log-level", "debug", file];
  const { code, lines } = await Tool.run(args, Tool.allowing(folder.path));
  assertEquals(code, 1);
  assert(lines.some((line) => /^ +at .*throws\.ts/.test(line)), `${lines}`);
});

testWithSignals("cli: --count ends it after so many connections", async () => {
  await using tool = await Tool.listening(["--count", "3"]);
  assertEquals(await ask(tool.addr, "one"), "one");
  // The others wait in line until this one is done.
  const second = await begin(tool.addr, "two");
  const last = await connect(tool.addr);
  // Those behind the last one are closed without an answer.
  const behind = await connect(tool.addr);
  await second.closeWrite();
  assertEquals(await readText(second), "two");
  await tool.refusesConnections();
  await last.write(encode("three"));
  await last.closeWrite();
  assertEquals(await readText(last), "three");
  assertEquals(await readText(behind).catch(() => ""), "");
  const all = checkEnding(await tool.ending(), 0);
  assertEquals(all.map(({ bytesIn }) => bytesIn), [3, 3, 5]);
});

Deno.test("cli: --count counts a client that asks for nothing, too", async () => {
  await using tool = await Tool.listening(["--count", "1"]);
  (await connect(tool.addr)).close();
  assertEquals((await tool.ending()).code, 0);
});
