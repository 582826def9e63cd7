// A module that answers: what it may export, and that it can stop its server.

import { assertEquals } from "@std/assert";
import { ask } from "./sockets.ts";
import {
  checkEnding,
  checkRefusal,
  moduleUrl,
  outcomes,
  Tool,
} from "./tool.ts";

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
    ["prot: 1", 'serve() has no option "prot", did you mean "port"?'],
    [
      "idletimeout: 1",
      'has no option "idletimeout", did you mean "idleTimeout"?',
    ],
    ["colour: 'red'", 'serve() has no option "colour"'],
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
