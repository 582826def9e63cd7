// Reading ahead: requests are read while another is handled, one handler at a time.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Handler, listen, serve } from "../mod.ts";
import { pattern } from "./bytes.ts";
import { checkRow } from "./fault_table.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  begin,
  connect,
  exchange,
  local,
  readText,
  send,
} from "./sockets.ts";
import {
  lineUp,
  listenLocally,
  Records,
  serveLocally,
  turnOfIo,
  until,
} from "./support.ts";
import { cert, connectTls, key } from "./tls.ts";

Deno.test("readAhead: an honest client waits for none of 31 silent senders", async () => {
  const { server, records } = serveLocally({
    readAhead: 32,
    deadline: Infinity,
    idleTimeout: Infinity,
  });
  const silent = await Promise.all(
    Array.from({ length: 31 }, () => begin(server.addr, "half a request")),
  );
  assertEquals(await ask(server.addr, "honest"), "honest");
  // None of the others has ended, and nothing but they can end them.
  assertEquals(records.all.length, 1);
  await Promise.all(silent.map((client) => client.closeWrite()));
  for (const client of silent) {
    assertEquals(await readText(client), "half a request");
  }
  await server.shutdown();
  assertEquals(records.outcomes, Array(32).fill("ok"));
});

Deno.test("readAhead: each of 31 silent senders is cut by idleTimeout", async () => {
  const { server, records } = serveLocally({
    readAhead: 32,
    deadline: Infinity,
    idleTimeout: 50,
  });
  const silent = await Promise.all(
    Array.from({ length: 31 }, () => begin(server.addr, "half a request")),
  );
  for (const client of silent) assertEquals(await readText(client), "");
  assertEquals(await ask(server.addr, "honest"), "honest");
  await server.shutdown();
  checkRow("31 silent senders", {
    client: "response",
    records: records.all.slice(0, -1),
    released: "at once", // the test before shows it
  });
});

Deno.test("readAhead: handlers run one at a time, in the order of completion", async () => {
  let running = 0;
  const order: string[] = [];
  const { server, records } = serveLocally({ readAhead: 4 }, async (conn) => {
    assertEquals(++running, 1);
    const request = await conn.text();
    order.push(request);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    return request;
  });
  const slow = await begin(server.addr, "first ");
  assertEquals(await ask(server.addr, "second"), "second");
  assertEquals(await ask(server.addr, "third"), "third");
  await slow.closeWrite();
  assertEquals(await readText(slow), "first ");
  assertEquals(order, ["second", "third", "first "]);
  assertEquals(records.all.map(({ id }) => id), [2, 3, 1]);
  await server.shutdown();
});

Deno.test("readAhead: at most so many are read while one is handled", async () => {
  const handling = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const complete = new Set<number>();
  const three = Promise.withResolvers<void>();
  const { server } = serveLocally({
    readAhead: 2,
    onRequest: ({ id }) => {
      complete.add(id);
      if (complete.size === 3) three.resolve();
    },
  }, async (conn) => {
    handling.resolve();
    await goOn.promise;
    return await conn.bytes();
  });
  const line = await lineUp(server.addr, 6);
  await handling.promise;
  await three.promise;
  // All are in line, and I/O has its turn again and again.
  for (let i = 0; i < 20; i++) await turnOfIo();
  assertEquals(complete.size, 3);
  goOn.resolve();
  await line.served();
  await server.shutdown();
});

/** A server that handles nothing until it may go on, and reads one ahead. */
function serveHeld(handler: Handler<Deno.NetAddr> = (conn) => conn.bytes()) {
  const handling = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const served = serveLocally({
    readAhead: 1,
    onRequest: ({ id }) => {
      if (id === 2) second.resolve();
    },
  }, async (conn, server) => {
    handling.resolve();
    await goOn.promise;
    return await handler(conn, server);
  });
  return { ...served, handling, goOn, second };
}

Deno.test("readAhead: waitedMs says how long a request was complete before its turn", async () => {
  const { server, records, handling, goOn, second } = serveHeld();
  const first = ask(server.addr, "one");
  await handling.promise;
  const next = ask(server.addr, "two");
  await second.promise;
  await turnOfIo();
  const completeAt = performance.now();
  await turnOfIo();
  const least = performance.now() - completeAt;
  goOn.resolve();
  assertEquals([await first, await next], ["one", "two"]);
  const { waitedMs, durationMs } = await records.nth(2);
  assert(waitedMs >= least, `${waitedMs} ms, at least ${least}`);
  assert(durationMs >= waitedMs);
  await server.shutdown();
});

Deno.test("readAhead: waitedMs says for how long a request waited for a turn that never came", async () => {
  const complete = Promise.withResolvers<void>();
  const { listener, records } = listenLocally({
    readAhead: 1,
    onRequest: ({ id }) => {
      if (id === 2) complete.resolve();
    },
  });
  using _one = await send(listener.addr, "one");
  using _two = await send(listener.addr, "two");
  let least = Infinity;
  for await (const _ of listener) {
    await complete.promise;
    await turnOfIo();
    const completeAt = performance.now();
    await turnOfIo();
    least = performance.now() - completeAt;
    break;
  }
  const { phase, waitedMs, handledMs } = await records.nth(2);
  assertEquals({ phase, handledMs }, {
    phase: "waiting",
    handledMs: undefined,
  });
  assert(waitedMs >= least, `${waitedMs} ms, at least ${least}`);
});

