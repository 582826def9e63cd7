import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import net from "node:net";
import tls from "node:tls";
import { listen, TimeoutError } from "../mod.ts";
import { descriptors } from "./harness/proc.ts";
import { encode, pattern } from "./bytes.ts";
import { checkRow } from "./fault_table.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  begin,
  connect,
  exchangeOn,
  local,
  readBytes,
  readText,
  writeAll,
} from "./sockets.ts";
import { echoOnce, Records, serveLocally, until } from "./support.ts";
import { caCerts, cert, connectTls, key } from "./tls.ts";

async function askTls(
  { port }: Deno.NetAddr,
  request: Uint8Array,
): Promise<Uint8Array> {
  return await exchangeOn(await connectTls(port), request);
}

Deno.test("listen() speaks TLS, byte for byte", async (t) => {
  const { server, records } = serveLocally({ cert, key });
  for (const size of [0, 1, 65_536, 65_537, 5_000_000]) {
    await t.step(`${size} bytes`, async () => {
      const request = pattern(size);
      assertEquals(await askTls(server.addr, request), request);
    });
  }
  await server.shutdown();
  assertEquals(records.outcomes, Array(5).fill("ok"));
});

Deno.test("listen() with TLS serves its backlog before it closes", async () => {
  const { server, records } = serveLocally({ cert, key });
  const slow = await connectTls(server.addr.port);
  await slow.write(encode("slow"));
  // They are in the backlog now, and have yet to shake hands.
  const clients = await Promise.all(
    Array.from({ length: 10 }, () => connectTls(server.addr.port)),
  );
  const answers = clients.map((client, i) =>
    exchangeOn(client, encode(`client ${i}`))
  );
  const stopped = server.shutdown();
  await slow.closeWrite();
  assertEquals(
    await Promise.all(answers),
    answers.map((_, i) => encode(`client ${i}`)),
  );
  assertEquals(await readText(slow), "slow");
  await stopped;
  assertEquals(records.outcomes, Array(11).fill("ok"));
});

/** Connects, without TLS, and leaves. */
async function connected(addr: Deno.NetAddr): Promise<void> {
  (await connect(addr)).close();
}

Deno.test("listen() with TLS drops and records bad handshakes", async (t) => {
  const { server, records } = serveLocally({
    cert,
    key,
    deadline: Infinity,
    idleTimeout: Infinity,
  });
  let count = 0;
  await t.step("plaintext", async () => {
    const client = await begin(server.addr, "GET / HTTP/1.0\r\n\r\n");
    const record = await records.nth(++count);
    assertEquals([record.outcome, record.phase], ["handshake", "reading"]);
    assertInstanceOf(record.error, Deno.errors.InvalidData);
    const [contentType] = await readBytes(client);
    assertEquals(contentType, 21, "an alert (RFC 8446, section 5.1)");
  });
  await t.step("connect and leave", async () => {
    await connected(server.addr);
    const record = await records.nth(++count);
    assertEquals(record.outcome, "handshake");
    assertInstanceOf(record.error, Deno.errors.UnexpectedEof);
  });
  await t.step("connect and reset", async () => {
    const client = await RudeClient.connect(server.addr);
    await client.write("\x16\x03\x01");
    await client.reset();
    assertEquals((await records.nth(++count)).outcome, "reset");
  });
  await t.step("a client that does not trust us", async () => {
    await assertRejects(async () => {
      const client = await Deno.connectTls({
        hostname: "localhost",
        port: server.addr.port,
      });
      await client.handshake();
    });
    assertEquals((await records.nth(++count)).outcome, "handshake");
  });
  await t.step("and the next client is served", async () => {
    assertEquals(await askTls(server.addr, encode("hello")), encode("hello"));
  });
  const failed = records.all.filter(({ outcome }) => outcome === "handshake");
  assertEquals(failed.length, 3);
  checkRow("bad handshakes", {
    client: "alert",
    records: failed,
    released: "event",
  });
  await server.shutdown();
});

Deno.test("listen() with TLS never hands over a client whose handshake failed", async () => {
  let handled = 0;
  const { server, records } = serveLocally(
    { cert, key, streaming: true },
    () => void handled++,
  );
  await connected(server.addr);
  assertEquals((await records.nth(1)).outcome, "handshake");
  await server.shutdown();
  assertEquals(handled, 0);
});

Deno.test("listen() with TLS cuts a silent client that is told nothing", async () => {
  const { server, records } = serveLocally({ cert, key, idleTimeout: 30 });
  const client = await connectTls(server.addr.port);
  await client.write(encode("half a requ"));
  assertEquals(await readText(client), "");
  assertEquals(await askTls(server.addr, encode("next")), encode("next"));
  await server.shutdown();
  assertEquals(records.outcomes, ["idle", "ok"]);
});

