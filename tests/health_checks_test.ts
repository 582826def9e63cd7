// Health checks of proxies that speak the PROXY protocol: they take no turn.

import { assertEquals } from "@std/assert";
import { ascii, binary, withChecksum } from "./proxy_headers.ts";
import { RudeClient } from "./rude_client.ts";
import { ask } from "./sockets.ts";
import { serveLocally } from "./support.ts";

const line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n";
const fromProxy = { proxyProtocol: true };

/** What the checks of a proxy begin with. */
const checks: Record<string, (client: RudeClient, port: number) => Uint8Array> =
  {
    "nothing": () => new Uint8Array(),
    "UNKNOWN": () => ascii("PROXY UNKNOWN\r\n"),
    "LOCAL": () => binary({ command: 0x20, family: 0 }),
    "LOCAL with a checksum": () => withChecksum({ command: 0x20, family: 0 }),
    "its own addresses": (client, port) =>
      ascii(`PROXY TCP4 127.0.0.1 127.0.0.1 ${client.port} ${port}\r\n`),
  };

for (const [name, header] of Object.entries(checks)) {
  for (const end of ["closeWrite", "reset"] as const) {
    for (const streaming of [false, true]) {
      const how = `${end}(), ${streaming ? "streaming" : "buffered"}`;
      Deno.test(`a health check with ${name} takes no turn (${how})`, async () => {
        const accepted = Promise.withResolvers<void>();
        let turns = 0;
        const { server, records } = serveLocally({
          ...fromProxy,
          streaming,
          allow: () => {
            accepted.resolve();
            return true;
          },
        }, (conn) => {
          turns++;
          return conn.bytes();
        });
        const client = await RudeClient.connect(server.addr);
        await client.write(header(client, server.addr.port));
        await accepted.promise;
        await client[end]();
        const { outcome, phase, error } = await records.nth(1);
        assertEquals([outcome, phase, error], [
          "health-check",
          "reading",
          undefined,
        ]);
        if (end === "closeWrite") assertEquals(await client.read(), null);
        assertEquals(await ask(server.addr, `${line}next`), "next");
        await server.shutdown();
        assertEquals([turns, records.outcomes], [1, ["health-check", "ok"]]);
      });
    }
  }
}

Deno.test("a client without a request takes its turn behind a proxy, too", async () => {
  const { server, records } = serveLocally(fromProxy, () => "hello");
  assertEquals(await ask(server.addr, line), "hello");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});
