// The programs that people use as clients, and what the server makes of them.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Handler } from "../mod.ts";
import { assertSame, encode, pattern } from "./bytes.ts";
import { type Client, clients, talk, testWith } from "./clients.ts";
import {
  type Records,
  serveAt,
  serveLocally,
  temporaryFolder,
} from "./support.ts";

const MEBIBYTE = 1_048_576;

/** Checks that replies of all sizes come back whole. */
async function checkReplies<Addr extends Deno.Addr>(
  client: Client<Addr>,
  start: (handler: Handler<Addr>) => {
    server: { addr: Addr; shutdown: () => Promise<void> };
    records: Records;
  },
): Promise<void> {
  const answer = pattern(MEBIBYTE).reverse();
  const cases: {
    sizes: number[];
    reply: (request: Uint8Array) => Uint8Array;
  }[] = [
    { sizes: [0, 1, 65_537, MEBIBYTE, MEBIBYTE], reply: (request) => request },
    { sizes: [0, 1, MEBIBYTE], reply: () => answer },
    { sizes: [MEBIBYTE], reply: () => encode("done") },
  ];
  for (const { sizes, reply } of cases) {
    const { server, records } = start(async (conn) => {
      return reply(await conn.bytes());
    });
    for (const size of sizes) {
      const request = pattern(size);
      const expected = reply(request);
      assertSame(await talk(client, server.addr, request), expected);
    }
    await server.shutdown();
    assertEquals(
      records.all.map(({ bytesRead, outcome }) => [bytesRead, outcome]),
      sizes.map((size) => [size, "ok"]),
    );
  }
}

for (const client of clients.wellBehaved) {
  testWith(client, `serve() answers ${client.name}`, () => {
    return checkReplies(client, (handler) => {
      return serveLocally(client.options, handler);
    });
  });
}

for (const client of clients.onUnix) {
  testWith(client, `serve() answers ${client.name}`, async () => {
    await using folder = await temporaryFolder();
    await checkReplies(client, (handler) => {
      return serveAt(`${folder.path}/test.sock`, {}, handler);
    });
  });
}

for (const client of clients.impatient) {
  const name = `serve() reads a request whole from ${client.name}, ` +
    "which leaves before a late answer";
  testWith(client, name, async () => {
    const left = Promise.withResolvers<void>();
    const requests: string[] = [];
    const { server } = serveLocally(client.options, async (conn) => {
      requests.push(await conn.text());
      await left.promise;
      return "too late";
    });
    const reply = await talk(client, server.addr, encode("hello"));
    left.resolve();
    assertEquals(reply.length, 0);
    await server.shutdown();
    assertEquals(requests, ["hello"]);
  });
}

for (const client of clients.endless) {
  const name = `serve() gives up on ${client.name}, which never half-closes`;
  testWith(client, name, async () => {
    const { server, records } = serveLocally({
      ...client.options,
      idleTimeout: 1000,
      onRefuse: () => "no FIN came",
    });
    const reply = await talk(client, server.addr, encode("hello"));
    // Some print more than the reply.
    assertStringIncludes(new TextDecoder().decode(reply), "no FIN came");
    const { bytesRead, outcome } = await records.nth(1);
    assert(bytesRead >= "hello".length);
    assertEquals(outcome, "idle");
    await server.shutdown();
  });

  for (const until of client.until) {
    const name = `serve() answers ${client.name}, which never half-closes, ` +
      `with until: ${JSON.stringify(until)}`;
    testWith(client, name, async () => {
      const { server, records } = serveLocally(
        { ...client.options, until },
        async (conn) => `${(await conn.text()).trim()} to you`,
      );
      const reply = await talk(client, server.addr, encode("hello\n"));
      const text = new TextDecoder().decode(reply);
      assertStringIncludes(text, "hello");
      assertStringIncludes(text, " to you");
      const { end, outcome } = await records.nth(1);
      const expected = typeof until === "string" ? "delimiter" : "idle";
      assertEquals([end, outcome], [expected, "ok"]);
      await server.shutdown();
    });
  }
}

for (const client of clients.truncating) {
  const name = `serve() takes no truncated request from ${client.name}`;
  testWith(client, name, async () => {
    let handled = 0;
    const { server, records } = serveLocally(client.options, () => {
      handled++;
    });
    await talk(client, server.addr, encode("hello"));
    const { bytesRead, bytesWritten, outcome } = await records.nth(1);
    assertEquals(
      { bytesRead, bytesWritten, outcome, handled },
      { bytesRead: 5, bytesWritten: 0, outcome: "truncated", handled: 0 },
    );
    await server.shutdown();
  });

  const whole = `serve() takes a request with a delimiter from ${client.name}`;
  testWith(client, whole, async () => {
    const requests: string[] = [];
    const { server, records } = serveLocally(
      { ...client.options, until: "\n" },
      async (conn) => {
        requests.push(await conn.text());
        return "answer";
      },
    );
    const reply = await talk(client, server.addr, encode("hello\n"));
    // The other one has given up TLS, and prints what it cannot decrypt.
    if (client.name === "ncat --ssl") assertSame(reply, encode("answer"));
    const { end, outcome } = await records.nth(1);
    assertEquals([end, outcome], ["delimiter", "ok"]);
    await server.shutdown();
    assertEquals(requests, ["hello\n"]);
  });
}
