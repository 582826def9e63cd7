import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { listen } from "../mod.ts";
import { pattern } from "./bytes.ts";
import { runDeno } from "./programs.ts";
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
  assertRefused,
  echoOnce,
  listenLocally,
  serveLocally,
} from "./support.ts";

Deno.test("listen() gives connections whose request is complete", async () => {
  const { listener, records } = listenLocally();
  const answer = ask(listener.addr, "hello");
  for await (const conn of listener) {
    assertEquals(conn.bytesRead, 5);
    assertEquals(conn.bodyUsed, false);
    assertEquals(await conn.text(), "hello");
    assertEquals(conn.bodyUsed, true);
    assertEquals(await conn.respond("world"), true);
    assertEquals(conn.bytesWritten, 5);
    break;
  }
  assertEquals(await answer, "world");
  const record = await records.nth(1);
  assertEquals(record.outcome, "ok");
  assertEquals(record.phase, "writing");
  assertEquals(record.bytesRead, 5);
  assertEquals(record.bytesWritten, 5);
  assertEquals("error" in record, false);
});

Deno.test("listen() tells both addresses, the time and a number", async () => {
  const before = Date.now();
  const { listener, records } = listenLocally();
  const client = await send(listener.addr, "");
  for await (const conn of listener) {
    assertEquals(conn.remoteAddr.port, (client.localAddr as Deno.NetAddr).port);
    assertEquals(conn.localAddr.port, listener.addr.port);
    break;
  }
  client.close();
  const record = await records.nth(1);
  assertEquals(record.id, 1);
  assertEquals(record.remoteAddr, client.localAddr);
  assertEquals(record.localAddr, listener.addr);
  assertGreaterOrEqual(record.startedAt, before);
  assertGreaterOrEqual(record.durationMs, 0);
});

Deno.test("listen() counts connections from 1", async () => {
  const { server, records } = serveLocally();
  for (let i = 0; i < 3; i++) await ask(server.addr);
  await server.shutdown();
  assertEquals(records.all.map(({ id }) => id), [1, 2, 3]);
});

Deno.test("listen() echoes byte for byte around its buffer's size", async (t) => {
  const { server } = serveLocally();
  const sizes = [0, 1, 65_535, 65_536, 65_537, 327_679, 327_680, 5_000_000];
  for (const size of sizes) {
    await t.step(`${size} bytes`, async () => {
      const request = pattern(size);
      assertEquals(await exchange(server.addr, request), request);
    });
  }
  await server.shutdown();
});

Deno.test("listen() does not answer a second client before the first is done", async () => {
  const { server, records } = serveLocally();
  const first = await begin(server.addr, "first");
  const order: string[] = [];
  const second = ask(server.addr, "second").then((text) => order.push(text));
  // The second one is in the backlog by now, with its FIN: it has connected.
  await (await connect(server.addr)).close();
  const answer = readText(first).then((text) => order.push(text));
  await first.closeWrite();
  await Promise.all([answer, second]);
  await server.shutdown();
  assertEquals(order, ["first", "second"]);
  assertEquals(records.outcomes, ["ok", "ok", "ok"]);
});

Deno.test("listen() closes what the loop body has left open", async () => {
  const { listener, records } = listenLocally();
  const clients = [ask(listener.addr, "a"), ask(listener.addr, "b")];
  let served = 0;
  for await (const conn of listener) {
    await conn.bytes();
    if (++served === 2) break;
  }
  assertEquals(await Promise.all(clients), ["", ""]);
  assertEquals(records.outcomes, ["ok", "ok"]);
  assertEquals(records.all.map(({ phase }) => phase), ["handling", "handling"]);
});

