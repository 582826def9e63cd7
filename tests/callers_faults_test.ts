// A fault of the caller's code is recorded as such, and ends its exchange only.

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type BodyChunk, type Conn, request } from "../mod.ts";
import { hostile } from "./hostile.ts";
import { ask, begin, readText, send } from "./sockets.ts";
import {
  listenLocally,
  serveLocally,
  type ServeTcpOptions,
} from "./support.ts";

function detached<View extends ArrayBufferView>(
  make: (buffer: ArrayBuffer) => View,
): View {
  const buffer = new ArrayBuffer(8);
  const view = make(buffer);
  buffer.transfer();
  return view;
}

/** A view that its buffer has become too small for. */
function shrunk<View extends ArrayBufferView>(
  make: (buffer: ArrayBuffer) => View,
): View {
  const buffer = new ArrayBuffer(8, { maxByteLength: 16 });
  const view = make(buffer);
  buffer.resize(2);
  return view;
}

const useless: Record<string, () => unknown> = {
  "a DataView": () => new DataView(new ArrayBuffer(8)),
  "a Uint16Array": () => new Uint16Array(8),
  "an ArrayBuffer": () => new ArrayBuffer(8),
  "a string": () => "text",
  "nothing": () => undefined,
  "a revoked proxy": hostile["a revoked proxy"],
  "a detached buffer": () => detached((buffer) => new Uint8Array(buffer)),
  "a view out of bounds": () => shrunk((buffer) => new Uint8Array(buffer, 4)),
  "an empty view": () => new Uint8Array(),
};

const modes: Record<string, ServeTcpOptions> = {
  "whole": {},
  "streaming": { streaming: true },
  "streaming, with a refusal": { streaming: true, onRefuse: () => "no" },
  "streaming, until a silence": { streaming: true, until: { idle: 60_000 } },
  "reading ahead": { readAhead: 2 },
  "whole, behind a proxy": { proxyProtocol: true },
  "streaming, behind a proxy": { proxyProtocol: true, streaming: true },
};

for (const [mode, options] of Object.entries(modes)) {
  Deno.test(`Conn.read() rejects what it cannot read into (${mode})`, async (t) => {
    const header = options.proxyProtocol
      ? "PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n"
      : "";
    for (const [name, make] of Object.entries(useless)) {
      for (const begins of ["at once", "after a byte"]) {
        await t.step(`${name}, ${begins}`, async () => {
          const errors: unknown[] = [];
          const { server, records } = serveLocally({
            ...options,
            onError: (error) => void errors.push(error),
          }, async (conn) => {
            const one = new Uint8Array(1);
            if (begins !== "at once") assertEquals(await conn.read(one), 1);
            await conn.read(make() as Uint8Array);
          });
          assertEquals(await ask(server.addr, `${header}hello`), "");
          const { outcome, error } = await records.nth(1);
          assertEquals(outcome, "failed");
          assertEquals(errors, [error]);
          assertMatch(`${error}`, /^TypeError: Cannot read the request into /);
          await server.shutdown();
        });
      }
    }
  });
}

Deno.test("Conn.read() records a useless buffer even if the handler goes on", async () => {
  const { server, records } = serveLocally(
    { onError() {} },
    async (conn) => {
      await assertRejects(
        () => conn.read(new DataView(new ArrayBuffer(8)) as never),
        TypeError,
      );
      return "answered";
    },
  );
  assertEquals(await ask(server.addr, "hello"), "answered");
  assertEquals((await records.nth(1)).outcome, "failed");
  await server.shutdown();
});

for (const mode of ["streaming", "streaming, with a refusal"] as const) {
  const fates: Record<string, (buffer: ArrayBuffer) => void> = {
    shrinks: (buffer) => buffer.resize(2),
    "shrinks to nothing": (buffer) => buffer.resize(0),
    "is transferred": (buffer) => void buffer.transfer(),
  };
  for (const [fate, harm] of Object.entries(fates)) {
    Deno.test(`Conn.read() rejects if its buffer ${fate} meanwhile (${mode})`, async () => {
      const { listener, records } = listenLocally(modes[mode] as object);
      const client = await begin(listener.addr, "x");
      for await (const conn of listener) {
        assertEquals(await conn.read(new Uint8Array(1)), 1);
        const buffer = new ArrayBuffer(8, { maxByteLength: 16 });
        const reading = conn.read(new Uint8Array(buffer));
        harm(buffer);
        const rejected = assertRejects(
          () => reading,
          TypeError,
          "while it was read into",
        );
        await client.write(new TextEncoder().encode("12345678"));
        await rejected;
        await client.closeWrite();
        break;
      }
      await readText(client);
      assertEquals(records.outcomes, ["failed"]);
    });
  }
}

