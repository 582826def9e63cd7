// What is told of a request when it is read, and when.

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { RequestStart, TcpOptions } from "../mod.ts";
import { encode, pattern } from "./bytes.ts";
import { ask, exchange } from "./sockets.ts";
import { listenLocally, serveLocally } from "./support.ts";

/** Serves one request, and gives what was told of it. */
async function startOf(
  request: string | Uint8Array,
  options: TcpOptions = {},
): Promise<RequestStart[]> {
  const starts: RequestStart[] = [];
  const { server } = serveLocally({
    ...options,
    onRequest: (start) => void starts.push(start),
  });
  await exchange(server.addr, request);
  await server.shutdown();
  return starts;
}

for (const streaming of [false, true]) {
  const how = streaming ? "streamed" : "buffered";

  Deno.test(`listen() calls onRequest once for a small request, ${how}`, async () => {
    const starts = await startOf("hello", { streaming });
    assertEquals(
      starts.map(({ id, bytesRead, head }) => ({ id, bytesRead, head })),
      [{ id: 1, bytesRead: 5, head: encode("hello") }],
    );
    assertEquals(starts[0]?.localAddr.transport, "tcp");
    assertEquals(starts[0]?.remoteAddr.transport, "tcp");
  });

  Deno.test(`listen() calls onRequest once for an empty request, ${how}`, async () => {
    const [start, ...others] = await startOf("", { streaming });
    assertEquals(start?.head, new Uint8Array());
    assertEquals(others, []);
  });

  Deno.test(`listen() gives onRequest 1024 bytes of a large request, ${how}`, async () => {
    const request = pattern(3_000_000);
    const [start, ...others] = await startOf(request, { streaming });
    assertEquals(start?.head, request.slice(0, 1024));
    assertEquals(others, []);
  });

  Deno.test(`listen() ends with what onRequest throws, ${how}`, async () => {
    const { listener, records } = listenLocally({
      streaming,
      onRequest: () => {
        throw new Error("no more");
      },
    });
    const answer = ask(listener.addr, "hello");
    await assertRejects(
      async () => {
        for await (const conn of listener) {
          await conn.respond(await conn.text());
        }
      },
      Error,
      "no more",
    );
    assertEquals(await answer, "hello");
    assertEquals(records.outcomes, ["ok"]);
  });
}

Deno.test("listen() calls onRequest for the first chunk of a stream, with or without a buffer of one's own", async () => {
  for (const mode of [undefined, "byob"] as const) {
    const starts: RequestStart[] = [];
    const { listener } = listenLocally({
      streaming: true,
      onRequest: (start) => void starts.push(start),
    });
    const answer = ask(listener.addr, "hello");
    for await (const conn of listener) {
      const reader = conn.readable.getReader(mode ? { mode } : {}) as
        & ReadableStreamDefaultReader<Uint8Array>
        & ReadableStreamBYOBReader;
      assertEquals(starts, []);
      const { value } = await reader.read(new Uint8Array(3));
      assert(value);
      assertEquals(starts.map(({ head }) => head), [value]);
      reader.releaseLock();
      await conn.respond();
      break;
    }
    assertEquals(await answer, "");
  }
});

Deno.test("listen() does not call onRequest for a request that nobody reads", async () => {
  const starts: RequestStart[] = [];
  const { server } = serveLocally({
    streaming: true,
    onRequest: (start) => void starts.push(start),
  }, () => "answer");
  assertEquals(await ask(server.addr, "hello"), "answer");
  await server.shutdown();
  assertEquals(starts, []);
});

Deno.test("onRequest is given a copy", async () => {
  const { listener } = listenLocally({ onRequest: ({ head }) => head.fill(0) });
  const answer = ask(listener.addr, "hello");
  for await (const conn of listener) {
    await conn.respond(await conn.bytes());
    break;
  }
  assertEquals(await answer, "hello");
});

Deno.test("listen() calls onRequest once for an empty request that is read again and again", async () => {
  const starts: RequestStart[] = [];
  const { server } = serveLocally({
    streaming: true,
    onRequest: (start) => void starts.push(start),
  }, async (conn) => {
    for (let i = 0; i < 3; i++) {
      assertEquals(await conn.read(new Uint8Array(5)), null);
    }
    return "answer";
  });
  assertEquals(await ask(server.addr, ""), "answer");
  await server.shutdown();
  assertEquals(starts.length, 1);
});
