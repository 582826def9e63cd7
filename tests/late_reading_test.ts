// A request that is read for the first time when its exchange has been cut: the
// reader is told of the cut, whichever way it reads.

import { assertEquals, assertStrictEquals } from "@std/assert";
import type { Conn, Server } from "../mod.ts";
import { begin } from "./sockets.ts";
import { serveLocally, type ServeTcpOptions } from "./support.ts";

const readings: Record<string, (conn: Conn) => Promise<unknown>> = {
  "bytes()": (conn) => conn.bytes(),
  "arrayBuffer()": (conn) => conn.arrayBuffer(),
  "text()": (conn) => conn.text(),
  "json()": (conn) => conn.json(),
  "read()": (conn) => conn.read(new Uint8Array(9)),
  "readUntil()": (conn) => conn.readUntil("\n"),
  "readExactly()": (conn) => conn.readExactly(3),
  "a reader": (conn) => conn.readable.getReader().read(),
  "a loop": async (conn) => {
    for await (const _ of conn.readable);
  },
  "pipeTo()": (conn) => conn.readable.pipeTo(new WritableStream()),
};

interface Cut {
  options?: ServeTcpOptions;
  act?(conn: Conn, server: Server): void;
}

const cuts: Record<string, Cut> = {
  "the deadline": { options: { deadline: 20 } },
  "the deadline, and its client is told": {
    options: { deadline: 20, onRefuse: () => "refused" },
  },
  "abort()": { act: (conn) => conn.abort() },
  "close()": { act: (_, server) => server.close() },
};

for (const streaming of [false, true]) {
  for (const [cause, { options = {}, act }] of Object.entries(cuts)) {
    Deno.test(`Conn tells of a cut by ${cause} in all readings (${streaming ? "streaming" : "buffered"})`, async (t) => {
      for (const [name, read] of Object.entries(readings)) {
        await t.step(name, async () => {
          const told = Promise.withResolvers<[conn: Conn, fault: unknown]>();
          const errors: unknown[] = [];
          const { server, records } = serveLocally({
            streaming,
            // Its client sends no FIN, so that it lingers.
            until: "\n",
            ...options,
            onError: (error) => void errors.push(error),
          }, async (conn, server) => {
            const cut = new Promise((resolve) =>
              conn.signal.addEventListener("abort", resolve)
            );
            act?.(conn, server);
            await cut;
            // The server moves on.
            await records.nth(1);
            await read(conn).catch((fault) => told.resolve([conn, fault]));
            told.reject(new Error("It could be read"));
          });
          const client = await begin(server.addr, "hello\n");
          const [conn, fault] = await told.promise;
          assertStrictEquals(fault, conn.signal.reason);
          assertEquals(errors, []);
          client.close();
          server.close();
          await server.finished;
        });
      }
    });
  }
}
