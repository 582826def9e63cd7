import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { type Conn, listen, type ResponseBody } from "../mod.ts";
import { encode, pattern } from "./bytes.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  begin,
  exchange,
  local,
  pause,
  readBytes,
  readText,
  send,
} from "./sockets.ts";
import { listenLocally, serveLocally } from "./support.ts";

/** What a client gets when `use` has the connection, and the record. */
async function answerOf(use: (conn: Conn<Deno.NetAddr>) => unknown) {
  const { listener, records } = listenLocally();
  const answer = ask(listener.addr, "request");
  for await (const conn of listener) {
    await use(conn);
    break;
  }
  await listener.shutdown();
  return { answer: await answer, record: await records.nth(1) };
}

async function* asyncChunks() {
  yield "async ";
  yield await Promise.resolve(encode("chunks"));
}

const bodies: [string, () => ResponseBody, string][] = [
  ["nothing", () => undefined, ""],
  ["null", () => null, ""],
  ["an empty string", () => "", ""],
  ["text as UTF-8", () => "grüße", "grüße"],
  ["a Uint8Array", () => encode("bytes"), "bytes"],
  ["a part of a buffer", () => encode("[part]").subarray(1, 5), "part"],
  ["an ArrayBuffer", () => encode("buffer").buffer, "buffer"],
  ["a DataView", () => new DataView(encode("view").buffer, 1), "iew"],
  ["a Uint16Array", () => new Uint16Array([0x6261]), "ab"],
  ["a shared buffer", () => {
    const shared = new SharedArrayBuffer(2);
    new Uint8Array(shared).set(encode("ok"));
    return shared;
  }, "ok"],
  ["a Blob", () => new Blob(["a ", "blob"]), "a blob"],
  ["a stream of bytes", () => new Response("stream").body, "stream"],
  ["a stream of text", () => ReadableStream.from(["a", "b"]), "ab"],
  ["an array", () => ["in ", encode("pieces"), ""], "in pieces"],
  ["a generator", () => new Set(["x", "y"]).values(), "xy"],
  ["an async generator", asyncChunks, "async chunks"],
  [
    "an empty stream",
    () => new ReadableStream({ start: (c) => c.close() }),
    "",
  ],
];

for (const [name, body, expected] of bodies) {
  Deno.test(`Conn.respond() sends ${name}`, async () => {
    const { answer, record } = await answerOf(async (conn) => {
      assertEquals(await conn.respond(body()), true);
    });
    assertEquals(answer, expected);
    assertEquals(record.bytesWritten, encode(expected).length);
    assertEquals([record.outcome, record.phase], ["ok", "writing"]);
  });
}

const wrongBodies: [string, unknown, string][] = [
  ["a number", 5, "Cannot send 5 as a body"],
  ["a Response", new Response("x"), "Send `response.body`"],
  ["a promise", Promise.resolve("x"), "Await it first."],
  ["an object", { a: 1 }, "Cannot send an Object as a body"],
  ["a function", () => "x", "Cannot send a function as a body"],
  ["a symbol", Symbol("x"), "Cannot send Symbol(x) as a body"],
  ["an array of numbers", [1, 2], "Cannot send 1 as a chunk"],
];

for (const [name, body, message] of wrongBodies) {
  Deno.test(`Conn.respond() rejects ${name}`, async () => {
    const { answer, record } = await answerOf((conn) =>
      assertRejects(
        () => conn.respond(body as ResponseBody),
        TypeError,
        message,
      )
    );
    assertEquals(answer, "");
    assertEquals(record.outcome, "failed");
    assertInstanceOf(record.error, TypeError);
  });
}

Deno.test("Conn.respond() rejects a detached buffer", async () => {
  const { record } = await answerOf((conn) => {
    const bytes = encode("gone");
    structuredClone(bytes, { transfer: [bytes.buffer] });
    return assertRejects(() => conn.respond(bytes), TypeError, "detached");
  });
  assertEquals(record.outcome, "failed");
});

