// Read buffers follow the size of decoded requests: seen in the buffers that the
// sockets are read with.

import { assertEquals, assertRejects } from "@std/assert";
import {
  type Conn,
  listen,
  type ListenerOptions,
  RequestTooLargeError,
} from "../mod.ts";
import { ask, local } from "./sockets.ts";
import { until } from "./support.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A listener that tells of the buffers that its connections are read with. */
class Spy {
  /** The buffer of the first read of each connection. */
  readonly buffers: ArrayBufferLike[] = [];
  readonly listener: Deno.Listener;

  constructor() {
    this.listener = Deno.listen({ ...local, port: 0 });
    const accept = this.listener.accept.bind(this.listener);
    this.listener.accept = async () => this.#watched(await accept());
  }

  #watched(conn: Deno.Conn): Deno.Conn {
    const read = conn.read.bind(conn);
    conn.read = (into) => {
      this.buffers.push(into.buffer);
      conn.read = read;
      return read(into);
    };
    return conn;
  }
}

/** Serves a client with each request, one after the other. */
async function sizesAfter(
  requests: readonly number[],
  handle: (conn: Conn) => Promise<unknown>,
  options: Omit<ListenerOptions<Deno.Addr>, "listener"> = {},
): Promise<number[]> {
  const { buffers, listener } = new Spy();
  const client = (async () => {
    const place = listener.addr as Deno.NetAddr;
    for (const size of requests) {
      await ask(place, "x".repeat(size));
    }
  })();
  let left = requests.length;
  for await (const conn of listen({ ...options, listener })) {
    await handle(conn);
    await conn.respond();
    if (--left === 0) break;
  }
  await client;
  return buffers.map(({ byteLength }) => byteLength);
}

const decode = (conn: Conn) => conn.text();

Deno.test("Conn.text() has later requests read into a buffer as large as the largest of the latest", async () => {
  const small = Array(128).fill(64);
  const sizes = await sizesAfter([64, MIB, 64, 600 * KIB, ...small], decode);
  assertEquals(sizes.slice(0, 2), [64 * KIB, 64 * KIB]);
  assertEquals(sizes.slice(2, 5), Array(3).fill(MIB + 64 * KIB));
  assertEquals(sizes.at(-1), 64 * KIB);
});

Deno.test("Conn.text() has a request read into 2 MiB at most at first", async () => {
  assertEquals(await sizesAfter([5 * MIB, 64], decode), [64 * KIB, 2 * MIB]);
  const sizes = await sizesAfter([2 * MIB - 1, 2 * MIB, 64], decode);
  assertEquals(sizes, [64 * KIB, 2 * MIB, 2 * MIB]);
});

Deno.test("Conn.bytes() leaves the read buffers as they are", async () => {
  const sizes = await sizesAfter([MIB, 64], (conn) => conn.bytes());
  assertEquals(sizes, [64 * KIB, 64 * KIB]);
});

Deno.test("Conn.readUntil() takes no longer lines where the read buffer is larger", async () => {
  await sizesAfter([MIB, MIB], async (conn) => {
    if (conn.id === 1) await conn.text();
    else await assertRejects(() => conn.readUntil("\n"), RequestTooLargeError);
    assertEquals(conn.bytesRead, conn.id === 1 ? MIB : 64 * KIB);
  }, { streaming: true });
});

Deno.test("listen() keeps at most 4 MiB of read buffers", async () => {
  const { buffers, listener } = new Spy();
  const readAhead = 8;
  const atOnce = readAhead + 1;
  const rounds = 3;
  const server = listen({ listener, readAhead });
  const clients = (async () => {
    const client = () => ask(listener.addr as Deno.NetAddr, "x".repeat(MIB));
    await client();
    for (let round = 0; round < rounds; round++) {
      await Promise.all(Array.from({ length: atOnce }, client));
    }
  })();
  for await (const conn of server) {
    // All clients of a round have a buffer before any of them gives it back.
    if (conn.id % atOnce === 2) await until(() => server.inHand === atOnce);
    await conn.text();
    await conn.respond();
    if (conn.id === 1 + rounds * atOnce) break;
  }
  await clients;
  for (let round = 1; round < rounds; round++) {
    const before = new Set(buffers.slice(0, 1 + round * atOnce));
    const now = buffers.slice(1 + round * atOnce, 1 + (round + 1) * atOnce);
    const kept = now.filter((buffer) => before.has(buffer));
    const sizes = kept.map(({ byteLength }) => byteLength);
    assertEquals(sizes, Array(3).fill(MIB + 64 * KIB));
  }
});