Deno.test("Conn.read() reads into shared memory", async () => {
  for (const streaming of [false, true]) {
    const { server, records } = serveLocally({ streaming }, async (conn) => {
      const shared = new Uint8Array(new SharedArrayBuffer(8));
      assertEquals(await conn.read(shared), 5);
      return shared.slice(0, 5);
    });
    assertEquals(await ask(server.addr, "hello"), "hello");
    assertEquals((await records.nth(1)).outcome, "ok");
    await server.shutdown();
  }
});

const lost: Record<string, () => BodyChunk> = {
  "a detached buffer": () => detached((buffer) => new Uint8Array(buffer)),
  "a detached DataView": () => detached((buffer) => new DataView(buffer)),
  "a view out of bounds": () => shrunk((buffer) => new Uint8Array(buffer, 4)),
  "a Uint16Array out of bounds": () =>
    shrunk((buffer) => new Uint16Array(buffer, 4)),
  "a BigInt64Array out of bounds": () =>
    shrunk((buffer) => new BigInt64Array(buffer, 0, 1)),
  "a DataView out of bounds": () => shrunk((buffer) => new DataView(buffer, 4)),
};

Deno.test("nothing that is lost is sent as if it were empty", async (t) => {
  const ways: Record<string, (conn: Conn, chunk: BodyChunk) => unknown> = {
    "as a body": (conn, chunk) => conn.respond(chunk),
    "in an iterable": (conn, chunk) => conn.respond([chunk]),
    "in an async iterable": (conn, chunk) =>
      conn.respond((async function* () {
        yield await Promise.resolve(chunk);
      })()),
    "to writable": (conn, chunk) => conn.writable.getWriter().write(chunk),
  };
  for (const [name, make] of Object.entries(lost)) {
    for (const [way, use] of Object.entries(ways)) {
      await t.step(`${name}, ${way}`, async () => {
        const { server, records } = serveLocally(
          { onError() {} },
          async (conn) => {
            await use(conn, make());
          },
        );
        assertEquals(await ask(server.addr, "x"), "");
        const { outcome, error } = await records.nth(1);
        assertEquals(outcome, "failed");
        assertMatch(`${error}`, /^TypeError: Cannot send a buffer that was /);
        await server.shutdown();
      });
    }
    await t.step(`${name}, by request()`, async () => {
      const { server } = serveLocally();
      const send = async (body: BodyChunk | BodyChunk[]) =>
        await (await request(server.addr, body)).sent;
      await assertRejects(
        () => send(make()),
        TypeError,
        "Cannot send a buffer",
      );
      await assertRejects(() => send([make()]), TypeError, "send a buffer");
      await server.shutdown();
    });
  }
});

Deno.test("an empty view of any type is an empty response", async () => {
  const views = [new BigInt64Array(), new DataView(new ArrayBuffer(0))];
  const { server, records } = serveLocally({}, () => views.pop());
  for (const _ of [1, 2]) assertEquals(await ask(server.addr, "x"), "");
  await records.nth(2);
  assertEquals(records.outcomes, ["ok", "ok"]);
  await server.shutdown();
});

Deno.test("onRefuse() may return bytes", async () => {
  const { server } = serveLocally({
    maxRequestBytes: 1,
    onRefuse: () => new Uint16Array([0x6f6e]),
  });
  assertEquals(await ask(server.addr, "too large"), "no");
  await server.shutdown();
});

Deno.test("onRefuse() must return something to send", async (t) => {
  const wrong: Record<string, () => unknown> = {
    "a promise": () => Promise.resolve("later"),
    "a promise that rejects": () => Promise.reject(new Error("later")),
    "a number": () => 404,
    "an array": () => ["no"],
    "a view out of bounds": () => shrunk((buffer) => new Uint8Array(buffer, 4)),
    "a revoked proxy": hostile["a revoked proxy"],
  };
  for (const [name, make] of Object.entries(wrong)) {
    await t.step(name, async () => {
      const { server, records } = serveLocally({
        maxRequestBytes: 1,
        onRefuse: make as () => string,
      });
      const ended = assertRejects(() => server.finished, TypeError);
      assertEquals(await ask(server.addr, "too large"), "");
      await ended;
      assertEquals(records.outcomes, ["too-large"]);
    });
  }
});