Deno.test("Conn.respond() rejects a buffer that is detached while it is written", async () => {
  const { listener, records } = listenLocally();
  const client = await send(listener.addr, "");
  for await (const conn of listener) {
    const bytes = pattern(50_000_000);
    const responding = conn.respond(bytes);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    const answer = readText(client);
    await assertRejects(() => responding, TypeError, "detached meanwhile");
    await answer;
    break;
  }
  assertEquals((await records.nth(1)).outcome, "failed");
});

Deno.test("Conn.respond() rejects a second response, and the first one stands", async () => {
  const { answer, record } = await answerOf(async (conn) => {
    const first = conn.respond("first");
    await assertRejects(() => conn.respond("second"), TypeError, "twice");
    assertEquals(await first, true);
    await assertRejects(() => conn.respond("third"), TypeError, "twice");
  });
  assertEquals(answer, "first");
  assertEquals(record.outcome, "failed");
});

Deno.test("Conn.respond() rejects where a connection takes nothing", async () => {
  const taken = Deno.listen(local);
  const accept = taken.accept.bind(taken);
  taken.accept = async () => {
    const socket = await accept();
    socket.write = () => Promise.resolve(0);
    return socket;
  };
  const answer = ask(taken.addr, "request");
  for await (const conn of listen({ listener: taken })) {
    await assertRejects(() => conn.respond("answer"), TypeError, "detached");
    break;
  }
  assertEquals(await answer, "");
});

Deno.test("Conn.respond() whose buffer is detached unawaited does not end the process", async () => {
  const { listener, records } = listenLocally();
  const client = await send(listener.addr, "");
  for await (const conn of listener) {
    const bytes = pattern(50_000_000);
    conn.respond(bytes);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    await readText(client);
    break;
  }
  assertEquals((await records.nth(1)).outcome, "failed");
});

Deno.test("Conn.respond() that nobody awaits does not end the process", async () => {
  const { answer, record } = await answerOf((conn) => {
    conn.respond("first");
    conn.respond("second");
    conn.respond(5 as unknown as string);
  });
  assertEquals(answer, "first");
  assertEquals(record.outcome, "failed");
});

Deno.test("Conn.respond() rejects after a close", async () => {
  const { answer } = await answerOf(async (conn) => {
    await conn.close();
    await assertRejects(() => conn.respond("x"), TypeError, "closed");
  });
  assertEquals(answer, "");
});

Deno.test("Conn.respond() rejects after the loop has moved on", async () => {
  let kept: Conn | undefined;
  await answerOf((conn) => {
    kept = conn;
  });
  await assertRejects(
    async () => await kept?.respond("late"),
    TypeError,
    "Await the response before",
  );
});

Deno.test("Conn.respond() rejects with what its body throws, and cuts", async (t) => {
  const failing: Record<string, () => ResponseBody> = {
    "a stream": () =>
      new ReadableStream({
        start: (controller) => controller.enqueue("start"),
        pull: () => Promise.reject(new Error("from the body")),
      }, { highWaterMark: 0 }),
    "an async generator": async function* () {
      yield "start";
      await Promise.reject(new Error("from the body"));
    },
    "a generator": function* () {
      yield "start";
      throw new Error("from the body");
    },
  };
  for (const [name, body] of Object.entries(failing)) {
    await t.step(name, async () => {
      const { answer, record } = await answerOf((conn) =>
        assertRejects(() => conn.respond(body()), Error, "from the body")
      );
      assertEquals(answer, "start");
      assertEquals([record.outcome, record.phase], ["failed", "writing"]);
      assertEquals(record.bytesWritten, 5);
      assertInstanceOf(record.error, Error);
    });
  }
});

Deno.test("Conn.respond() rejects a stream that is locked", async () => {
  const { record } = await answerOf((conn) => {
    const stream = ReadableStream.from(["x"]);
    stream.getReader();
    return assertRejects(() => conn.respond(stream), TypeError, "locked");
  });
  assertEquals(record.outcome, "failed");
});

Deno.test("Conn.respond() delivers large bodies whole", async (t) => {
  const body = pattern(8_388_608);
  const makers: Record<string, () => ResponseBody> = {
    bytes: () => body,
    blob: () => new Blob([body]),
    stream: () => new Blob([body]).stream(),
    chunks: () => [body.subarray(0, 3_000_000), body.subarray(3_000_000)],
  };
  for (const [name, make] of Object.entries(makers)) {
    await t.step(name, async () => {
      const { server } = serveLocally({}, make);
      assertEquals(await exchange(server.addr, ""), body);
      await server.shutdown();
    });
  }
});

