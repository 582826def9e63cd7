import {
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import {
  type Conn,
  type Handler,
  RequestTooLargeError,
  TimeoutError,
} from "../mod.ts";
import { reasonOf, refusalFor } from "../cli/shared/reasons.ts";
import { encode, pattern } from "./bytes.ts";
import {
  ask,
  begin,
  connect,
  exchange,
  pause,
  readBytes,
  readText,
  send,
} from "./sockets.ts";
import { block, listenLocally, serveLocally } from "./support.ts";

const refuse = (error: Error) => `refused: ${error.message}\n`;

for (const streaming of [false, true]) {
  const mode = streaming ? "streaming" : "buffered";

  Deno.test(`maxRequestBytes lets in what is as large, and no more (${mode})`, async () => {
    const { server, records } = serveLocally({
      streaming,
      maxRequestBytes: 100_000,
      onRefuse: () => "too large",
    });
    for (const size of [99_999, 100_000]) {
      assertEquals(await exchange(server.addr, pattern(size)), pattern(size));
    }
    assertEquals(
      await exchange(server.addr, pattern(100_001)),
      encode("too large"),
    );
    assertEquals(await ask(server.addr, "next"), "next");
    await server.shutdown();
    assertEquals(records.outcomes, ["ok", "ok", "too-large", "ok"]);
    const record = await records.nth(3);
    assertEquals(record.phase, "reading");
    assertInstanceOf(record.error, RequestTooLargeError);
    assertEquals(record.error.maxRequestBytes, 100_000);
    assertEquals(record.bytesWritten, 0);
  });

  Deno.test(`maxRequestBytes: the refusal reaches a client that floods (${mode})`, async () => {
    const { server, records } = serveLocally({
      streaming,
      maxRequestBytes: 1000,
      // As long as it takes on a busy machine.
      lingerTimeout: 60_000,
      onRefuse: refuse,
    });
    const client = await send(server.addr, new Uint8Array(100_000_000));
    assertEquals(
      await readText(client),
      "refused: The request is larger than the 1000 bytes allowed. " +
        "Send less, or have `maxRequestBytes` raised.\n",
    );
    await server.shutdown();
    assertEquals(records.outcomes, ["too-large"]);
  });

  Deno.test(`idleTimeout ends an exchange whose client is silent (${mode})`, async () => {
    const { server, records } = serveLocally({
      streaming,
      idleTimeout: 30,
      onRefuse: refuse,
    });
    const client = await begin(server.addr, "half a requ");
    assertEquals(
      await readText(client),
      "refused: The client sent nothing for 30 ms and has not ended its side. " +
        "Half-close (`nc -N`), have `until` end requests earlier, or have " +
        "`idleTimeout` raised.\n",
    );
    assertEquals(await ask(server.addr, "next"), "next");
    await server.shutdown();
    const record = await records.nth(1);
    assertEquals([record.outcome, record.phase], ["idle", "reading"]);
    assertEquals(record.bytesRead, 11);
    assertInstanceOf(record.error, TimeoutError);
    assertEquals(record.error.option, "idleTimeout");
    assertEquals(record.error.timeout, 30);
    assertGreaterOrEqual(record.durationMs, 30);
    assertEquals(records.outcomes, ["idle", "ok"]);
  });

  Deno.test(`idleTimeout cuts a silent client that is told nothing (${mode})`, async () => {
    const { server, records } = serveLocally({ streaming, idleTimeout: 30 });
    const client = await begin(server.addr, "half a requ");
    assertEquals(await readText(client), "");
    assertEquals(await ask(server.addr, "next"), "next");
    await server.shutdown();
    assertEquals(records.outcomes, ["idle", "ok"]);
  });

  Deno.test(`deadline ends an exchange whose client drips (${mode})`, async () => {
    const { server, records } = serveLocally({
      streaming,
      idleTimeout: 10_000,
      deadline: 60,
      onRefuse: refuse,
    });
    const client = await connect(server.addr);
    let dripping = true;
    const drips = (async () => {
      while (dripping) {
        await client.write(encode("."));
        await pause(5);
      }
    })().catch(() => {});
    const reader = client.readable.getReader();
    const { value } = await reader.read();
    dripping = false;
    await drips;
    await reader.cancel();
    assertEquals(
      new TextDecoder().decode(value),
      "refused: The exchange took longer than the 60 ms allowed, and the " +
        "client has not ended its side. Half-close (`nc -N`), have `until` end " +
        "requests earlier, or have `deadline` raised.\n",
    );
    await server.shutdown();
    const record = await records.nth(1);
    assertEquals([record.outcome, record.phase], ["deadline", "reading"]);
    assertInstanceOf(record.error, TimeoutError);
    assertEquals(record.error.option, "deadline");
    assertEquals(record.error.due, "request");
    assertGreaterOrEqual(record.durationMs, 60);
  });
}

for (
  const [what, options, read, advice] of [
    [
      "the length that until tells",
      { until: () => 10 },
      (conn: Conn) => conn.bytes(),
      "has not sent all of its request. Send as much as `until` expects, or have",
    ],
    [
      "a line of a dialogue",
      { streaming: true },
      (conn: Conn) => conn.readUntil("\n"),
      "has not sent what the dialogue waits for. Send all of it, or have",
    ],
    [
      "a piece of a dialogue",
      { streaming: true },
      (conn: Conn) => conn.readExactly(10),
      "has not sent what the dialogue waits for. Send all of it, or have",
    ],
    [
      "the header of a proxy",
      { proxyProtocol: true },
      (conn: Conn) => conn.bytes(),
      "has not sent the header of a proxy. Have the proxy send a header, switch " +
      "`proxyProtocol` off, or have",
    ],
  ] as const
) {
  Deno.test(`a time limit names what was waited for: ${what}`, async () => {
    const { server, records } = serveLocally({
      ...options,
      idleTimeout: 30,
    }, read);
    await readText(await begin(server.addr, "PROXY"));
    await server.shutdown();
    const record = await records.nth(1);
    assertInstanceOf(record.error, TimeoutError);
    assertEquals(
      record.error.message,
      `The client sent nothing for 30 ms and ${advice} \`idleTimeout\` raised.`,
    );
  });
}

Deno.test("the tool speaks of its own limits only where one of them was exceeded", () => {
  for (
    const error of [
      new TimeoutError("idleTimeout", 30, "request"),
      new TimeoutError("timeout", 30),
      new RequestTooLargeError(30),
    ]
  ) {
    for (const outcome of ["failed", "aborted"] as const) {
      assertEquals(reasonOf({ outcome, error }), error.message);
    }
  }
});

Deno.test("the tool advises half-closing only if the end of a request is waited for", () => {
  for (
    const awaited of ["end", "length", "piece", "handshake", "header"] as const
  ) {
    for (const option of ["idleTimeout", "deadline"] as const) {
      const error = new TimeoutError(option, 30, "request", awaited);
      const outcome = option === "deadline" ? option : "idle";
      const reason = reasonOf({ outcome, error });
      const told = [error.message, reason, refusalFor(error)];
      for (const text of told) {
        assertEquals(/half-close/i.test(text), awaited === "end", text);
      }
    }
  }
});

Deno.test("idleTimeout starts anew with every byte", async () => {
  const { listener, records } = listenLocally({
    streaming: true,
    idleTimeout: 200,
  });
  const client = await connect(listener.addr);
  for await (const conn of listener) {
    const reader = conn.readable.getReader();
    // Longer as a whole than the limit, which no single pause is.
    for (let drip = 0; drip < 12; drip++) {
      await pause(20);
      await client.write(encode("."));
      await reader.read();
    }
    await client.closeWrite();
    await reader.read();
    break;
  }
  client.close();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("idleTimeout does not count a handler that thinks", async () => {
  const { server, records } = serveLocally(
    { idleTimeout: 10 },
    async (conn) => {
      await pause(60);
      return conn.bytes();
    },
  );
  assertEquals(await ask(server.addr, "hello"), "hello");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("idleTimeout counts a write from its beginning, not from before the handler thought", async () => {
  const { server, records } = serveLocally({ idleTimeout: 1000 }, async () => {
    await pause(1500);
    return pattern(16_000_000);
  });
  const client = await send(server.addr, "request");
  const first = new Uint8Array(1);
  assertEquals(await client.read(first), 1);
  await pause(700);
  assertEquals((await readBytes(client)).length, 16_000_000 - 1);
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("idleTimeout counts a read from its beginning, not from before the handler thought", async () => {
  const handling = Promise.withResolvers<void>();
  const { server, records } = serveLocally(
    { streaming: true, idleTimeout: 1000 },
    async (conn) => {
      handling.resolve();
      await pause(1500);
      return await conn.text();
    },
  );
  const client = await connect(server.addr);
  await handling.promise;
  await pause(1500 + 700);
  await client.write(encode("request"));
  await client.closeWrite();
  assertEquals(await readText(client), "request");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("idleTimeout is no limit for a client that is silent while it reads", async () => {
  const { server, records } = serveLocally(
    { streaming: true, idleTimeout: 500 },
    async function* (conn) {
      // Pending from now on: the client sends nothing.
      const request = conn.text();
      for (let i = 0; i < 60; i++) {
        yield "tick ";
        await pause(20);
      }
      yield await request;
    } as Handler<Deno.NetAddr>,
  );
  const client = await connect(server.addr);
  const reply = readText(client);
  await pause(1000);
  await client.closeWrite();
  assertEquals((await reply).startsWith("tick tick "), true);
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("idleTimeout does not count a body that is slow to come", async () => {
  const { server, records } = serveLocally(
    {
      streaming: true,
      idleTimeout: 10,
    },
    async function* () {
      yield "a";
      await pause(60);
      yield "b";
    } as () => AsyncGenerator<string>,
  );
  // The rest of the request is waited for meanwhile, but not by the response.
  const client = await connect(server.addr);
  assertEquals(await readText(client), "ab");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("idleTimeout does not blame a client for our own blocked event loop", async () => {
  const { listener, records } = listenLocally({
    streaming: true,
    idleTimeout: 50,
  });
  const client = await connect(listener.addr);
  for await (const conn of listener) {
    const reader = conn.readable.getReader();
    const read = reader.read();
    await client.write(encode("in time"));
    block(200);
    assertEquals((await read).value, encode("in time"));
    await client.closeWrite();
    break;
  }
  assertEquals(await readText(client), "");
  await listener.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("idleTimeout does not blame a client for timers that block one after the other", async () => {
  const { listener, records } = listenLocally({
    streaming: true,
    idleTimeout: 50,
  });
  const client = await connect(listener.addr);
  for await (const conn of listener) {
    const read = conn.readable.getReader().read();
    await client.write(encode("in time"));
    // All of these are due before I/O gets its turn.
    const blocked = Array.from(
      { length: 20 },
      (_, i) =>
        new Promise<void>((resolve) =>
          setTimeout(() => {
            block(i === 0 ? 100 : 20);
            resolve();
          }, i)
        ),
    );
    assertEquals((await read).value, encode("in time"));
    await Promise.all(blocked);
    await client.closeWrite();
    break;
  }
  assertEquals(await readText(client), "");
  await listener.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("idleTimeout is over with the response even if a read is left pending", async () => {
  const { server, records } = serveLocally(
    { streaming: true, idleTimeout: 20 },
    async (conn) => {
      conn.readable.getReader().read().catch(() => {});
      await conn.respond("answered");
      await pause(100);
    },
  );
  const client = await connect(server.addr);
  await client.read(new Uint8Array(8));
  const record = await records.nth(1);
  client.close();
  await server.shutdown();
  assertEquals([record.outcome, record.phase], ["ok", "writing"]);
});

Deno.test("idleTimeout ends a response that the client does not read", async () => {
  const { server, records } = serveLocally(
    { idleTimeout: 50 },
    async (conn) =>
      await conn.text() === "much" ? pattern(50_000_000) : "little",
  );
  const client = await send(server.addr, "much");
  const record = await records.nth(1);
  assertEquals([record.outcome, record.phase], ["idle", "writing"]);
  assertInstanceOf(record.error, TimeoutError);
  const next = ask(server.addr, "");
  client.close();
  assertEquals(await next, "little");
  await server.shutdown();
  assertEquals(records.outcomes, ["idle", "ok"]);
});

Deno.test("deadline abandons a handler that hangs, and tells its client", async () => {
  const { server, records } = serveLocally(
    { deadline: 30, onRefuse: refuse },
    async (conn) => {
      if (await conn.text() === "hang") await new Promise(() => {});
      return "ok";
    },
  );
  assertEquals(
    await ask(server.addr, "hang"),
    "refused: The exchange took longer than the 30 ms allowed. " +
      "Be quicker, or have `deadline` raised.\n",
  );
  assertEquals(await ask(server.addr, "next"), "ok");
  await server.shutdown();
  const record = await records.nth(1);
  assertEquals([record.outcome, record.phase], ["deadline", "handling"]);
});

Deno.test("deadline aborts the signal of a loop body that hangs", async () => {
  const { listener, records } = listenLocally({ deadline: 30 });
  const client = await send(listener.addr, "");
  for await (const conn of listener) {
    await new Promise((resolve) =>
      conn.signal.addEventListener("abort", resolve, { once: true })
    );
    assertInstanceOf(conn.signal.reason, TimeoutError);
    // The client need not wait for the loop to move on.
    assertEquals(await readText(client), "");
    assertEquals(await conn.respond("late"), false);
    break;
  }
  assertEquals(records.outcomes, ["deadline"]);
});

Deno.test("deadline ends a body that never ends", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const { server, records } = serveLocally(
    { deadline: 50 },
    () => new ReadableStream({ cancel: cancelled.resolve }),
  );
  assertEquals(await ask(server.addr), "");
  assertInstanceOf(await cancelled.promise, TimeoutError);
  await server.shutdown();
  const record = await records.nth(1);
  assertEquals([record.outcome, record.phase], ["deadline", "writing"]);
});

Deno.test("deadline ends a body that is made of nothing for ever", async () => {
  const { server, records } = serveLocally(
    { deadline: 30 },
    async function* () {
      for (;;) yield "";
    },
  );
  assertEquals(await ask(server.addr), "");
  await server.shutdown();
  assertEquals(records.outcomes, ["deadline"]);
});

Deno.test("deadline counts the time after the response, too", async () => {
  const { server, records } = serveLocally({ deadline: 30 }, async (conn) => {
    await conn.respond("prompt");
    await new Promise(() => {});
  });
  assertEquals(await ask(server.addr), "prompt");
  const record = await records.nth(1);
  assertEquals([record.outcome, record.phase], ["deadline", "handling"]);
  assertEquals(record.bytesWritten, 6);
  await server.shutdown();
});

Deno.test("limits hold for one stalled client after the other", async () => {
  const { server, records } = serveLocally({ idleTimeout: 20 });
  const clients = await Promise.all(
    Array.from({ length: 5 }, () => begin(server.addr, "half a requ")),
  );
  await records.nth(5);
  await server.shutdown();
  for (const client of clients) client.close();
  assertEquals(records.outcomes, Array(5).fill("idle"));
});

Deno.test("Infinity switches the limits off", async () => {
  const { server, records } = serveLocally({
    maxRequestBytes: Infinity,
    deadline: Infinity,
    idleTimeout: Infinity,
    lingerTimeout: Infinity,
  });
  const request = pattern(20_000_000);
  assertEquals((await exchange(server.addr, request)).length, request.length);
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("limits longer than a timer can be are kept", async () => {
  // A timer set for longer than 2³¹−1 ms would fire at once.
  const { server, records } = serveLocally({
    deadline: 2 ** 40,
    idleTimeout: 2 ** 40,
    lingerTimeout: 2 ** 40,
  }, async (conn) => {
    await pause(20);
    return conn.bytes();
  });
  assertEquals(await ask(server.addr, "hello"), "hello");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("onRefuse() may have nothing to say", async () => {
  const { server, records } = serveLocally({
    maxRequestBytes: 1,
    onRefuse: () => {},
  });
  assertEquals(await ask(server.addr, "too large"), "");
  await server.shutdown();
  assertEquals(records.outcomes, ["too-large"]);
});

for (const streaming of [false, true]) {
  const mode = streaming ? "streaming" : "buffered";
  Deno.test(`onRefuse() is told what came of the request (${mode})`, async () => {
    const told: unknown[] = [];
    const { server } = serveLocally({
      streaming,
      deadline: 300,
      onRefuse: (_, request) => void told.push(request),
    }, async (conn) => {
      await conn.bytes();
      await new Promise(() => {});
    });
    for (const request of ["", "half"]) {
      assertEquals(await readText(await begin(server.addr, request)), "");
    }
    for (const request of ["", "all"]) {
      assertEquals(await ask(server.addr, request), "");
    }
    await server.shutdown();
    assertEquals(told, [
      { bytesRead: 0 },
      { bytesRead: 4 },
      { bytesRead: 0, end: "fin" },
      { bytesRead: 3, end: "fin" },
    ]);
  });
}

Deno.test("onRefuse() is not asked once a response has begun", async () => {
  let asked = 0;
  const { server, records } = serveLocally({
    deadline: 30,
    onRefuse: () => void asked++,
  }, async (conn) => {
    await conn.writable.getWriter().write("half");
    await new Promise(() => {});
  });
  assertEquals(await ask(server.addr), "half");
  assertEquals((await records.nth(1)).outcome, "deadline");
  await server.shutdown();
  assertEquals(asked, 0);
});

Deno.test("onRefuse() has the last word", async (t) => {
  const word = { onRefuse: () => "refused" };
  await t.step("before a response to the abort", async () => {
    let responded: boolean | undefined;
    const { server } = serveLocally({ ...word, deadline: 30 }, async (conn) => {
      await new Promise<void>((resolve) =>
        conn.signal.addEventListener("abort", async () => {
          responded = await conn.respond(", and more");
          resolve();
        })
      );
    });
    assertEquals(await ask(server.addr), "refused");
    await server.shutdown();
    assertEquals(responded, false);
  });
  await t.step("before a close upon the abort", async () => {
    const { server } = serveLocally(
      { ...word, streaming: true, deadline: 30 },
      async (conn) => {
        conn.signal.addEventListener("abort", () => conn.close());
        await new Promise(() => {});
      },
    );
    const client = await connect(server.addr);
    assertEquals(await readText(client), "refused");
    await server.shutdown();
  });
  await t.step("before what is written after a close", async () => {
    const limits = { streaming: true, maxRequestBytes: 3 };
    const { server } = serveLocally({ ...word, ...limits }, async (conn) => {
      await conn.text().catch(() => {});
      conn.close();
      await assertRejects(() => conn.writable.getWriter().write(", and more"));
    });
    const client = await send(server.addr, "too large");
    assertEquals(await readText(client), "refused");
    await server.shutdown();
  });
});

Deno.test("onRefuse() speaks where a body made of the request fails with it", async () => {
  const { listener, records } = listenLocally({
    streaming: true,
    maxRequestBytes: 3,
    onRefuse: () => "refused",
  });
  const client = await send(listener.addr, "too large");
  for await (const conn of listener) {
    assertEquals(await conn.respond(conn.readable), false);
    break;
  }
  assertEquals(await readText(client), "refused");
  await listener.shutdown();
  assertEquals(records.outcomes, ["too-large"]);
});

Deno.test("onRefuse() speaks for a response that has yet to send a byte", async () => {
  const { server, records } = serveLocally(
    { deadline: 30, onRefuse: () => "refused" },
    () => new ReadableStream({}),
  );
  assertEquals(await ask(server.addr), "refused");
  await server.shutdown();
  assertEquals(records.outcomes, ["deadline"]);
});

Deno.test("onRefuse() is not asked when the server aborts", async () => {
  let asked = 0;
  const { listener } = listenLocally({
    streaming: true,
    maxRequestBytes: 3,
    onRefuse: () => void asked++,
  });
  const client = await send(listener.addr, "too large");
  for await (const conn of listener) {
    await conn.text().catch(() => {});
    conn.abort();
    break;
  }
  await readText(client).catch(() => {});
  assertEquals(asked, 0);
});

Deno.test("a refusal does not hold up the next client", async () => {
  const { server, records } = serveLocally({
    maxRequestBytes: 10,
    lingerTimeout: 60_000,
    onRefuse: () => "too large",
  });
  // It never ends its request: its lingering would last a minute.
  const refused = await begin(server.addr, "more than ten bytes");
  assertEquals(await ask(server.addr, "next"), "next");
  assertEquals(records.outcomes, ["too-large", "ok"]);
  assertEquals(await readText(refused), "too large");
  await server.shutdown();
});

Deno.test("onRefuse that returns nothing, or an empty text, lets nobody linger", async () => {
  for (const nothing of ["", undefined, new Uint8Array()]) {
    const { server, records } = serveLocally({
      maxRequestBytes: 10,
      deadline: Infinity,
      lingerTimeout: 60_000,
      idleTimeout: 50,
      onRefuse: () => nothing,
    });
    // It never ends its request, so a connection that lingers would stay.
    const client = await begin(server.addr, "short");
    await records.nth(1);
    assertEquals(server.lingering, 0);
    assertEquals(await readText(client), "");
    await server.shutdown();
  }
});
