// Requests that end before the client's FIN: at a delimiter, or in silence.

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { TcpOptions } from "../mod.ts";
import { encode, pattern } from "./bytes.ts";
import { checkRow, endOf } from "./fault_table.ts";
import { RudeClient } from "./rude_client.ts";
import { ask, begin, connect, pause, readText, writeAll } from "./sockets.ts";
import { listenLocally, serveLocally, turnOfIo } from "./support.ts";
import { cert, connectTls, key } from "./tls.ts";

/** Echoes what arrives of a request whose client never sends a FIN. */
async function echoed(
  parts: (string | Uint8Array)[],
  options: TcpOptions,
): Promise<{ reply: string; end: string | undefined; bytesRead: number }> {
  const { server, records } = serveLocally(options);
  const client = await connect(server.addr);
  for (const part of parts) {
    await writeAll(client, typeof part === "string" ? encode(part) : part);
  }
  const reply = await readText(client);
  const { end, bytesRead, outcome } = await records.nth(1);
  assertEquals(outcome, "ok");
  await server.shutdown();
  return { reply, end, bytesRead };
}

for (const streaming of [false, true]) {
  const how = streaming ? "streamed" : "buffered";

  Deno.test(`until: a delimiter ends a request without a FIN, ${how}`, async () => {
    assertEquals(await echoed(["hello\n"], { until: "\n", streaming }), {
      reply: "hello\n",
      end: "delimiter",
      bytesRead: 6,
    });
  });

  Deno.test(`until: what follows the delimiter is not part of the request, ${how}`, async () => {
    assertEquals(
      await echoed(["one\r\n\r\ntwo"], { until: "\r\n\r\n", streaming }),
      { reply: "one\r\n\r\n", end: "delimiter", bytesRead: 7 },
    );
  });

  Deno.test(`until: a FIN before any delimiter ends a request, too, ${how}`, async () => {
    const { server, records } = serveLocally({ until: "\n", streaming });
    assertEquals(await ask(server.addr, "hello"), "hello");
    assertEquals((await records.nth(1)).end, "fin");
    assertEquals(await ask(server.addr, ""), "");
    await server.shutdown();
  });

  Deno.test(`until: a delimiter may be split over reads, ${how}`, async () => {
    const { server, records } = serveLocally({
      until: new Uint8Array([1, 2, 3]),
      streaming,
    });
    const client = await RudeClient.connect(server.addr);
    const bytes = [9, 1, 2, 9, 1, 1, 2, 3, 7];
    for (const byte of bytes) {
      await client.write(new Uint8Array([byte]));
      // A turn of the event loop, so that bytes arrive one by one.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const record = await records.nth(1);
    assertEquals([record.end, record.bytesRead], ["delimiter", 8]);
    await client.reset();
    await server.shutdown();
  });

  Deno.test(`until: a silence ends a request without a FIN, ${how}`, async () => {
    assertEquals(
      await echoed(["hel", "lo"], { until: { idle: 50 }, streaming }),
      { reply: "hello", end: "idle", bytesRead: 5 },
    );
  });

  Deno.test(`until: a silence from the beginning ends an empty request, ${how}`, async () => {
    assertEquals(await echoed([], { until: { idle: 50 }, streaming }), {
      reply: "",
      end: "idle",
      bytesRead: 0,
    });
  });

  Deno.test(`until: a delimiter beyond maxRequestBytes is too late, ${how}`, async () => {
    const { server, records } = serveLocally({
      until: "\n",
      maxRequestBytes: 5,
      deadline: Infinity,
      idleTimeout: Infinity,
      streaming,
      onRefuse: () => "refused",
    });
    for (
      const [request, outcome] of [["abcd\nmore", "ok"], [
        "abcde\n",
        "too-large",
      ]]
    ) {
      const client = await begin(server.addr, request ?? "");
      const reply = await readText(client);
      assertEquals(reply, outcome === "ok" ? "abcd\n" : "refused");
    }
    const tooLarge = await records.nth(2);
    assertEquals(tooLarge.end, undefined);
    assertEquals(await ask(server.addr, "next\n"), "next\n");
    assertEquals(records.outcomes, ["ok", "too-large", "ok"]);
    await server.shutdown();
    checkRow("a delimiter beyond maxRequestBytes", {
      client: "refusal",
      records: [tooLarge],
      released: endOf(tooLarge),
    });
  });

  Deno.test(`until: a delimiter that never comes is cut by idleTimeout, ${how}`, async () => {
    const { server, records } = serveLocally({
      until: "\n",
      deadline: Infinity,
      idleTimeout: 50,
      onRefuse: ({ name }) => name,
      streaming,
    });
    const client = await begin(server.addr, "hello");
    assertEquals(await readText(client), "TimeoutError");
    const record = await records.nth(1);
    assertEquals(record.end, undefined);
    assertEquals(await ask(server.addr, "next\n"), "next\n");
    checkRow("a delimiter that never comes", {
      client: "refusal",
      records: [record],
      released: endOf(record),
    });
    await server.shutdown();
  });

  Deno.test(`until: a flood after the delimiter does not destroy the answer, ${how}`, async () => {
    const { server, records } = serveLocally({
      until: "\n",
      deadline: Infinity,
      idleTimeout: Infinity,
      streaming,
    });
    const client = await connect(server.addr);
    const reply = readText(client);
    await writeAll(client, encode("hello\n"));
    // The server may close once it has dropped this for long enough.
    await writeAll(client, new Uint8Array(20_000_000)).catch(() => {});
    await client.closeWrite().catch(() => {});
    assertEquals(await reply, "hello\n");
    assertEquals(await ask(server.addr, "next\n"), "next\n");
    await server.shutdown();
    checkRow("a flood after the delimiter", {
      client: "response",
      records: records.all,
      released: "event",
    });
  });

  Deno.test(`until: a large answer reaches a client that still sends, ${how}`, async () => {
    const large = pattern(4_000_000);
    const { server } = serveLocally({ until: "\n", streaming }, () => large);
    const client = await connect(server.addr);
    const reply = new Response(client.readable).bytes();
    await writeAll(client, encode("go\n"));
    assertEquals((await reply).length, large.length);
    await server.shutdown();
  });
}

Deno.test("until: a delimiter ends a request on TLS", async () => {
  const { server, records } = serveLocally({ cert, key, until: "\n" });
  const client = await connectTls(server.addr.port);
  await writeAll(client, encode("hello\nmore"));
  assertEquals(await readText(client), "hello\n");
  assertEquals((await records.nth(1)).end, "delimiter");
  await server.shutdown();
});

Deno.test("until: a kept request can be read after its answer has begun", async () => {
  const { listener } = listenLocally({ until: "\n" });
  const client = await begin(listener.addr, "hello\nmore");
  for await (const conn of listener) {
    const writer = conn.writable.getWriter();
    await writer.write("answer to ");
    await writer.write(await conn.text());
    await writer.close();
    break;
  }
  assertEquals(await readText(client), "answer to hello\n");
});

Deno.test("until: a silence is not the handler's, and its deadline holds", async () => {
  const { server, records } = serveLocally(
    { until: { idle: 20 }, deadline: 200, idleTimeout: 60 },
    (conn) =>
      new Promise((resolve) => {
        conn.signal.addEventListener("abort", () => resolve());
      }),
  );
  const client = await begin(server.addr, "hello");
  assertEquals(await readText(client), "");
  assertEquals(records.outcomes, ["deadline"]);
  await server.shutdown();
});

Deno.test("until: what comes after a silence is not part of any request", async () => {
  const handling = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const { server } = serveLocally({ until: { idle: 20 } }, async (conn) => {
    if (conn.id > 1) return await conn.bytes();
    handling.resolve();
    await goOn.promise;
    return await conn.bytes();
  });
  const client = await begin(server.addr, "first");
  await handling.promise;
  await writeAll(client, encode("late"));
  const next = ask(server.addr, "second");
  goOn.resolve();
  assertEquals(await readText(client), "first");
  assertEquals(await next, "second");
  await server.shutdown();
});

Deno.test("until: a silence never writes late bytes into a reader's buffer", async () => {
  const { listener } = listenLocally({ until: { idle: 20 }, streaming: true });
  const client = await begin(listener.addr, "first");
  for await (const conn of listener) {
    const buffer = new Uint8Array(20);
    assertEquals(await conn.read(buffer), 5);
    assertEquals(await conn.read(buffer.subarray(5)), null);
    await writeAll(client, encode("late"));
    await turnOfIo();
    await conn.respond("answer");
    assertEquals(buffer.subarray(5), new Uint8Array(15));
    break;
  }
  assertEquals(await readText(client), "answer");
});

Deno.test("until: a client that resets after the delimiter is recorded as such or as served", async () => {
  const handling = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const { server, records } = serveLocally({ until: "\n" }, async (conn) => {
    if (conn.id > 1) return "next";
    handling.resolve();
    await gone.promise;
    return pattern(8_000_000);
  });
  const client = await RudeClient.connect(server.addr);
  await client.write("hello\n");
  await handling.promise;
  await client.reset();
  gone.resolve();
  assertEquals(await ask(server.addr, "x\n"), "next");
  const [first, second] = records.outcomes;
  assert(first === "reset" || first === "ok", first);
  assertEquals(second, "ok");
  await server.shutdown();
});

Deno.test("until: bytes that are changed afterwards do not change the delimiter", async () => {
  const until = encode("\n");
  const { server } = serveLocally({ until });
  until.fill(0);
  const client = await begin(server.addr, "hello\n");
  assertEquals(await readText(client), "hello\n");
  await server.shutdown();
});

// Reading piece by piece

for (const streaming of [false, true]) {
  const how = streaming ? "streamed" : "buffered";

  Deno.test(`Conn.read() gives the request piece by piece, ${how}`, async () => {
    const request = pattern(1_000_000);
    const { listener, records } = listenLocally({ streaming });
    const client = await connect(listener.addr);
    const reply = readText(client);
    const sent = writeAll(client, request).then(() => client.closeWrite());
    for await (const conn of listener) {
      const buffer = new Uint8Array(7000);
      const gathered = new Uint8Array(request.length);
      let size = 0;
      for (;;) {
        const read = await conn.read(buffer);
        if (read === null) break;
        gathered.set(buffer.subarray(0, read), size);
        size += read;
      }
      assertEquals(size, request.length);
      assertEquals(gathered, request);
      assertEquals(await conn.read(buffer), null);
      assert(conn.bodyUsed);
      await conn.respond("got it");
      break;
    }
    await sent;
    assertEquals(await reply, "got it");
    assertEquals(records.outcomes, ["ok"]);
  });

  Deno.test(`Conn.read(), readable and bytes() exclude each other, ${how}`, async () => {
    const { listener } = listenLocally({ streaming });
    const ways = ["read", "bytes", "readable"] as const;
    let at = 0;
    const answers = ways.map(() => ask(listener.addr, "hello"));
    for await (const conn of listener) {
      const buffer = new Uint8Array(10);
      const read = () => conn.read(buffer);
      const bytes = () => conn.bytes();
      const stream = () => new Response(conn.readable).bytes();
      const first = ways[at];
      if (first === "read") {
        await read();
        await assertRejects(bytes, TypeError, "twice");
        await assertRejects(stream, TypeError, "has been read already");
      } else if (first === "bytes") {
        await bytes();
        await assertRejects(read, TypeError, "twice");
      } else {
        const { readable } = conn;
        await assertRejects(read, TypeError, "`readable` has been taken");
        await new Response(readable).bytes();
      }
      await conn.respond();
      if (++at === ways.length) break;
    }
    await Promise.all(answers);
  });

  Deno.test(`Conn.read() fails when the exchange has moved on, ${how}`, async () => {
    const { listener } = listenLocally({ streaming });
    const answers = [ask(listener.addr, "one"), ask(listener.addr, "two")];
    let kept: { read(buffer: Uint8Array): Promise<number | null> } | undefined;
    for await (const conn of listener) {
      if (kept) {
        const { read } = kept;
        const late = () => read.call(kept, new Uint8Array(9));
        const reason = streaming ? "was dropped" : "moved on";
        await assertRejects(late, TypeError, reason);
        await conn.respond();
        break;
      }
      kept = conn;
    }
    await Promise.all(answers);
  });
}

Deno.test("Conn.read() rejects with the client's fault, also unawaited", async () => {
  const { listener, records } = listenLocally({ streaming: true });
  const client = await RudeClient.connect(listener.addr);
  await client.write("hello");
  for await (const conn of listener) {
    const buffer = new Uint8Array(10);
    assertEquals(await conn.read(buffer), 5);
    const pending = conn.read(buffer);
    await client.reset();
    await assertRejects(() => pending, Deno.errors.ConnectionReset);
    conn.read(buffer);
    break;
  }
  assertEquals(records.outcomes, ["reset"]);
});

Deno.test("Conn.read() gives 0 for an empty buffer", async () => {
  const { listener } = listenLocally();
  const answer = ask(listener.addr, "hello");
  for await (const conn of listener) {
    assertEquals(await conn.read(new Uint8Array(5)), 5);
    await conn.respond();
    break;
  }
  await answer;
});

Deno.test("Conn.read() rejects while another read is pending", async () => {
  const { listener, records } = listenLocally({ streaming: true });
  const client = await connect(listener.addr);
  for await (const conn of listener) {
    const buffer = new Uint8Array(10);
    const first = conn.read(buffer);
    const second = () => conn.read(new Uint8Array(10));
    await assertRejects(second, TypeError, "a read is pending");
    await writeAll(client, encode("hello"));
    assertEquals(await first, 5);
    await client.closeWrite();
    assertEquals(await conn.read(buffer), null);
    await conn.respond("answer");
    break;
  }
  assertEquals(await readText(client), "answer");
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("until: a silence after the FIN is none of the request", async () => {
  const { server, records } = serveLocally(
    { until: { idle: 50 }, streaming: true },
    async (conn) => {
      await conn.text();
      return pattern(32_000_000);
    },
  );
  const client = await connect(server.addr);
  await writeAll(client, encode("request"));
  await client.closeWrite();
  // The response waits for room, for longer than that silence.
  await pause(300);
  await new Response(client.readable).bytes();
  assertEquals((await records.nth(1)).end, "fin");
  await server.shutdown();
});