Deno.test("Conn.respond() keeps backpressure", async () => {
  const { listener } = listenLocally();
  const client = await send(listener.addr, "");
  const chunk = new Uint8Array(65_536);
  let made = 0;
  let resting = Promise.withResolvers<void>();
  for await (const conn of listener) {
    const responding = conn.respond((async function* () {
      for (; made < 1000; made++) {
        yield chunk;
        resting.resolve();
        resting = Promise.withResolvers();
      }
    })());
    // Nobody reads: production must stop at what the kernel takes.
    for (let before = -1; before !== made;) {
      before = made;
      await Promise.race([resting.promise, pause(50)]);
    }
    assert(made < 500, `${made} chunks were made for a client that reads none`);
    const answer = readBytes(client);
    assertEquals(await responding, true);
    assertEquals((await answer).length, 65_536_000);
    break;
  }
});

Deno.test("Conn.respond() is false when the client is gone", async () => {
  const { listener, records } = listenLocally();
  const client = await RudeClient.connect(listener.addr);
  await client.closeWrite();
  for await (const conn of listener) {
    await client.reset();
    assertEquals(await conn.respond(pattern(50_000_000)), false);
    assertEquals(conn.signal.aborted, true);
    assertInstanceOf(conn.signal.reason, Error);
    break;
  }
  const record = await records.nth(1);
  assertEquals([record.outcome, record.phase], ["reset", "writing"]);
});

Deno.test("Conn.respond() stops a body whose client is gone", async () => {
  const { listener, records } = listenLocally();
  const client = await RudeClient.connect(listener.addr);
  await client.closeWrite();
  const cancelled = Promise.withResolvers<unknown>();
  for await (const conn of listener) {
    await client.reset();
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
      cancel: (reason) => cancelled.resolve(reason),
    });
    assertEquals(await conn.respond(endless), false);
    break;
  }
  const reason = await cancelled.promise;
  assertEquals(reason, (await records.nth(1)).error);
});

Deno.test("Conn.respond() finalizes a generator whose client is gone", async () => {
  const { listener } = listenLocally();
  const client = await RudeClient.connect(listener.addr);
  await client.closeWrite();
  const finalized = Promise.withResolvers<void>();
  for await (const conn of listener) {
    await client.reset();
    assertFalse(
      await conn.respond((async function* () {
        try {
          for (;;) yield new Uint8Array(65_536);
        } finally {
          finalized.resolve();
        }
      })()),
    );
    break;
  }
  await finalized.promise;
});

Deno.test("Conn.respond() serves a client that writes all before it reads", async (t) => {
  const large = pattern(8_388_608);
  const answers: Record<string, () => ResponseBody> = {
    bytes: () => large,
    "a stream": () => new Blob([large]).stream(),
    chunks: () => [large],
  };
  for (const [name, answer] of Object.entries(answers)) {
    await t.step(
      `and a handler that answers ${name} without reading`,
      async () => {
        const { server, records } = serveLocally({ streaming: true }, answer);
        const client = await send(server.addr, large);
        assertEquals(await readBytes(client), large);
        await server.shutdown();
        assertEquals(records.outcomes, ["ok"]);
      },
    );
  }
});

Deno.test("Conn.respond() drops what a handler has begun to read and left", async (t) => {
  const large = pattern(8_388_608);
  type Use = (conn: Conn<Deno.NetAddr>) => Promise<ResponseBody | void>;
  const handlers: Record<string, Use> = {
    "cancelled, then a stream": async (conn) => {
      await conn.readable.cancel();
      return new Response(large).body;
    },
    "broken off, then chunks": async (conn) => {
      for await (const _ of conn.readable) break;
      return [large];
    },
    "released, then a blob": async (conn) => {
      const reader = conn.readable.getReader();
      await reader.read();
      reader.releaseLock();
      return new Blob([large]);
    },
    "held, then bytes": async (conn) => {
      await conn.readable.getReader().read();
      return large;
    },
    "read while it is answered": async (conn) => {
      const reader = conn.readable.getReader();
      await reader.read();
      reader.read().catch(() => {});
      return large;
    },
    "cancelled, then written in pieces": async (conn) => {
      await conn.readable.cancel();
      const writer = conn.writable.getWriter();
      await writer.write(large);
      await writer.close();
    },
  };
  for (const [name, handler] of Object.entries(handlers)) {
    await t.step(name, async () => {
      const { server, records } = serveLocally({ streaming: true }, handler);
      const client = await send(server.addr, large);
      assertEquals((await readBytes(client)).length, large.length);
      await server.shutdown();
      assertEquals(records.outcomes, ["ok"]);
    });
  }
});