Deno.test("readAhead: waitedMs is 0 without it", async () => {
  const { server, records } = serveLocally();
  await ask(server.addr, "x");
  assertEquals((await records.nth(1)).waitedMs, 0);
  await server.shutdown();
});

for (const readAhead of [0, 1]) {
  Deno.test(`readAhead: with ${readAhead}, handledMs leaves out the reading`, async () => {
    const handling = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const { server, records } = serveLocally({ readAhead }, async () => {
      handling.resolve();
      await goOn.promise;
    });
    const client = await begin(server.addr, "slow");
    await until(() => server.inHand > 0);
    const readFrom = performance.now();
    await turnOfIo();
    const read = performance.now() - readFrom;
    await client.closeWrite();
    await handling.promise;
    const handledFrom = performance.now();
    await turnOfIo();
    const least = performance.now() - handledFrom;
    goOn.resolve();
    assertEquals(await readText(client), "");
    const { durationMs, waitedMs, handledMs = NaN } = await records.nth(1);
    assert(handledMs >= least, `${handledMs} ms, at least ${least}`);
    const rest = durationMs - waitedMs - handledMs;
    assert(rest >= read, `${rest} ms, at least ${read}`);
    await server.shutdown();
  });
}

Deno.test("readAhead: shutdown() serves all that are being read, and the backlog", async () => {
  const { server, records } = serveLocally({ readAhead: 32 });
  const halves = await Promise.all(
    Array.from({ length: 32 }, (_, i) => begin(server.addr, `half ${i}`)),
  );
  const line = await lineUp(server.addr, 40);
  const stopped = server.shutdown();
  await Promise.all(halves.map((client) => client.closeWrite()));
  await line.served();
  for (const [i, client] of halves.entries()) {
    assertEquals(await readText(client), `half ${i}`);
  }
  await stopped;
  assertEquals(records.outcomes, Array(72).fill("ok"));
});

for (const how of ["close", "abort", "break"] as const) {
  Deno.test(`readAhead: ${how} cuts those that are read and those that wait`, async () => {
    const controller = new AbortController();
    const waiting = Promise.withResolvers<void>();
    let complete = 0;
    const { listener, records } = listenLocally({
      readAhead: 3,
      signal: controller.signal,
      onRequest: () => {
        if (++complete === 3) waiting.resolve();
      },
    });
    const clients = [
      await send(listener.addr, "one"),
      await send(listener.addr, "two"),
      await send(listener.addr, "three"),
      await begin(listener.addr, "half"),
    ];
    for await (const conn of listener) {
      assertEquals(conn.id, 1);
      await waiting.promise;
      if (how === "close") listener.close();
      if (how === "abort") controller.abort();
      if (how === "break") break;
    }
    for (const client of clients) {
      const end = await readText(client).catch((error) => error);
      assert(
        end === "" || end instanceof Deno.errors.ConnectionReset,
        `${end}`,
      );
    }
    assertEquals(records.all.length, 4);
    assertEquals(
      records.outcomes.filter((outcome) => outcome === "aborted").length,
      how === "break" ? 3 : 4,
    );
    const phases = new Set(records.all.map(({ phase }) => phase));
    assert(phases.has("waiting"));
    assert(phases.has("reading"));
    for (const { id, handledMs } of records.all) {
      assertEquals(
        handledMs !== undefined,
        id === 1,
        "only the first has its turn",
      );
    }
  });
}

Deno.test("readAhead: faults of those who are read end nothing else", async () => {
  const allLetIn = Promise.withResolvers<void>();
  let letIn = 0;
  const { server, records } = serveLocally({
    allow() {
      if (++letIn === 3) allLetIn.resolve();
      return true;
    },
    readAhead: 8,
    maxRequestBytes: 1000,
    idleTimeout: 100,
    onRefuse: () => "refused",
  });
  const large = exchange(server.addr, pattern(5000));
  const silent = begin(server.addr, "half").then(readText);
  const rude = await RudeClient.connect(server.addr);
  await rude.write("half");
  // Who resets before that is passed over.
  await allLetIn.promise;
  await rude.reset();
  assertEquals(await ask(server.addr, "honest"), "honest");
  assertEquals(new TextDecoder().decode(await large), "refused");
  assertEquals(await silent, "refused");
  await server.shutdown();
  const outcomes = records.outcomes.toSorted();
  assertEquals(outcomes, ["idle", "ok", "reset", "too-large"]);
});

