// A module that answers: what it may export, do, and get wrong.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ask, begin, readText } from "./sockets.ts";
import { temporaryFolder, testUnix, testWithSignals } from "./support.ts";
import {
  checkEnding,
  checkRefusal,
  failed,
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
    assertEquals(await ask(tool.addr, "throw"), failed);
    assertEquals(await ask(tool.addr, "hello"), "hello");
    await tool.line(
      / WARN .* failed while handling: as told to do( \(at .*\))?$/,
    );
    assertEquals(outcomes(await tool.stop()), ["failed", "ok"]);
  },
);

Deno.test("cli: the line of an exchange that fails says where its handler threw", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/throws.ts`;
  await Deno.writeTextFile(
    file,
    `export default () => {\n  throw new Error("no paper");\n};\n`,
  );
  const options = { permissions: ["-N", `-R=${folder.path}`] };
  await using text = await Tool.listening([file], options);
  assertEquals(await ask(text.addr, "hello"), failed);
  await text.line(/ handling: no paper \(at \S+\/throws\.ts:2:9\)$/);
  const json = ["--log-format", "json", file];
  await using tool = await Tool.listening(json, options);
  assertEquals(await ask(tool.addr, "hello"), failed);
  await tool.line(/"error":"no paper","at":"[^"]+\/throws\.ts:2:9"\}$/);
});

testModule(
  "cli: a module that throws what is no text fails that exchange only",
  `export default async (conn) => {
    if (await conn.text() === "throw") throw Object.create(null);
    return "fine";
  };`,
  [],
  async (tool) => {
    assertEquals(await ask(tool.addr, "throw"), failed);
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
    await tool.line(/ ERROR after request 1 of [\d.:]+: late$/);
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
  ["export default { handler: 1 };", 'option "handler" must be a function'],
  ["export default [() => {}];", "a handler, received"],
  ["export default class One { handler() {} }", "received [class One]"],
  ["export default Promise.reject(1);", ": 1"],
  ["export default { path: 1, handler() {} };", 'option "path" must be a str'],
  ["export default { hostname: 1, handler() {} };", 'option "hostname" must'],
  ["export default { signal: 1, handler() {} };", 'option "signal" must be an'],
  ["export default { get port() { throw 'ha'; }, handler() {} };", ": ha"],
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

Deno.test("cli: a module can stop its own server", async () => {
  const module = moduleUrl(`export default async (conn, server) => {
    const request = await conn.text();
    if (request === "stop") server.shutdown();
    return request;
  };`);
  await using tool = await Tool.listening([module]);
  assertEquals(await ask(tool.addr, "go"), "go");
  assertEquals(await ask(tool.addr, "stop"), "stop");
  assertEquals(outcomes(checkEnding(await tool.ending(), 0)), ["ok", "ok"]);
});

Deno.test("cli: a module with options can stop its own server", async () => {
  const module = moduleUrl(`export default {
    idleTimeout: 5000,
    handler: (_conn, server) => void server.shutdown(),
  };`);
  await using tool = await Tool.listening([module]);
  assertEquals(await ask(tool.addr), "");
  assertEquals(outcomes(checkEnding(await tool.ending(), 0)), ["ok"]);
});

for (
  const [options, reason] of [
    ["prot: 1", 'there is no option "prot". Did you mean "port"?'],
    [
      "idletimeout: 1",
      'there is no option "idletimeout". Did you mean "idleTimeout"?',
    ],
    ["colour: 'red'", 'there is no option "colour"'],
  ] as const
) {
  Deno.test(`cli: refuses a module with an option that does not exist: ${options}`, async () => {
    const module = moduleUrl(
      `export default { ${options}, handler: () => "" };`,
    );
    checkRefusal(await Tool.run(["--port", "0", module]), 1, reason);
  });
}

Deno.test("cli: takes all options of serve() from a module", async () => {
  const module = moduleUrl(`export default {
    hostname: "127.0.0.1", port: 0, reusePort: false, tcpBacklog: 5,
    maxRequestBytes: 10, deadline: 9000, idleTimeout: 9000, lingerTimeout: 0,
    streaming: true, signal: new AbortController().signal,
    allow: () => true, onRefuse: () => "no", onRequest() {}, onExchange() {},
    onAcceptError() {}, onListen() {}, onError() {},
    handler: (conn) => conn.text(),
  };`);
  await using tool = new Tool([module]);
  const [, port] = await tool.line(/ listening on 127\.0\.0\.1:(\d+)$/);
  const addr = { transport: "tcp", hostname: "127.0.0.1", port: Number(port) };
  assertEquals(await ask(addr as Deno.NetAddr, "hello"), "hello");
  assertEquals(outcomes(await tool.stop()), ["ok"]);
});

testModule(
  "cli: takes all that the instance of a class has, and calls its methods",
  `class Service {
    #name = "it";
    get maxRequestBytes() { return 4; }
    allow() { console.log(this.#name + " allows"); return true; }
    onRefuse() { return this.#name + " refuses"; }
    onExchange({ outcome }) { console.log(this.#name + " sees " + outcome); }
    async handler(conn) { return this.#name + " answers " + await conn.text(); }
  }
  export default new Service();`,
  [],
  async (tool) => {
    assertEquals(await ask(tool.addr, "four"), "it answers four");
    assertEquals(await ask(tool.addr, "fiver"), "it refuses");
    tool.kill("SIGTERM");
    const { stdout } = await tool.ending();
    assertEquals(
      stdout,
      "it allows\nit sees ok\nit allows\nit sees too-large\n",
    );
  },
);

const unloadable = [
  "export function then() {}",
  "export function then(resolve) { resolve(5); }",
];

for (const entry of ["cli.ts", "mod.ts"]) {
  for (const source of unloadable) {
    Deno.test(`cli: ${entry} says that a module cannot be had: ${source}`, async () => {
      const module = moduleUrl(`${source} export default () => "";`);
      const options = { entry, permissions: ["-N", "-R"] };
      const ending = await Tool.run(["--port", "0", module], options);
      checkRefusal(ending, 1, "it exports then()");
    });
  }
}

Deno.test("cli: what a module throws outside of its handler has a place, too", async () => {
  await using folder = await temporaryFolder();
  const options = { permissions: ["-N", `-R=${folder.path}`] };
  const file = `${folder.path}/bug.ts`;
  const run = async (source: string) => {
    await Deno.writeTextFile(file, source);
    return await Tool.run(["--port", "0", file], options);
  };
  const loaded = await run("const x = 1;\nthrow new Error('no paper');\n");
  checkRefusal(loaded, 1, `: no paper (at ${file}:2:7)`);
  const stray = "setTimeout(() => {\n  throw new Error('stray');\n});\n";
  const { code, lines } = await run(`${stray}export default () => {};\n`);
  assertEquals([code, lines.at(-1)], [
    1,
    `halfclose: stray (at ${file}:2:9)`,
  ]);
  // Deno colours the place of an import.
  const { lines: [missing = ""] } = await run('import "./nowhere.ts";\n');
  assertEquals(missing.includes("\\x1b"), false, missing);
});

testModule(
  "cli: a module tells from the head of a request how long it is",
  `export default {
    until: (head) => {
      if (head[0] === 0) throw new Error("from until");
      return 1 + head[0];
    },
    maxRequestBytes: 9,
    handler: (conn) => conn.bytes(),
  };`,
  ["--log-format", "json"],
  async (tool) => {
    const reply = async (request: string) =>
      await readText(await begin(tool.addr, request));
    assertEquals(await reply("\x05hello, and more"), "\x05hello");
    assertEquals(await reply("\0"), "");
    assertStringIncludes(await reply("\x09"), "9 bytes allowed");
    await tool.line(/"end":"length".*"outcome":"ok"/);
    await tool.line(/"outcome":"failed".*from until/);
    await tool.line(/"outcome":"too-large".*9 bytes of --max-request-bytes/);
  },
);

testModule(
  "cli: a head that does not tell how long its request is is told of as such",
  "export default { until: () => undefined, handler: (conn) => conn.bytes() };",
  [],
  async (tool) => {
    const client = await begin(tool.addr, new Uint8Array(20_000));
    assertStringIncludes(
      await readText(client),
      "its head is larger than the 16384 bytes allowed",
    );
    await tool.line(/too-large while reading: .*not in its first 16384 bytes/);
  },
);
