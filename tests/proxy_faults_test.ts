// Headers of the PROXY protocol that are wrong or late: nobody is answered, and the
// limits hold.

import { assertEquals, assertMatch } from "@std/assert";
import { encode } from "./bytes.ts";
import { RudeClient } from "./rude_client.ts";
import { begin, connect, pause, readText, writeAll } from "./sockets.ts";
import { listenLocally, serveLocally } from "./support.ts";

const line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n";
const remoteAddr: Deno.NetAddr = {
  transport: "tcp",
  hostname: "192.0.2.1",
  port: 4711,
};
const fromProxy = { proxyProtocol: true };

for (
  const [name, bytes, message] of [
    ["no header", "GET / HTTP/1.1\r\n\r\n", /begins with "GET \/ HTTP\/1/],
    [
      "a header that is cut",
      line.slice(0, 20),
      /the connection ended after 20 bytes/,
    ],
    ["a wrong header", line.replace("192", "192.0"), /is not an IPv4 address/],
  ] as const
) {
  for (const streaming of [false, true]) {
    const mode = streaming ? "streaming" : "buffered";
    Deno.test(`proxyProtocol answers nobody with ${name} (${mode})`, async () => {
      let turns = 0;
      const { server, records } = serveLocally({
        ...fromProxy,
        streaming,
        onRefuse: () => "no",
      }, () => `${++turns}`);
      const client = await RudeClient.connect(server.addr);
      await client.write(bytes);
      await client.closeWrite();
      // What is unread as the server closes may make the end a reset.
      assertEquals(await client.read().catch(() => null), null);
      const record = await records.nth(1);
      await server.shutdown();
      assertEquals([record.outcome, record.phase, record.bytesRead, turns], [
        "proxy",
        "reading",
        0,
        0,
      ]);
      assertMatch(`${record.error}`, /^InvalidData: Malformed PROXY header: /);
      assertMatch(`${record.error}`, message);
    });
  }
}

Deno.test("proxyProtocol refuses nobody before the header has come", async () => {
  const { server, records } = serveLocally({
    ...fromProxy,
    idleTimeout: 50,
    deadline: 60_000,
    onRefuse: ({ name }) => name,
  });
  const silent = await begin(server.addr, line.slice(0, 20));
  assertEquals(await readText(silent), "");
  const late = await begin(server.addr, line);
  assertEquals(await readText(late), "TimeoutError");
  await server.shutdown();
  assertEquals(records.outcomes, ["idle", "idle"]);
  assertEquals((await records.nth(2)).remoteAddr, remoteAddr);
});

Deno.test("proxyProtocol keeps the deadline while a header drips", async () => {
  const { server, records } = serveLocally({
    ...fromProxy,
    deadline: 100,
    onRefuse: () => "no",
  });
  const client = await connect(server.addr);
  const reply = readText(client);
  const over = records.nth(1).then(() => true);
  for (let at = 0; at < line.length; at++) {
    await client.write(encode(line.charAt(at))).catch(() => {});
    if (await Promise.race([over, pause(20)])) break;
  }
  assertEquals(await reply.catch(() => ""), "");
  await server.shutdown();
  assertEquals(records.outcomes, ["deadline"]);
});

for (const end of ["close", "abort"] as const) {
  Deno.test(`listen() ends by ${end}() while it waits for a header`, async () => {
    const accepted = Promise.withResolvers<void>();
    const controller = new AbortController();
    const { listener, records } = listenLocally({
      ...fromProxy,
      signal: controller.signal,
      allow: () => {
        accepted.resolve();
        return true;
      },
    });
    const client = await begin(listener.addr, "PROXY ");
    accepted.promise.then(() => {
      if (end === "close") listener.close();
      else controller.abort();
    });
    for await (const _ of listener);
    client.close();
    assertEquals(records.outcomes, ["aborted"]);
  });
}

Deno.test("shutdown() serves those whose header has yet to come", async () => {
  const { server, records } = serveLocally(fromProxy);
  const client = await begin(server.addr, line.slice(0, 20));
  const stopped = server.shutdown();
  await writeAll(client, encode(line.slice(20) + "hello"));
  await client.closeWrite();
  assertEquals(await readText(client), "hello");
  await stopped;
  assertEquals(records.outcomes, ["ok"]);
});