Deno.test("listen() waits for a response that the loop body did not await", async () => {
  const { listener, records } = listenLocally();
  const body = pattern(3_000_000);
  const answer = exchange(listener.addr, "");
  for await (const conn of listener) {
    conn.respond(body);
    break;
  }
  assertEquals(await answer, body);
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("listen() refuses a second iteration", async () => {
  const { listener } = listenLocally();
  const connections = listener[Symbol.asyncIterator]();
  assertThrows(
    () => listener[Symbol.asyncIterator](),
    TypeError,
    "iterate over a listener twice",
  );
  listener.close();
  assertEquals(await connections.next(), { done: true, value: undefined });
});

for (const leave of ["return", "throw"] as const) {
  for (const waiting of [false, true]) {
    const when = waiting ? "while it waits" : "before it began";
    Deno.test(`listen() closes as its iteration is left ${when} (${leave})`, async () => {
      const { listener } = listenLocally();
      const connections = listener[Symbol.asyncIterator]();
      const next = waiting ? connections.next() : undefined;
      if (leave === "return") await connections.return(undefined);
      else {
        const why = new Error("why");
        assertEquals(await connections.throw(why).catch((error) => error), why);
      }
      assertEquals(await next, next && { done: true, value: undefined });
      await assertRefused(listener.addr);
    });
  }
}

Deno.test("listen() closes and resets its backlog as the loop is left", async () => {
  const { listener } = listenLocally();
  const first = await send(listener.addr, "first");
  const second = await send(listener.addr, "second");
  for await (const conn of listener) {
    await conn.respond("bye");
    break;
  }
  assertEquals(await readText(first), "bye");
  await assertRejects(() => readText(second), Deno.errors.ConnectionReset);
  await assertRefused(listener.addr);
});

Deno.test("listen() passes on what the loop body throws, and closes", async () => {
  const { listener, records } = listenLocally();
  const client = ask(listener.addr, "");
  await assertRejects(
    async () => {
      for await (const _ of listener) throw new Error("from the body");
    },
    Error,
    "from the body",
  );
  assertEquals(await client, "");
  assertEquals(records.outcomes, ["ok"]);
  await assertRefused(listener.addr);
});

Deno.test("listen() lets in only whom allow() says true of", async (t) => {
  const answers: unknown[] = [true, false, 1, Promise.resolve(true), undefined];
  for (const answer of answers) {
    await t.step(`allow() gives ${Deno.inspect(answer)}`, async () => {
      const seen: Deno.NetAddr[] = [];
      const { server, records } = serveLocally({
        allow: (addr) => {
          seen.push(addr);
          return answer as boolean;
        },
      });
      const client = await connect(server.addr);
      // It may be closed upon before it has sent anything.
      await client.closeWrite().catch(() => {});
      await readText(client).catch(() => "");
      const record = await records.nth(1);
      assertEquals(seen, [client.localAddr as Deno.NetAddr]);
      assertEquals(record.outcome, answer === true ? "ok" : "denied");
      assertEquals(record.bytesRead, 0);
      await server.shutdown();
    });
  }
});

Deno.test("listen() ends with what a callback throws", async (t) => {
  const thrown = () => {
    throw new Error("from a callback");
  };
  await t.step("allow()", async () => {
    const { server, records } = serveLocally({ allow: thrown });
    const ended = assertRejects(
      () => server.finished,
      Error,
      "from a callback",
    );
    const client = await send(server.addr, "");
    await ended;
    client.close();
    assertEquals(
      records.all.map(({ outcome, phase }) => [outcome, phase]),
      [["failed", "reading"]],
    );
  });
  await t.step("onExchange()", async () => {
    const { server } = serveLocally({ onExchange: thrown });
    const ended = assertRejects(
      () => server.finished,
      Error,
      "from a callback",
    );
    assertEquals(await ask(server.addr, "hello"), "hello");
    await ended;
  });
  await t.step("onRefuse()", async () => {
    const { server, records } = serveLocally({
      maxRequestBytes: 1,
      onRefuse: thrown,
    });
    const ended = assertRejects(
      () => server.finished,
      Error,
      "from a callback",
    );
    const client = await send(server.addr, "too large");
    await ended;
    client.close();
    assertEquals(records.outcomes, ["too-large"]);
  });
});

Deno.test("listen() takes over a listener", async () => {
  const listener = Deno.listen(local);
  await using ours = listen({ listener });
  assertEquals(ours.addr, listener.addr);
  const answer = ask(ours.addr, "hello");
  await echoOnce(ours);
  assertEquals(await answer, "hello");
  await assertRefused(listener.addr);
});

Deno.test("listen() says which address is in use", async () => {
  await using listener = listen(local);
  const { port } = listener.addr;
  const error = assertThrows(
    () => listen({ ...local, port }),
    Deno.errors.AddrInUse,
    `Cannot listen on 127.0.0.1:${port}: the address is in use`,
  );
  assert(error.cause instanceof Deno.errors.AddrInUse);
});

Deno.test("listen() ends when somebody else closes its listener", async () => {
  const listener = Deno.listen(local);
  const ours = listen({ listener });
  const next = ours[Symbol.asyncIterator]().next();
  listener.close();
  assertEquals(await next, { done: true, value: undefined });
  await ours.shutdown();
});

/** Runs a program that begins with these lines and ends by itself. */
async function printedBy(program: string): Promise<string> {
  const { code, stdout } = await runDeno(
    "eval",
    `import { serve } from "${import.meta.resolve("../server.ts")}";
     const local = { hostname: "127.0.0.1", port: 0 };
     ${program}`,
  );
  assertEquals(code, 0);
  return stdout;
}

Deno.test("listen() does not keep the process alive once unref() is called", async () => {
  const program = `
    const server = serve(local, () => "hello");
    const conn = await Deno.connect(server.addr);
    await conn.closeWrite();
    console.log(await new Response(conn.readable).text());
    server.unref();`;
  assertEquals(await printedBy(program), "hello\n");
});

Deno.test("listen() keeps the process alive while a handler only thinks", async () => {
  const program = `
    const server = serve({
      ...local,
      deadline: 50,
      onExchange: ({ outcome }) => (console.log(outcome), server.shutdown()),
    }, () => new Promise(() => {}));
    const conn = await Deno.connect(server.addr);
    await conn.closeWrite();
    server.ref();`;
  assertEquals(await printedBy(program), "deadline\n");
});