Deno.test("Conn.respond() reaches a client that still sends", async () => {
  const { server } = serveLocally(
    { streaming: true },
    () => pattern(1_000_000),
  );
  const client = await begin(server.addr, pattern(3_000_000));
  const answer = readBytes(client);
  assertEquals((await answer).length, 1_000_000);
  await server.shutdown();
});

Deno.test("Conn.writable sends pieces, and its close the FIN", async () => {
  const { answer, record } = await answerOf(async (conn) => {
    assertEquals(conn.writable, conn.writable);
    const writer = conn.writable.getWriter();
    await writer.write("text, ");
    await writer.write(encode("bytes"));
    await writer.close();
  });
  assertEquals(answer, "text, bytes");
  assertEquals([record.outcome, record.phase], ["ok", "writing"]);
  assertEquals(record.bytesWritten, 11);
});

Deno.test("Conn.writable takes what is piped into it", async () => {
  const { server, records } = serveLocally(
    { streaming: true },
    (conn) => conn.readable.pipeTo(conn.writable),
  );
  const request = pattern(3_000_000);
  assertEquals(await exchange(server.addr, request), request);
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("Conn.writable that is closed without awaiting is waited for", async () => {
  const { answer, record } = await answerOf((conn) => {
    const writer = conn.writable.getWriter();
    writer.write("in ");
    writer.write("pieces");
    writer.close();
    writer.close();
  });
  assertEquals(answer, "in pieces");
  assertEquals([record.outcome, record.phase], ["ok", "writing"]);
});

Deno.test("Conn.writable that is piped into without awaiting is a fault, not a response", async () => {
  const { record } = await answerOf((conn) => {
    conn.readable.pipeTo(conn.writable).catch(() => {});
  });
  assertEquals(record.outcome, "failed");
});

Deno.test("Conn.writable that is aborted without a reason has one", async () => {
  const { record } = await answerOf((conn) => conn.writable.abort());
  assertEquals(record.outcome, "failed");
  assertEquals((record.error as Error).name, "AbortError");
});

Deno.test("Conn.writable whose writes nobody awaits does not end the process", async () => {
  const { server, records } = serveLocally({}, async (conn) => {
    await client.reset();
    const writer = conn.writable.getWriter();
    for (let i = 0; i < 5; i++) writer.write(new Uint8Array(5_000_000));
    await writer.close();
  });
  const client = await RudeClient.connect(server.addr);
  await client.closeWrite();
  await records.nth(1);
  await server.shutdown();
  assertEquals(records.outcomes, ["reset"]);
});

Deno.test("Conn.writable that is left half written cuts the connection", async () => {
  const { answer, record } = await answerOf(async (conn) => {
    await conn.writable.getWriter().write("half");
  });
  assertEquals(answer, "half");
  assertEquals([record.outcome, record.phase], ["failed", "writing"]);
  assertInstanceOf(record.error, Error);
  assert(record.error.message.includes("half written"));
});

Deno.test("Conn.writable that is aborted cuts the connection", async () => {
  const { record } = await answerOf(async (conn) => {
    const writer = conn.writable.getWriter();
    await writer.write("half");
    await writer.abort(new Error("enough"));
    assertEquals(conn.signal.aborted, true);
  });
  assertEquals(record.outcome, "failed");
  assertEquals((record.error as Error).message, "enough");
});

Deno.test("Conn.writable and respond() exclude each other", async () => {
  await answerOf(async (conn) => {
    const writer = conn.writable.getWriter();
    await writer.write("pieces");
    await assertRejects(() => conn.respond("whole"), TypeError, "twice");
    await writer.close();
  });
  const { answer } = await answerOf(async (conn) => {
    const writer = conn.writable.getWriter();
    await conn.respond("whole");
    await assertRejects(() => writer.write("pieces"), TypeError, "twice");
  });
  assertEquals(answer, "whole");
});

Deno.test("Conn.writable rejects with the fault of a client that is gone", async () => {
  const { listener, records } = listenLocally();
  const client = await RudeClient.connect(listener.addr);
  await client.closeWrite();
  for await (const conn of listener) {
    const writer = conn.writable.getWriter();
    writer.closed.catch(() => {});
    await client.reset();
    const error = await assertRejects(async () => {
      for (;;) await writer.write(new Uint8Array(65_536));
    }, Error);
    assertEquals(error, conn.signal.reason);
    break;
  }
  assertEquals((await records.nth(1)).outcome, "reset");
});

Deno.test("Conn.writable rejects what is no chunk", async () => {
  const { record } = await answerOf(async (conn) => {
    const writer = conn.writable.getWriter();
    writer.closed.catch(() => {});
    await assertRejects(
      () => writer.write(5 as unknown as string),
      TypeError,
      "Cannot send 5 as a chunk",
    );
  });
  assertEquals(record.outcome, "failed");
});

Deno.test("Conn.close() sends the FIN, once", async () => {
  const { answer, record } = await answerOf(async (conn) => {
    const closing = conn.close();
    await conn.close();
    await closing;
  });
  assertEquals(answer, "");
  assertEquals([record.outcome, record.phase], ["ok", "handling"]);
});

Deno.test("Conn.close() waits for the response that is under way", async () => {
  const body = pattern(3_000_000);
  const { listener, records } = listenLocally();
  const answer = exchange(listener.addr, "");
  for await (const conn of listener) {
    const responding = conn.respond(body);
    await conn.close();
    assertEquals(await responding, true);
    break;
  }
  assertEquals(await answer, body);
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("Conn is closed at the end of its block by `await using`", async () => {
  const { listener } = listenLocally();
  const answer = ask(listener.addr, "");
  for await (const conn of listener) {
    {
      await using closing = conn;
      assertEquals(closing, conn);
    }
    assertEquals(await answer, "");
    break;
  }
});

Deno.test("Conn.abort() closes at once", async () => {
  const { answer, record } = await answerOf(async (conn) => {
    const { signal } = conn;
    assertFalse(signal.aborted);
    conn.abort(new Error("enough"));
    assertEquals(signal.aborted, true);
    assertEquals(signal.reason.message, "enough");
    assertEquals(await conn.respond("late"), false);
    conn.abort();
  });
  assertEquals(answer, "");
  assertEquals(record.outcome, "aborted");
  assertEquals((record.error as Error).message, "enough");
});

Deno.test("Conn.abort() interrupts a response", async () => {
  const { listener, records } = listenLocally();
  const client = await send(listener.addr, "");
  for await (const conn of listener) {
    const responding = conn.respond(pattern(50_000_000));
    conn.abort();
    assertEquals(await responding, false);
    assertEquals(conn.signal.reason.name, "AbortError");
    break;
  }
  const record = await records.nth(1);
  assertEquals([record.outcome, record.phase], ["aborted", "writing"]);
  client.close();
});

Deno.test("Conn.writable that is taken and never used leaves the response half written", async () => {
  const { server, records } = serveLocally({ onError() {} }, (conn) => {
    conn.writable.getWriter();
  });
  assertEquals(await ask(server.addr, "request"), "");
  await server.shutdown();
  assertEquals(records.outcomes, ["failed"]);
});

Deno.test("Conn.respond() allows another response if its body fails with the request", async () => {
  const { server, records } = serveLocally(
    { streaming: true, maxRequestBytes: 10 },
    async (conn) => {
      if (!await conn.respond(conn.readable)) await conn.respond("too large");
    },
  );
  assertEquals(await ask(server.addr, "x".repeat(11)), "too large");
  await server.shutdown();
  assertEquals(records.outcomes, ["too-large"]);
});
