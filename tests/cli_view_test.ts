// The live view of the tool, on the screen of a terminal.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { RudeClient } from "./rude_client.ts";
import { ask, begin, readText, send, untilRefused } from "./sockets.ts";
import { temporaryFolder, testWithSignals, until } from "./support.ts";
import { Terminal, type TerminalOptions, testOnScreen } from "./terminal.ts";
import { firstAnswer, moduleUrl, Tool, type ToolOptions } from "./tool.ts";

/** A handler that never answers. */
const silent = moduleUrl(`
  export default { readAhead: 8, handler: () => new Promise(() => {}) };
`);

/** The tool with its view, once that is there. */
async function viewed(
  args: string[],
  { columns, rows, env, ...options }: TerminalOptions & ToolOptions = {},
) {
  const all = ["--host", "127.0.0.1", "--port", "0", "--view", ...args];
  const terminal = await Terminal.run(
    Tool.command(all, options),
    { columns, rows, env } as TerminalOptions,
  );
  const [, port] = await terminal.shows(/halfclose on 127\.0\.0\.1:(\d+)/);
  const addr = { hostname: "127.0.0.1", port: Number(port) };
  return {
    terminal,
    addr,
    [Symbol.asyncDispose]: () => terminal[Symbol.asyncDispose](),
  };
}

testOnScreen("cli: --view shows who has its turn", async () => {
  await using tool = await viewed(["--text", "reply"]);
  const { terminal, addr } = tool;
  await terminal.shows(/nobody, waiting for a client/);
  const client = await begin(addr, "half");
  const { port } = client.localAddr as Deno.NetAddr;
  await terminal.shows(/In hand: 1 handling/);
  await terminal.shows(
    new RegExp(`  1  127.0.0.1:${port} +4 B +0 B +[.\\d]+ m?s  handling`),
  );
  await client.closeWrite();
  assertEquals(await readText(client), "reply");
  await terminal.shows(/nobody, waiting for a client/);
  await terminal.shows(
    new RegExp(`  1  127.0.0.1:${port} +4 B +5 B +[.\\d]+ m?s  ok`),
  );
});

testOnScreen("cli: --view shows who sends a request", async () => {
  await using tool = await viewed([]);
  const client = await begin(tool.addr, "half");
  await tool.terminal.shows(/In hand: 1 reading/);
  await client.closeWrite();
  assertEquals(await readText(client), "half");
  await tool.terminal.shows(/1 exchange: 1 ok/);
});

testOnScreen("cli: --view shows who waits for a turn", async () => {
  await using tool = await viewed([silent]);
  const { terminal, addr } = tool;
  const clients = [await send(addr, "x")];
  await terminal.shows(/In hand: 1 handling/);
  clients.push(await send(addr, "a"), await send(addr, "b"));
  clients.push(await begin(addr, "half"));
  await terminal.shows(/In hand: 1 handling, 2 waiting, 1 reading/);
  const screen = await terminal.screen();
  assertMatch(screen, /1 .* handling\n +2 .* waiting\n +3 .* waiting\n/);
  for (const client of clients) client.close();
});

testOnScreen("cli: --view counts outcomes, and says why", async () => {
  await using tool = await viewed([]);
  const { terminal, addr } = tool;
  const rude = await RudeClient.connect(addr);
  await rude.write("half");
  await terminal.shows(/In hand: 1 reading/);
  await rude.reset();
  assertEquals(await ask(addr, "hello"), "hello");
  await terminal.shows(/2 exchanges: 1 ok, 1 reset\n/);
  await terminal.shows(/ 1 {2}127.* reset while reading\n/);
  await terminal.shows(/Notes\n[:\d]{8} WARN +request 1 reset: \S/);
});