Deno.test("what onRequest throws for a request read ahead waits for its own exchange", async () => {
  const told = Promise.withResolvers<void>();
  const handled: number[] = [];
  const { server, records } = serveLocally({
    readAhead: 2,
    onRequest({ id }) {
      if (id === 1) return;
      told.resolve();
      throw new Error("of request 2");
    },
  }, async (conn) => {
    handled.push(conn.id);
    if (conn.id === 1) await told.promise;
    return await conn.bytes();
  });
  const ended = assertRejects(() => server.finished, Error, "of request 2");
  const first = await send(server.addr, "one");
  const second = await send(server.addr, "two");
  assertEquals(await readText(first), "one");
  assertEquals(await readText(second), "two");
  await ended;
  assertEquals(handled, [1, 2]);
  assertEquals(records.outcomes, ["ok", "ok"]);
});

Deno.test("a write that nobody awaits before the response fails the exchange", async (t) => {
  const ways: Record<string, (conn: Conn) => unknown> = {
    "respond() with text": (conn) => conn.respond("response"),
    "respond() with nothing": (conn) => conn.respond(),
    "a body that is returned": () => "response",
    "nothing": () => {},
    "close()": (conn) => conn.close(),
  };
  for (const releases of [false, true]) {
    for (const [name, use] of Object.entries(ways)) {
      await t.step(
        `${name}, lock ${releases ? "released" : "kept"}`,
        async () => {
          const { server, records } = serveLocally(
            { onError() {} },
            async (conn) => {
              const writer = conn.writable.getWriter();
              writer.write("lost?");
              if (releases) writer.releaseLock();
              const body = await use(conn);
              return typeof body === "string" ? body : undefined;
            },
          );
          await ask(server.addr, "x");
          assertEquals((await records.nth(1)).outcome, "failed");
          await server.shutdown();
        },
      );
    }
  }
});

Deno.test("a stream that is piped to writable after the response fails the exchange", async () => {
  const errors: unknown[] = [];
  const { server, records } = serveLocally(
    { onError: (error) => void errors.push(error) },
    async (conn) => {
      const body = conn.respond("a response");
      ReadableStream.from(["more"]).pipeTo(conn.writable).catch(() => {});
      await body;
    },
  );
  assertEquals(await ask(server.addr, "x"), "a response");
  assertEquals((await records.nth(1)).outcome, "failed");
  assertEquals(errors.length, 1);
  await server.shutdown();
});

Deno.test("serve() tells onError of undefined, too, if a response that nobody awaits throws it", async () => {
  const errors: unknown[] = [];
  const { server, records } = serveLocally(
    { onError: (error) => void errors.push(error) },
    (conn) => {
      conn.respond((function* () {
        yield "a part";
        throw undefined;
      })());
    },
  );
  await ask(server.addr, "x");
  assertEquals((await records.nth(1)).outcome, "failed");
  assertEquals(errors, [undefined]);
  await server.shutdown();
});

Deno.test("serve() survives a body that throws something hostile if it may refuse clients", async () => {
  const { server, records } = serveLocally(
    { onRefuse: () => "refused", onError() {} },
    ({ id }) =>
      (async function* () {
        yield* id > 1 ? ["well"] : [];
        await Promise.resolve();
        if (id === 1) throw hostile["a proxy whose traps all throw"]();
      })(),
  );
  await ask(server.addr, "x");
  assertEquals(await ask(server.addr, "x"), "well");
  await records.nth(2);
  assertEquals(records.outcomes, ["failed", "ok"]);
  await server.shutdown();
});

Deno.test("serve() says of a detached ArrayBuffer that it cannot be sent", async () => {
  const buffer = new ArrayBuffer(8);
  buffer.transfer();
  const errors: unknown[] = [];
  const { server, records } = serveLocally(
    { onError: (error) => void errors.push(error) },
    () => buffer,
  );
  assertEquals(await ask(server.addr, "hello"), "");
  await server.shutdown();
  assertEquals(records.outcomes, ["failed"]);
  assertMatch(`${errors}`, /Cannot send a buffer that was detached/);
});
