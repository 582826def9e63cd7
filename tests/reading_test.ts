import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  type Conn,
  type Handler,
  RequestTooLargeError,
  TimeoutError,
} from "../mod.ts";
import { RequestChunks } from "../exchange/request_bytes.ts";
import { encode, pattern } from "./bytes.ts";
import { RudeClient } from "./rude_client.ts";
import {
  begin,
  connect,
  exchange,
  readBytes,
  readText,
  send,
  writeAll,
} from "./sockets.ts";
import { listenLocally, serveLocally } from "./support.ts";

/** Runs `use` on the connection of a client that has sent `request`. */
async function withRequest(
  request: string | Uint8Array,
  streaming: boolean,
  use: (conn: Conn<Deno.NetAddr>) => Promise<void>,
): Promise<void> {
  const { listener } = listenLocally({ streaming });
  const answer = exchange(listener.addr, request);
  for await (const conn of listener) {
    await use(conn);
    await conn.respond("done");
    break;
  }
  await listener.shutdown();
  assertEquals(new TextDecoder().decode(await answer), "done");
}

for (const streaming of [false, true]) {
  const mode = streaming ? "streaming" : "buffered";

  Deno.test(`Conn.bytes() gives the request (${mode})`, async (t) => {
    for (const size of [0, 5, 65_536, 1_000_000]) {
      await t.step(`${size} bytes`, async () => {
        const request = pattern(size);
        await withRequest(request, streaming, async (conn) => {
          const bytes = await conn.bytes();
          assertEquals(bytes, request);
          assertEquals(bytes.buffer.byteLength, size);
        });
      });
    }
  });

  Deno.test(`Conn.arrayBuffer() gives the request (${mode})`, async () => {
    const request = pattern(100_000);
    await withRequest(request, streaming, async (conn) => {
      assertEquals(new Uint8Array(await conn.arrayBuffer()), request);
    });
    await withRequest("small", streaming, async (conn) => {
      assertEquals(new Uint8Array(await conn.arrayBuffer()), encode("small"));
    });
  });

  Deno.test(`Conn.text() decodes UTF-8 (${mode})`, async () => {
    await withRequest("grüße 🦕", streaming, async (conn) => {
      assertEquals(await conn.text(), "grüße 🦕");
    });
    // A byte order mark goes, what is not UTF-8 is replaced.
    const odd = new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff]);
    await withRequest(odd, streaming, async (conn) => {
      assertEquals(await conn.text(), "a\ufffd");
    });
  });

  Deno.test(`Conn.text() decodes across its pieces (${mode})`, async () => {
    // Three bytes each: characters lie across the buffers' ends.
    const text = "€".repeat(200_000);
    await withRequest(text, streaming, async (conn) => {
      assertEquals(await conn.text(), text);
    });
  });

  Deno.test(`Conn.json() parses the request (${mode})`, async () => {
    await withRequest('{"a":[1,2]}', streaming, async (conn) => {
      assertEquals(await conn.json(), { a: [1, 2] });
    });
    await withRequest("{", streaming, async (conn) => {
      await assertRejects(() => conn.json(), SyntaxError);
    });
  });

  Deno.test(`Conn.bytes() and the like refuse a second reading (${mode})`, async () => {
    await withRequest("hello", streaming, async (conn) => {
      assertFalse(conn.bodyUsed);
      const first = conn.text();
      await assertRejects(() => conn.text(), TypeError, "twice");
      assertEquals(await first, "hello");
      await assertRejects(() => conn.bytes(), TypeError, "twice");
      await assertRejects(() => conn.json(), TypeError, "twice");
      await assertRejects(() => conn.arrayBuffer(), TypeError, "twice");
      await assertRejects(() => readAll(conn.readable), TypeError);
    });
  });

  Deno.test(`Conn.readable leaves the sending half open at its end (${mode})`, async () => {
    await withRequest("hello", streaming, async (conn) => {
      assertStrictEquals(conn.readable, conn.readable);
      assertFalse(conn.bodyUsed);
      assertEquals(await readAll(conn.readable), encode("hello"));
      assertEquals(conn.bodyUsed, true);
    });
  });

  Deno.test(`Conn.readable gives all of a large request (${mode})`, async () => {
    const request = pattern(3_000_000);
    await withRequest(request, streaming, async (conn) => {
      assertEquals(await readAll(conn.readable), request);
    });
  });

  Deno.test(`Conn.readable fills buffers that readers bring (${mode})`, async () => {
    const request = pattern(200_000);
    await withRequest(request, streaming, async (conn) => {
      const reader = conn.readable.getReader({ mode: "byob" });
      const got: number[] = [];
      let buffer = new ArrayBuffer(1000);
      for (;;) {
        const { value, done } = await reader.read(new Uint8Array(buffer));
        if (done) break;
        got.push(...value);
        buffer = value.buffer;
      }
      assertEquals(new Uint8Array(got), request);
    });
  });

  Deno.test(`Conn.text() reads on from an untouched readable (${mode})`, async () => {
    await withRequest("hello", streaming, async (conn) => {
      const readable = conn.readable;
      assertEquals(await conn.text(), "hello");
      assertEquals(readable.locked, true);
    });
  });

  Deno.test(`Conn.text() refuses a readable that somebody holds (${mode})`, async () => {
    await withRequest("hello", streaming, async (conn) => {
      const reader = conn.readable.getReader();
      await assertRejects(() => conn.text(), TypeError, "twice");
      assertEquals((await reader.read()).value, encode("hello"));
      assertEquals((await reader.read()).done, true);
    });
  });

  Deno.test(`Conn.readable can be cancelled, and answered (${mode})`, async () => {
    await withRequest(pattern(2_000_000), streaming, async (conn) => {
      const reader = conn.readable.getReader();
      await reader.read();
      await reader.cancel();
      assertEquals(conn.bodyUsed, true);
    });
  });

  Deno.test(`Conn.readable can be teed and piped (${mode})`, async () => {
    await withRequest("hello", streaming, async (conn) => {
      const [one, two] = conn.readable.tee();
      const upper = one.pipeThrough(new TextDecoderStream());
      assertEquals(await new Response(two).text(), "hello");
      assertEquals(await Array.fromAsync(upper), ["hello"]);
    });
  });
}

