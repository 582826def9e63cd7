// Whose bytes are in whose buffer: a read that an exchange has left pending
// writes neither to the request of the next client nor to a buffer of the
// caller's that may be in use again.

import { assertEquals } from "@std/assert";
import type { Conn } from "../mod.ts";
import { encode } from "./bytes.ts";
import { ask, begin, connect, readText, writeAll } from "./sockets.ts";
import {
  serveLocally,
  type ServeTcpOptions,
  turnOfIo,
  until,
} from "./support.ts";

interface Case {
  options: ServeTcpOptions;
  /** Leaves a read pending, and answers. */
  leave?: (conn: Conn) => string;
}

const pendingReads: Record<string, Case> = {
  "a silence that ends a request": { options: { until: { idle: 20 } } },
  "a refusal": { options: { idleTimeout: 50, onRefuse: () => "too slow" } },
  "a text() that nobody awaits": {
    options: { streaming: true },
    leave: (conn) => {
      conn.text();
      return "answer";
    },
  },
  "a reader that nobody awaits": {
    options: { streaming: true },
    leave: (conn) => {
      conn.readable.getReader().read();
      return "answer";
    },
  },
};

for (const [name, { options, leave }] of Object.entries(pendingReads)) {
  Deno.test(`Conn.text() gives no bytes of another client, whose read was left pending by ${name}`, async () => {
    const arrived = Promise.withResolvers<void>();
    const late = Promise.withResolvers<void>();
    const { server, records } = serveLocally(options, async (conn) => {
      if (conn.id === 1) return leave?.(conn);
      const text = options.streaming ? conn.text() : undefined;
      await until(() => conn.bytesRead === 4);
      arrived.resolve();
      await late.promise;
      return await (text ?? conn.text());
    });
    const first = await connect(server.addr);
    await records.nth(1);
    const second = await begin(server.addr, "mine");
    if (!options.streaming) await second.closeWrite();
    await arrived.promise;
    // The first one is lingered with: what it sends is read, and dropped.
    await writeAll(first, encode("secret"));
    await turnOfIo();
    if (options.streaming) await second.closeWrite();
    late.resolve();
    assertEquals(await readText(second), "mine");
    first.close();
    await server.shutdown();
  });
}

const leftBuffers: Record<string, ServeTcpOptions> = {
  "by a response": {},
  "by a refusal": { idleTimeout: 50, onRefuse: () => "too slow" },
  "by a silence": { until: { idle: 20 } },
};

for (const [how, options] of Object.entries(leftBuffers)) {
  Deno.test(`Conn.read() leaves its buffer alone once its exchange was ended ${how}`, async () => {
    const buffer = new Uint8Array(10);
    const { server, records } = serveLocally(
      { streaming: true, ...options },
      async (conn) => {
        if (conn.id > 1) return "next";
        const reading = conn.read(buffer).catch(() => {});
        if (how !== "by a response") await reading;
        return "answer";
      },
    );
    const client = await connect(server.addr);
    await records.nth(1);
    assertEquals(await ask(server.addr), "next");
    // It may have been reset already.
    await writeAll(client, encode("secret")).catch(() => {});
    await turnOfIo();
    assertEquals(buffer, new Uint8Array(10));
    client.close();
    await server.shutdown();
  });
}