testOnScreen("cli: --view lets no client write to the screen", async () => {
  const module = moduleUrl(`export default async (conn) => {
    throw new Error(await conn.text());
  }`);
  await using tool = await viewed([module]);
  await ask(tool.addr, "\x1b[2J\x1b[31m\x07evil\x9b2J\r\n");
  await tool.terminal.shows(
    / request 1 failed: \\x1b\[2J\\x1b\[31m\\x07evil/,
  );
  assertStringIncludes(await tool.terminal.screen(), "halfclose on");
});

testOnScreen("cli: --view shows clients behind a proxy", async () => {
  await using tool = await viewed(["--proxy-protocol", silent]);
  const { terminal, addr } = tool;
  const header = (host: string) => `PROXY TCP4 ${host} 192.0.2.9 4711 443\r\n`;
  using _handled = await send(addr, header("192.0.2.1"));
  await terminal.shows(/ 1 {2}192\.0\.2\.1:4711 .* handling/);
  using _waiting = await send(addr, header("192.0.2.2"));
  await terminal.shows(/ 2 {2}192\.0\.2\.2:4711 .* waiting/);
});

for (const how of ["SIGTERM", "C-c"] as const) {
  testOnScreen(`cli: --view gives the terminal back after ${how}`, async () => {
    await using tool = await viewed([]);
    const { terminal, addr } = tool;
    assert(!await terminal.isItself());
    const client = await begin(addr, "half");
    await terminal.shows(/In hand: 1 reading/);
    if (how === "SIGTERM") Deno.kill(await terminal.pid(), how);
    else await terminal.press(how);
    await terminal.shows(/stopping: serves who is connected/);
    await client.closeWrite();
    assertEquals(await readText(client), "half");
    await terminal.shows(/ended with 0/);
    assertMatch(
      await terminal.screen(),
      /^before\n.* listening on .*\n(?:\^C)?.* stopped after 1 exchange\n/,
    );
    assert(await terminal.isItself());
  });
}

testOnScreen("cli: --view stops on a terminal that is stopped", async () => {
  await using tool = await viewed([]);
  const { terminal, addr } = tool;
  const pid = await terminal.pid();
  await terminal.press("C-s");
  assertEquals(await ask(addr, "hello"), "hello");
  Deno.kill(pid, "SIGTERM");
  await terminal.isIdle();
  await terminal.press("C-q");
  await terminal.shows(/ended with 0/);
});

testOnScreen("cli: --view begins on a terminal that is stopped", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/test.sock`;
  const [begun, stopped] = [`${folder.path}/begun`, `${folder.path}/stopped`];
  // Deno itself may write to the terminal before it runs the module.
  const module = moduleUrl(`
    await Deno.writeTextFile("${begun}", "");
    while (!await Deno.stat("${stopped}").catch(() => {})) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    export default (conn) => conn.bytes();
  `);
  const command = Tool.command(
    ["--view", "--unix", path, module],
    Tool.allowing(folder.path),
  );
  await using terminal = await Terminal.run(command);
  await until(() => Deno.stat(begun).catch(() => undefined));
  const pid = await terminal.pid();
  await terminal.press("C-s");
  await Deno.writeTextFile(stopped, "");
  assertEquals(await firstAnswer(path), "hello");
  Deno.kill(pid, "SIGTERM");
  await terminal.isIdle();
});

for (
  const [how, code, status, last] of [
    ["a handler exits", "Deno.exit(7)", 7, ""],
    [
      "a module leaves an error uncaught",
      "Promise.reject(new Error('oh'))",
      1,
      "halfclose: oh\n",
    ],
  ] as const
) {
  testOnScreen(`cli: --view gives the terminal back when ${how}`, async () => {
    const module = moduleUrl(`export default () => { ${code}; }`);
    await using tool = await viewed([module]);
    const { terminal, addr } = tool;
    const client = await send(addr, "hello");
    await terminal.shows(new RegExp(`ended with ${status}`));
    assertStringIncludes(await terminal.screen(), `${last}ended with`);
    assert(await terminal.isItself());
    client.close();
  });
}

testOnScreen("cli: --view ends by itself with --count", async () => {
  await using tool = await viewed(["--count", "1"]);
  assertEquals(await ask(tool.addr, "hello"), "hello");
  await tool.terminal.shows(/stopped after 1 exchange\nended with 0/);
  await untilRefused(tool.addr);
});

testOnScreen("cli: --view shows the log, and logs it in the end", async () => {
  const args = ["--", "sh", "-c", "echo oops >&2; echo; sleep 0"];
  await using tool = await viewed(args, { permissions: ["-N", "--allow-run"] });
  const { terminal, addr } = tool;
  await ask(addr, "hello");
  await terminal.shows(
    /Notes\n[:\d]{8} INFO +sh for request 1 of [\d.:]+: oops\n/,
  );
  await terminal.press("C-c");
  await terminal.shows(
    /Z INFO sh for request 1 of [\d.:]+: oops\n.*Z INFO stopped after 1 exchange\nended/,
  );
});

testOnScreen("cli: --view leaves alone a log that goes elsewhere", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/log`;
  const all = ["--host", "127.0.0.1", "--port", "0", "--view"];
  const redirected = ["sh", "-c", 'exec "$@" 2>"$0"', path];
  await using terminal = await Terminal.run(
    [...redirected, ...Tool.command(all)],
  );
  const [, port] = await terminal.shows(/halfclose on 127\.0\.0\.1:(\d+)/);
  assertEquals(await ask({ port: Number(port) }, "hello"), "hello");
  await terminal.shows(/1 exchange: 1 ok/);
  await terminal.press("C-c");
  await terminal.shows(/before\n(?:\^C)?ended with 0/);
  assertMatch(
    await Deno.readTextFile(path),
    /^.* listening on .*\n.* 5 bytes in, 5 bytes out, .*\n.* stopped after .*\n$/,
  );
});

testOnScreen("cli: --view fits a terminal that changes its size", async () => {
  await using tool = await viewed([]);
  const { terminal, addr } = tool;
  assertEquals(await ask(addr, "hello"), "hello");
  await terminal.resize(40, 3);
  await terminal.shows(
    /^ +- +nobody.*\n.* exchanges\/s .*\n1 exchange: 1 ok\n$/,
  );
  await terminal.resize(100, 30);
  await terminal.shows(/^halfclose on .* up .*\n(.*\n){29}$/);
});

testOnScreen("cli: --view draws over what a handler prints", async () => {
  const module = moduleUrl(`export default () => {
    console.log("\\n".repeat(50) + "printed");
  }`);
  await using tool = await viewed([module]);
  await ask(tool.addr, "hello");
  const { terminal } = tool;
  await terminal.shows(/^halfclose on [^]*\n1 exchange: 1 ok\n/);
});

for (const [noColor, has] of [["", true], ["1", false]] as const) {
  testOnScreen(
    `cli: --view has ${has ? "" : "no "}colours${
      has ? "" : " against NO_COLOR"
    }`,
    async () => {
      await using tool = await viewed([], { env: { NO_COLOR: noColor } });
      await tool.terminal.shows(/nobody/);
      const screen = await tool.terminal.colors();
      assertEquals(screen.includes("\x1b["), has, screen);
    },
  );
}

testWithSignals("cli: --view logs as usual without a terminal", async () => {
  await using tool = await Tool.listening(["--view"]);
  assertEquals(await ask(tool.addr, "hello"), "hello");
  const [exchange] = await tool.stop();
  assertEquals(exchange?.outcome, "ok");
});