function readAll(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Response(stream).bytes();
}

Deno.test("Conn.bytes() gives a copy that later exchanges leave alone", async () => {
  const { server } = serveLocally({}, async (conn) => {
    kept.push(await conn.bytes());
  });
  const kept: Uint8Array[] = [];
  for (const request of ["first", "other", "third"]) {
    await exchange(server.addr, request);
  }
  await server.shutdown();
  assertEquals(kept, ["first", "other", "third"].map(encode));
  assertNotStrictEquals(kept[0]?.buffer, kept[1]?.buffer);
});

Deno.test("Conn.readable taken in a loop stays the request's after it", async () => {
  const { listener } = listenLocally();
  const clients = ["first", "other"].map((text) => send(listener.addr, text));
  const streams: ReadableStream<Uint8Array<ArrayBuffer>>[] = [];
  for await (const conn of listener) {
    streams.push(conn.readable);
    if (streams.length === 2) break;
  }
  const texts = await Promise.all(
    streams.map((stream) => new Response(stream).text()),
  );
  assertEquals(texts.toSorted(), ["first", "other"]);
  for (const client of await Promise.all(clients)) client.close();
});

Deno.test("Conn.text() rejects once the loop has moved on", async () => {
  const { listener } = listenLocally();
  const client = exchange(listener.addr, "hello");
  let kept: Conn | undefined;
  for await (const conn of listener) {
    kept = conn;
    break;
  }
  await client;
  await assertRejects(
    async () => await kept?.text(),
    TypeError,
    "the exchange has moved on",
  );
  assertEquals(kept?.bytesRead, 5);
});

Deno.test("Conn.text() still works after a response and a close", async () => {
  const { listener } = listenLocally();
  const client = exchange(listener.addr, "hello");
  for await (const conn of listener) {
    await conn.respond("bye");
    await conn.close();
    assertEquals(await conn.text(), "hello");
    break;
  }
  assertEquals(await client, encode("bye"));
});