Deno.test("readAhead: a client that resets after its request is complete and before its turn", async () => {
  const { server, records, handling, goOn, second } = serveHeld((conn) =>
    conn.id === 2 ? pattern(8_000_000) : conn.bytes()
  );
  const first = ask(server.addr, "one");
  await handling.promise;
  const client = await RudeClient.connect(server.addr);
  await client.write("two");
  await client.closeWrite();
  await second.promise;
  await client.reset();
  goOn.resolve();
  assertEquals(await first, "one");
  assertEquals(await ask(server.addr, "three"), "three");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok", "reset", "ok"]);
  const row =
    "a client that resets after its request is complete and before its turn";
  checkRow(row, {
    client: "left",
    records: records.all.slice(1, 2),
    released: "event",
  });
});

Deno.test("readAhead: the deadline also counts while a request waits for its turn", async () => {
  const handling = Promise.withResolvers<void>();
  const { server, records } = serveLocally({
    readAhead: 1,
    deadline: 300,
    onRefuse: () => "too late",
  }, async (conn) => {
    handling.resolve();
    if (conn.id > 1) return "served";
    await new Promise((resolve) => {
      conn.signal.addEventListener("abort", resolve);
    });
    return undefined;
  });
  const first = ask(server.addr, "one");
  await handling.promise;
  const second = ask(server.addr, "two");
  assertEquals(await first, "too late");
  const reply = await second;
  assert(reply === "served" || reply === "too late", reply);
  await server.shutdown();
  assertEquals(records.outcomes[0], "deadline");
});

Deno.test("readAhead: a callback that throws ends the iteration", async () => {
  const records = new Records();
  const listener = listen({
    ...local,
    readAhead: 2,
    onExchange: (record) => {
      records.add(record);
      if (record.outcome === "reset") throw new Error("from the callback");
    },
  });
  const iterating = assertRejects(
    async () => {
      for await (const conn of listener) await conn.respond(await conn.bytes());
    },
    Error,
    "from the callback",
  );
  assertEquals(await ask(listener.addr, "one"), "one");
  const rude = await RudeClient.connect(listener.addr);
  await rude.write("half");
  await ask(listener.addr, "two");
  await rude.reset();
  await iterating;
});

Deno.test("readAhead: works on TLS, and a handshake delays nobody", async () => {
  const { server } = serveLocally({ readAhead: 2, cert, key });
  const stalled = await connect(server.addr);
  const client = await connectTls(server.addr.port);
  await client.write(new TextEncoder().encode("hello"));
  await client.closeWrite();
  assertEquals(await readText(client), "hello");
  stalled.close();
  await server.shutdown();
});

Deno.test("readAhead: goes together with until", async () => {
  const { server, records } = serveLocally({ readAhead: 4, until: "\n" });
  const silent = await begin(server.addr, "no line");
  const clients = await Promise.all(
    ["one\n", "two\nmore"].map((request) => begin(server.addr, request)),
  );
  assertEquals(await Promise.all(clients.map(readText)), ["one\n", "two\n"]);
  await silent.closeWrite();
  assertEquals(await readText(silent), "no line");
  await server.shutdown();
  assertEquals(records.all.map(({ end }) => end).toSorted(), [
    "delimiter",
    "delimiter",
    "fin",
  ]);
});

for (const readAhead of [0, 10]) {
  for (const name of ["onRequest", "onExchange"] as const) {
    Deno.test(`readAhead: ${readAhead} records everybody when ${name} throws`, async () => {
      const records = new Records();
      const handling = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const listener = listen({
        ...local,
        readAhead,
        onRequest: ({ id }) => {
          if (name === "onRequest" && id === 3) throw new Error("thrown");
        },
        onExchange: (record) => {
          records.add(record);
          if (name === "onExchange" && record.id === 2) {
            throw new Error("thrown");
          }
        },
      });
      const line = await lineUp(listener.addr, 8);
      const iterating = assertRejects(
        async () => {
          for await (const conn of listener) {
            handling.resolve();
            await goOn.promise;
            await conn.respond(await conn.bytes());
          }
        },
        Error,
        "thrown",
      );
      await handling.promise;
      for (let i = 0; i < 5; i++) await turnOfIo();
      // All 8 are accepted before the fault is found.
      if (readAhead === 0) listener.shutdown();
      for (let i = 0; i < 5; i++) await turnOfIo();
      goOn.resolve();
      await iterating;
      await Promise.allSettled(line.clients.map(readText));
      const ids = records.all.map(({ id }) => id).toSorted((a, b) => a - b);
      assertEquals(ids, [1, 2, 3, 4, 5, 6, 7, 8]);
    });
  }
}

Deno.test("Server.shutdown() ends even if all whom it holds back are cut", async () => {
  const controller = new AbortController();
  const complete = Promise.withResolvers<void>();
  let requests = 0;
  const server = serve({
    ...local,
    readAhead: 3,
    deadline: Infinity,
    signal: controller.signal,
    onRequest: () => {
      if (++requests === 4) complete.resolve();
    },
  }, () => "x");
  const clients = await Promise.all(
    Array.from({ length: 4 }, () => begin(server.addr, "x")),
  );
  await until(() => server.inHand === 4);
  const stopped = server.shutdown();
  for (const client of clients) await client.closeWrite();
  await complete.promise;
  controller.abort();
  await server.finished;
  await stopped;
  for (const client of clients) client.close();
});