Deno.test("listen() with TLS ends a handshake that never ends", async () => {
  const { server, records } = serveLocally({
    cert,
    key,
    idleTimeout: 30,
    onRefuse: () => "would need a handshake",
  });
  const client = await connect(server.addr);
  assertEquals((await records.nth(1)).outcome, "idle");
  assertEquals(await askTls(server.addr, encode("next")), encode("next"));
  client.close();
  await server.shutdown();
});

Deno.test({
  name: "listen() with TLS gets over 100 handshakes that never end, at once",
  async fn() {
    const { server, records } = serveLocally({
      cert,
      key,
      deadline: Infinity,
      idleTimeout: 10,
    });
    assertEquals(await askTls(server.addr, encode("before")), encode("before"));
    const before = descriptors() ?? 0;
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => connect(server.addr)),
    );
    await records.nth(101);
    assertEquals(await askTls(server.addr, encode("next")), encode("next"));
    assertEquals(records.outcomes, ["ok", ...Array(100).fill("idle"), "ok"]);
    await server.shutdown();
    // Each keeps its descriptor here until its client leaves, closed or not, and
    // no client is told of the end.
    const told = clients.map((client) => client.read(new Uint8Array(1)));
    const first = Promise.race(told).then(() => "told");
    const other = serveLocally();
    assertEquals(await ask(other.server.addr, "turn of I/O"), "turn of I/O");
    assertEquals(
      await Promise.race([first, Promise.resolve("nothing")]),
      "nothing",
    );
    await other.server.shutdown();
    const { error } = await records.nth(101);
    assertInstanceOf(error, TimeoutError);
    checkRow("100 handshakes that never end, at once", {
      client: "nothing",
      records: records.all.slice(1, -1),
      released: error.option,
    });
    for (const client of clients) client.close();
    await Promise.allSettled([...told, first]);
    await until(() => (descriptors() ?? 0) <= before);
  },
});

/** A TLS client whose TCP connection can be ended behind its back. */
async function tlsOverRawSocket(addr: Deno.NetAddr) {
  const raw = net.connect({ host: addr.hostname, port: addr.port });
  raw.on("error", () => {});
  const secure = tls.connect({
    socket: raw,
    servername: "localhost",
    ca: caCerts,
  });
  secure.on("error", () => {});
  await new Promise((resolve) => secure.once("secureConnect", resolve));
  return {
    write: (text: string) =>
      new Promise<void>((resolve) => secure.write(text, () => resolve())),
    cut: () =>
      new Promise<void>((resolve) => {
        raw.once("close", () => resolve());
        raw.destroy();
      }),
  };
}

for (const streaming of [false, true]) {
  const mode = streaming ? "streaming" : "buffered";
  Deno.test(`listen() with TLS takes a cut without close_notify for a truncation (${mode})`, async () => {
    let handled = 0;
    const { server, records } = serveLocally(
      { cert, key, deadline: Infinity, idleTimeout: Infinity, streaming },
      async (conn) => {
        const text = await conn.text();
        handled++;
        return text;
      },
    );
    const client = await tlsOverRawSocket(server.addr);
    await client.write("half a requ");
    await client.cut();
    const record = await records.nth(1);
    assertEquals(record.phase, "reading");
    assertEquals(record.outcome, "truncated");
    assertInstanceOf(record.error, Deno.errors.UnexpectedEof);
    assertEquals(handled, 0);
    assertEquals(await askTls(server.addr, encode("next")), encode("next"));
    await server.shutdown();
    checkRow("a cut without close_notify", {
      client: "left",
      records: [record],
      released: "event",
    });
  });
}

Deno.test("listen() with TLS answers a client that still sends", async () => {
  const { server, records } = serveLocally(
    { cert, key, streaming: true },
    () => pattern(1_000_000),
  );
  const client = await connectTls(server.addr.port);
  await writeAll(client, pattern(500_000));
  assertEquals((await readBytes(client)).length, 1_000_000);
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("listen() with TLS tells a client why it is refused", async () => {
  const { server, records } = serveLocally({
    cert,
    key,
    maxRequestBytes: 1000,
    onRefuse: () => "too large",
  });
  const client = await connectTls(server.addr.port);
  await writeAll(client, pattern(300_000));
  assertEquals(await readText(client), "too large");
  await server.shutdown();
  assertEquals(records.outcomes, ["too-large"]);
});

Deno.test("listen() takes over a TLS listener", async () => {
  const records = new Records();
  const ours = listen({
    listener: Deno.listenTls({ ...local, cert, key }),
    onExchange: records.add,
  });
  const answer = askTls(ours.addr, encode("hello"));
  await echoOnce(ours);
  assertEquals(await answer, encode("hello"));
  assertEquals(records.outcomes, ["ok"]);
});