Deno.test("Conn streams: it comes before its request is complete", async () => {
  const { listener, records } = listenLocally({ streaming: true });
  const client = await connect(listener.addr);
  for await (const conn of listener) {
    const reader = conn.readable.getReader();
    for (const piece of ["one", "two", "three"]) {
      await client.write(encode(piece));
      assertEquals((await reader.read()).value, encode(piece));
    }
    await client.closeWrite();
    assertEquals((await reader.read()).done, true);
    await conn.respond("done");
    break;
  }
  assertEquals(await readText(client), "done");
  await listener.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("Conn streams: it echoes what it reads while it reads", async () => {
  const { server } = serveLocally(
    { streaming: true },
    (conn) => conn.readable,
  );
  const request = pattern(5_000_000);
  assertEquals(await exchange(server.addr, request), request);
  await server.shutdown();
});

Deno.test("Conn streams: a body may take the request as it begins", async () => {
  const { server } = serveLocally({ streaming: true }, async function (conn) {
    await Promise.resolve();
    return (async function* () {
      const decoder = new TextDecoder();
      for await (const bytes of conn.readable) {
        yield decoder.decode(bytes, { stream: true }).toUpperCase();
      }
    })();
  });
  const client = await connect(server.addr);
  const answer = readText(client);
  await client.write(encode("a"));
  await client.write(encode("b"));
  await client.closeWrite();
  assertEquals(await answer, "AB");
  await server.shutdown();
});

Deno.test("Conn streams: a body that takes the request after more than 64 KiB hears of it", async () => {
  const errors: unknown[] = [];
  const { server, records } = serveLocally({
    streaming: true,
    onError: (error) => void errors.push(error),
  }, (conn) =>
    (async function* () {
      yield new Uint8Array(65_536);
      assertEquals(conn.bodyUsed, false);
      yield "x";
      yield* conn.readable;
    })());
  const client = await connect(server.addr);
  await readText(client).catch(() => {});
  await server.shutdown();
  assertInstanceOf(errors[0], TypeError, `${errors[0]}`);
  assertEquals(records.outcomes, ["failed"]);
});

Deno.test("Conn streams: reading rejects with what the client did", async () => {
  const { listener, records } = listenLocally({ streaming: true });
  const client = await RudeClient.connect(listener.addr);
  await client.write("half a requ");
  for await (const conn of listener) {
    const reader = conn.readable.getReader();
    await reader.read();
    const next = reader.read();
    await client.reset();
    await assertRejects(() => next, Deno.errors.ConnectionReset);
    assertEquals(conn.signal.aborted, true);
    assertEquals(await conn.respond("too late"), false);
    break;
  }
  const record = await records.nth(1);
  assertEquals(record.outcome, "reset");
  assertEquals(record.phase, "reading");
  assertInstanceOf(record.error, Deno.errors.ConnectionReset);
});

for (const onRefuse of [undefined, () => "refused"]) {
  const when = onRefuse ? "and its client is told" : "and nobody is told";
  Deno.test(`Conn streams: readable rejects with the limit that was reached, ${when}`, async () => {
    const { listener } = listenLocally({
      streaming: true,
      idleTimeout: 30,
      ...(onRefuse && { onRefuse }),
    });
    const client = await connect(listener.addr);
    const answer = readText(client);
    for await (const conn of listener) {
      await assertRejects(
        () => conn.readable.pipeTo(new WritableStream()),
        TimeoutError,
      );
      break;
    }
    assertEquals(await answer, onRefuse ? "refused" : "");
  });
}

/** Reads what there is, and begins a read that nobody awaits. */
function readTwice(reader: { read(): Promise<unknown> }): void {
  reader.read();
  reader.read();
}

Deno.test("Conn streams: a fault that nobody awaits does not end the process", async (t) => {
  const readings = {
    "bytes()": (conn: Conn) => conn.bytes(),
    "arrayBuffer()": (conn: Conn) => conn.arrayBuffer(),
    "text()": (conn: Conn) => conn.text(),
    "json()": (conn: Conn) => conn.json(),
    "readable": (conn: Conn) => readTwice(conn.readable.getReader()),
    "readable, with a buffer": (conn: Conn) => {
      const reader = conn.readable.getReader({ mode: "byob" });
      return readTwice({ read: () => reader.read(new Uint8Array(99)) });
    },
  };
  for (const [name, read] of Object.entries(readings)) {
    await t.step(name, async () => {
      const { listener, records } = listenLocally({ streaming: true });
      const client = await RudeClient.connect(listener.addr);
      await client.write("half a requ");
      for await (const conn of listener) {
        read(conn);
        await client.reset();
        break;
      }
      await records.nth(1);
    });
  }
});

Deno.test("Conn streams: a request over the limit can still be answered", async () => {
  const { listener, records } = listenLocally({
    streaming: true,
    maxRequestBytes: 10,
  });
  const client = exchange(listener.addr, "x".repeat(100_000));
  for await (const conn of listener) {
    const error = await assertRejects(() => conn.bytes(), RequestTooLargeError);
    assertEquals(error.maxRequestBytes, 10);
    assertEquals(await conn.respond("at most 10 bytes"), true);
    break;
  }
  assertEquals(await client, encode("at most 10 bytes"));
  await listener.shutdown();
  assertEquals(records.outcomes, ["too-large"]);
});

Deno.test("Conn streams: what is being read ends as the loop moves on", async () => {
  const { listener } = listenLocally({ streaming: true, lingerTimeout: 20 });
  const client = await connect(listener.addr);
  let read: Promise<unknown> | undefined;
  for await (const conn of listener) {
    read = conn.text();
    break;
  }
  await assertRejects(
    async () => await read,
    TypeError,
    "the exchange has moved on",
  );
  assertEquals(await readText(client), "");
  await listener.shutdown();
});

for (
  const [name, ask] of Object.entries<(conn: Conn) => Promise<string>>({
    "text()": (conn) => conn.text(),
    "readable": async (conn) => await new Response(conn.readable).text(),
    async "read()"(conn) {
      const buffer = new Uint8Array(100);
      let request = "";
      for (;;) {
        const read = await conn.read(buffer);
        if (read === null) return request;
        request += new TextDecoder().decode(buffer.subarray(0, read));
      }
    },
  })
) {
  const ways: Record<string, Handler<Deno.NetAddr>> = {
    async "conn.writable"(conn) {
      const writer = conn.writable.getWriter();
      await writer.write("220 hi\r\n");
      await writer.write("");
      await writer.write(await ask(conn));
      await writer.close();
    },
    async *"a generator"(conn) {
      yield "220 hi\r\n";
      yield await ask(conn);
    },
  };
  for (const [way, handler] of Object.entries(ways)) {
    Deno.test(`Conn streams: ${name} reads the request after a greeting by ${way}`, async () => {
      const { server, records } = serveLocally({ streaming: true }, handler);
      const client = await connect(server.addr);
      const greeting = new Uint8Array(100);
      const read = await client.read(greeting) ?? 0;
      assertEquals(
        new TextDecoder().decode(greeting.subarray(0, read)),
        "220 hi\r\n",
      );
      await writeAll(client, encode("QUIT"));
      await client.closeWrite();
      assertEquals(await readText(client), "QUIT");
      await server.shutdown();
      assertEquals(records.outcomes, ["ok"]);
    });
  }
}

Deno.test("Conn streams: a client that writes everything first is answered in pieces by a handler that does not read", async () => {
  const { server, records } = serveLocally(
    { streaming: true, idleTimeout: 2000 },
    async (conn) => {
      const writer = conn.writable.getWriter();
      for (let i = 0; i < 8; i++) await writer.write(new Uint8Array(1024 ** 2));
      await assertRejects(() => conn.text(), TypeError, "dropped");
      await writer.close();
    },
  );
  // All is written before anything is read.
  const client = await send(server.addr, pattern(8 * 1024 ** 2));
  assertEquals((await readBytes(client)).length, 8 * 1024 ** 2);
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("Conn streams: a response drops the rest of the request", async () => {
  const { listener } = listenLocally({ streaming: true });
  const client = await begin(listener.addr, "start");
  for await (const conn of listener) {
    const reader = conn.readable.getReader();
    await reader.read();
    assertEquals(await conn.respond("enough"), true);
    await assertRejects(() => reader.read(), TypeError, "dropped");
    break;
  }
  const answer = readText(client);
  await writeAll(client, pattern(1_000_000));
  await client.closeWrite();
  assertEquals(await answer, "enough");
  await listener.shutdown();
});

Deno.test("RequestChunks gives chunks to keep, which hold little more than their bytes", () => {
  const borrowed = new Uint8Array(100);
  const chunks = new RequestChunks(borrowed);
  const given: Uint8Array[] = [];
  const read = (count: number) => {
    chunks.room.fill(given.length + 1, 0, count);
    given.push(chunks.take(count));
  };
  read(10);
  assertStrictEquals(chunks.room, borrowed);
  // As much as there was room for: there may be much more to come.
  read(100);
  const { length: large } = chunks.room;
  assert(large > 100);
  for (const count of [large, large - 1, 5, 1, large, 7]) read(count);
  assertEquals(
    given.map(({ length }) => length),
    [10, 100, large, large - 1, 5, 1, large, 7],
  );
  for (const [i, chunk] of given.entries()) {
    assert(chunk.every((byte) => byte === i + 1), `chunk ${i}`);
    assert(chunk.buffer.byteLength <= 2 * chunk.length, `chunk ${i}`);
  }
  assert(given.every(({ buffer }) => buffer !== borrowed.buffer));
});

Deno.test("Conn.readable that is taken before a large response can be read after its beginning", async () => {
  const { server, records } = serveLocally(
    { streaming: true },
    (conn) => {
      const { readable } = conn;
      return (async function* () {
        yield pattern(200_000);
        yield* readable;
      })();
    },
  );
  const reply = await exchange(server.addr, encode("request"));
  assertEquals(new TextDecoder().decode(reply.subarray(200_000)), "request");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("Conn.readable says that its rest was dropped by a response", async () => {
  let next: Promise<unknown> = Promise.resolve();
  const { server } = serveLocally({ streaming: true }, async (conn) => {
    const reader = conn.readable.getReader();
    await reader.read();
    next = reader.read();
    await conn.respond("enough");
  });
  const client = await begin(server.addr, "half a request");
  assertEquals(await readText(client), "enough");
  await assertRejects(() => next, TypeError, "rest of the request was dropped");
  await server.shutdown();
});
