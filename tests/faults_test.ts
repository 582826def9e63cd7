// Whatever a client or a handler does: the record tells, the next client is
// served, and nothing is left open, which the sanitizers of the tests look after.
// The faults of TLS, of Unix sockets, of accepting and of stopping are with their
// like, in `tls_test.ts`, `unix_test.ts`, `accept_test.ts` and `shutdown_test.ts`.

import { assertEquals } from "@std/assert";
import type { ExchangeRecord, Handler, Outcome } from "../mod.ts";
import { areSame, encode, pattern } from "./bytes.ts";
import { checkRow, endOf, faults, type Observed } from "./fault_table.ts";
import { binary } from "./proxy_headers.ts";
import { KeptSocket } from "./kept_socket.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  begin,
  connect,
  exchange,
  pause,
  readBytes,
  readText,
  send,
  writeAll,
} from "./sockets.ts";
import {
  echoOnce,
  listenLocally,
  serveLocally,
  type ServeTcpOptions,
  testOnLinux,
  turnOfIo,
} from "./support.ts";

const MiB = 1024 ** 2;
const eightMiB = pattern(8 * MiB);
/** More than the kernel keeps of what nobody reads. */
const moreThanFits = new Uint8Array(64 * MiB);

/** One way to misbehave, or to come close to it. */
interface Fault {
  options?: ServeTcpOptions;
  /** What handles the first exchange; the next one is echoed. */
  handler?: Handler<Deno.NetAddr>;
  /** What the client does, and gives what it has seen. */
  client: (addr: Deno.NetAddr, progress: Progress) => Promise<unknown>;
  /** What it is to see. */
  sees?: unknown;
  /** Whether its connection is cut: if the socket is inherited, it sees a reset. */
  isCut?: boolean;
  outcome: Outcome;
  phase: ExchangeRecord["phase"];
}

/** How far the server has come with the first exchange. */
interface Progress {
  accepted: Promise<void>;
  /** It has been handed to its handler. */
  handling: Promise<void>;
  over: Promise<ExchangeRecord>;
  /** Waits until the next client has been served while this one is not done. */
  nextIsServed: () => Promise<void>;
}

/** What a client has got whose connection was reset. */
const reset = "reset";

/** Whoever is refused is told the reason in these words. */
const refused = "refused: ";

/**
 * Tests that a server gets over a fault, whether it streams or not. Only the limit
 * that the fault names can end it. What is seen must be what the docs say.
 */
function testFault(name: string, makeFault: () => Fault): void {
  const { options } = makeFault();
  for (const streaming of [false, true]) {
    if (streaming !== (options?.streaming ?? streaming)) continue;
    const mode = streaming ? "streaming" : "buffered";
    Deno.test(`serve() gets over ${name} (${mode})`, async () => {
      await checkFault(name, makeFault(), { streaming });
    });
    testOnLinux(`serve() gets over ${name} (${mode}, inherited)`, async () => {
      using kept = KeptSocket.tcp();
      const fd = kept.lend();
      await checkFault(name, makeFault(), { streaming, fd });
    });
  }
}

/** Where requests come from, and how. */
interface Way {
  streaming: boolean;
  /** The descriptor of the socket, if it is inherited. */
  fd?: number;
}

async function checkFault(
  name: string,
  { options, handler, client, sees: whole, isCut, ...expected }: Fault,
  way: Way,
): Promise<void> {
  const { streaming, fd } = way;
  const accepted = Promise.withResolvers<void>();
  const handling = Promise.withResolvers<void>();
  const { server, records } = serveLocally({
    deadline: Infinity,
    idleTimeout: Infinity,
    onRefuse: ({ name }) => `${refused}${name}`,
    onError: () => "from onError",
    allow: () => {
      accepted.resolve();
      return true;
    },
    streaming,
    ...options,
  }, (conn, server) => {
    handling.resolve();
    return handler && conn.id === 1 ? handler(conn, server) : conn.bytes();
  }, fd);
  const header = options?.proxyProtocol ? "PROXY UNKNOWN\r\n" : "";
  const next = accepted.promise.then(() => {
    return ask(server.addr, `${header}next`);
  });
  let hasWaited = false;
  const sees = await client(server.addr, {
    accepted: accepted.promise,
    handling: handling.promise,
    over: records.nth(1),
    async nextIsServed() {
      hasWaited = true;
      await next;
    },
  }).catch((error) => {
    if (error instanceof Deno.errors.ConnectionReset) return reset;
    throw error;
  });
  assertEquals(await next, "next");
  await server.shutdown();
  const record = await records.nth(1);
  const { outcome, phase } = record;
  const expectedSight = isCut && fd !== undefined ? reset : whole;
  assertEquals({ sees, outcome, phase }, { sees: expectedSight, ...expected });
  assertEquals(records.outcomes.slice(1), ["ok"]);
  assertEquals(records.all.map(({ id }) => id), [1, 2]);
  if (!faults.includes(name)) return;
  checkRow(name, {
    client: kindOf(sees),
    records: [record],
    released: hasWaited ? "at once" : endOf(record),
    isInherited: fd !== undefined,
  });
}

function kindOf(sees: unknown): Observed["client"] {
  if (sees === undefined) return "left";
  if (sees === "") return "end";
  if (sees === reset) return "reset";
  const isRefusal = typeof sees === "string" && sees.startsWith(refused);
  return isRefusal ? "refusal" : "response";
}

// Clients that leave

testFault("a client that connects and leaves", () => ({
  async client(addr) {
    (await connect(addr)).close();
  },
  outcome: "ok",
  phase: "writing",
}));

testFault("a client that resets before its request", () => ({
  async client(addr, { accepted }) {
    const client = await RudeClient.connect(addr);
    await accepted;
    await client.reset();
  },
  outcome: "reset",
  phase: "reading",
}));

testFault("a client that resets within its request", () => ({
  async client(addr, { accepted }) {
    const client = await RudeClient.connect(addr);
    await accepted;
    await client.write(new Uint8Array(100_000));
    await client.reset();
  },
  outcome: "reset",
  phase: "reading",
}));

testFault("a client that resets after its request", () => {
  const gone = Promise.withResolvers<void>();
  return {
    async handler(conn) {
      const request = await conn.text();
      await gone.promise;
      return request + "an answer that nobody will read".repeat(1000);
    },
    async client(addr, { handling }) {
      const client = await RudeClient.connect(addr);
      await client.write("request");
      await client.closeWrite();
      await handling;
      await client.reset();
      gone.resolve();
    },
    outcome: "reset",
    phase: "writing",
  };
});

testFault("a client that resets within the response", () => {
  const gone = Promise.withResolvers<void>();
  return {
    async *handler() {
      yield "the beginning";
      await gone.promise;
      yield eightMiB;
      yield eightMiB;
    },
    async client(addr) {
      const client = await RudeClient.connect(addr);
      await client.closeWrite();
      await client.received();
      await client.reset();
      gone.resolve();
    },
    outcome: "reset",
    phase: "writing",
  };
});

testFault("a client that leaves within the response", () => ({
  handler: () => moreThanFits,
  async client(addr) {
    const client = await send(addr, "request");
    await client.read(new Uint8Array(1000));
    client.close();
  },
  outcome: "reset",
  phase: "writing",
}));

Deno.test("serve() gets over 2000 clients that reset before they are accepted", async () => {
  const { server, records } = serveLocally({
    deadline: Infinity,
    idleTimeout: Infinity,
  });
  for (let i = 0; i < 20; i++) {
    const clients = Array.from(
      { length: 100 },
      async () => await (await RudeClient.connect(server.addr)).reset(),
    );
    await Promise.all(clients);
  }
  assertEquals(await ask(server.addr, "next"), "next");
  await server.shutdown();
  assertEquals(records.outcomes.at(-1), "ok");
  // Some of them were accepted before they reset.
  checkRow("2000 clients that reset before they are accepted", {
    client: "left",
    records: records.all.slice(0, -1),
    released: "at once",
  });
});

Deno.test("listen() gets over clients that reset before it has begun to accept", async () => {
  const { listener, records } = listenLocally();
  // No more than fit into the backlog of any system.
  for (let i = 0; i < 100; i++) {
    await (await RudeClient.connect(listener.addr)).reset();
  }
  const answer = ask(listener.addr, "next");
  await echoOnce(listener);
  assertEquals(await answer, "next");
  assertEquals(records.outcomes.at(-1), "ok");
  const others = new Set(records.outcomes.slice(0, -1));
  assertEquals(others.difference(new Set(["reset"])), new Set());
});

Deno.test("serve() gets over 1000 clients that leave at once, with or without a request", async () => {
  const { server, records } = serveLocally();
  for (let i = 0; i < 10; i++) {
    const clients = Array.from({ length: 100 }, async (_, i) => {
      const client = await connect(server.addr);
      if (i % 2 === 0) await client.write(encode("request"));
      client.close();
    });
    await Promise.all(clients);
  }
  assertEquals(await ask(server.addr, "next"), "next");
  await server.shutdown();
  assertEquals(records.all.length, 1001);
  const outcomes = new Set(records.outcomes);
  assertEquals(outcomes.difference(new Set(["ok", "reset"])), new Set());
});

// Clients that are slow, or never done

testFault("a client that is silent", () => ({
  options: { idleTimeout: 50 },
  async client(addr) {
    return await readText(await connect(addr));
  },
  sees: "refused: TimeoutError",
  outcome: "idle",
  phase: "reading",
}));

testFault("a client that never ends its request", () => ({
  options: { idleTimeout: 50 },
  async client(addr) {
    const request = "GET / HTTP/1.1\r\nhost: example.com\r\n\r\n";
    return await readText(await begin(addr, request));
  },
  sees: "refused: TimeoutError",
  outcome: "idle",
  phase: "reading",
}));

testFault("a client that drips", () => ({
  options: { deadline: 300 },
  async client(addr, { over }) {
    const client = await connect(addr);
    let done = false;
    over.then(() => done = true);
    while (!done) {
      await client.write(encode("."));
      await pause(5);
    }
    return await readText(client);
  },
  sees: "refused: TimeoutError",
  outcome: "deadline",
  phase: "reading",
}));

testFault("a client that does not read its response", () => ({
  options: { idleTimeout: 50 },
  handler: () => moreThanFits,
  async client(addr, { over }) {
    const client = await send(addr, "request");
    const { bytesWritten } = await over;
    const { length } = await readBytes(client);
    return length > 0 && length === bytesWritten;
  },
  sees: true,
  isCut: true,
  outcome: "idle",
  phase: "writing",
}));

testFault(
  "a client that reads its response when the connection is long closed",
  () => ({
    async client(addr, { over, nextIsServed }) {
      const client = await send(addr, "request");
      await over;
      await nextIsServed();
      return await readText(client);
    },
    sees: "request",
    outcome: "ok",
    phase: "writing",
  }),
);

// Clients that send much

for (
  const [name, size] of [
    ["a request one byte below the limit", 999],
    ["a request as large as the limit", 1000],
  ] as const
) {
  testFault(name, () => ({
    options: { maxRequestBytes: 1000 },
    client: async (addr) => (await ask(addr, "x".repeat(size))).length,
    sees: size,
    outcome: "ok",
    phase: "writing",
  }));
}

testFault("a request one byte over the limit", () => ({
  options: { maxRequestBytes: 1000 },
  client: async (addr) => await ask(addr, "x".repeat(1001)),
  sees: "refused: RequestTooLargeError",
  outcome: "too-large",
  phase: "reading",
}));

testFault("a flood of 64 MiB over the limit", () => ({
  options: { maxRequestBytes: 1000 },
  async client(addr) {
    return await readText(await send(addr, moreThanFits));
  },
  sees: "refused: RequestTooLargeError",
  outcome: "too-large",
  phase: "reading",
}));

testFault("8 MiB both ways, answered before they are read", () => ({
  options: { streaming: true },
  handler: () => eightMiB,
  async client(addr) {
    // All is written before anything is read.
    const client = await send(addr, eightMiB);
    return areSame(await readBytes(client), eightMiB);
  },
  sees: true,
  outcome: "ok",
  phase: "writing",
}));

testFault("8 MiB both ways", () => ({
  async client(addr) {
    return areSame(await exchange(addr, eightMiB), eightMiB);
  },
  sees: true,
  outcome: "ok",
  phase: "writing",
}));

// Requests that tell their length

/** The first byte says how many follow, but for the next client's. */
const firstByte = ([first = 0]: Uint8Array) => first === 110 ? 4 : 1 + first;

testFault("a length that never comes", () => ({
  options: { until: firstByte, idleTimeout: 50 },
  client: async (addr) => await readText(await begin(addr, "\x09hello")),
  sees: "refused: TimeoutError",
  outcome: "idle",
  phase: "reading",
}));

testFault("a length beyond maxRequestBytes", () => ({
  options: { until: firstByte, maxRequestBytes: 9 },
  client: async (addr) => await readText(await begin(addr, "\x09hello")),
  sees: "refused: RequestTooLargeError",
  outcome: "too-large",
  phase: "reading",
}));

testFault("a head that never tells its length", () => ({
  options: { until: ([first]) => first === 110 ? 4 : undefined },
  client: async (addr) => await readText(await begin(addr, eightMiB)),
  sees: "refused: RequestTooLargeError",
  outcome: "too-large",
  phase: "reading",
}));

testFault("a request that ends before its length", () => ({
  options: { until: firstByte },
  client: async (addr) => await ask(addr, "\x09hello"),
  sees: "",
  isCut: true,
  outcome: "truncated",
  phase: "reading",
}));

testFault("a flood after the length", () => ({
  options: { until: firstByte },
  client: async (addr) => {
    const client = await begin(addr, "\x05hello");
    const reply = readText(client);
    // The server may close once it has dropped this for long enough.
    await writeAll(client, moreThanFits).catch(() => {});
    await client.closeWrite().catch(() => {});
    return await reply;
  },
  sees: "\x05hello",
  outcome: "ok",
  phase: "writing",
}));

for (const streaming of [false, true]) {
  testFault("an `until` that throws", () => ({
    options: {
      streaming,
      until: ([first]) => {
        if (first === 0) throw new Error("from until");
        return 4;
      },
    },
    client: async (addr) => await readText(await begin(addr, "\0hello")),
    sees: streaming ? "from onError" : "",
    isCut: !streaming,
    outcome: "failed",
    phase: "reading",
  }));
}

// Dialogues

testFault("a line of a dialogue that is too long", () => ({
  options: { streaming: true },
  handler: async (conn) => await conn.readUntil("\n"),
  client: async (addr) => await readText(await begin(addr, moreThanFits)),
  sees: "refused: RequestTooLargeError",
  outcome: "too-large",
  phase: "reading",
}));

testFault("a dialogue that ends within a line", () => ({
  options: { streaming: true },
  async *handler(conn) {
    yield "hello\n";
    await conn.readUntil("\n");
  },
  client: async (addr) => await ask(addr, "QUI"),
  sees: "hello\n",
  isCut: true,
  outcome: "truncated",
  phase: "reading",
}));

testFault("a client that is silent in a dialogue", () => ({
  options: { streaming: true, idleTimeout: 50 },
  async *handler(conn) {
    yield "hello\n";
    await conn.readUntil("\n");
  },
  client: async (addr) => await readText(await connect(addr)),
  sees: "hello\n",
  isCut: true,
  outcome: "idle",
  phase: "writing",
}));

// Handlers

const request = async (addr: Deno.NetAddr) => await ask(addr, "request");

testFault("a handler that throws", () => ({
  handler: () => {
    throw new Error("from the handler");
  },
  client: request,
  sees: "from onError",
  outcome: "failed",
  phase: "handling",
}));

testFault("a handler that rejects", () => ({
  handler: () => Promise.reject(new Error("from the handler")),
  client: request,
  sees: "from onError",
  outcome: "failed",
  phase: "handling",
}));

testFault("a handler that hangs", () => ({
  options: { deadline: 50 },
  handler: () => new Promise(() => {}),
  client: request,
  sees: "refused: TimeoutError",
  outcome: "deadline",
  phase: "handling",
}));

testFault("a handler that responds twice", () => ({
  async handler(conn) {
    await conn.respond("first");
    return "second";
  },
  client: request,
  sees: "first",
  outcome: "failed",
  phase: "handling",
}));

testFault("a handler that answers without reading", () => ({
  handler: () => "answer",
  client: request,
  sees: "answer",
  outcome: "ok",
  phase: "writing",
}));

testFault("a handler that cancels the request", () => ({
  async handler(conn) {
    await conn.readable.cancel();
    return "answer";
  },
  async client(addr) {
    return await readText(await send(addr, eightMiB));
  },
  sees: "answer",
  outcome: "ok",
  phase: "writing",
}));

testFault("a handler that says nothing", () => ({
  handler: () => {},
  client: request,
  sees: "",
  outcome: "ok",
  phase: "handling",
}));

testFault("a body that throws after a chunk", () => ({
  *handler() {
    yield "chunk";
    throw new Error("from the body");
  },
  client: request,
  sees: "chunk",
  isCut: true,
  outcome: "failed",
  phase: "writing",
}));

testFault("a body that never ends", () => ({
  options: { deadline: 100 },
  *handler() {
    for (;;) yield "again and ";
  },
  async client(addr) {
    return (await ask(addr)).startsWith("again and again and ");
  },
  sees: true,
  isCut: true,
  outcome: "deadline",
  phase: "writing",
}));

testFault("a body that stalls", () => ({
  options: { deadline: 100 },
  async *handler() {
    yield "chunk";
    await new Promise(() => {});
  },
  client: request,
  sees: "chunk",
  isCut: true,
  outcome: "deadline",
  phase: "writing",
}));

testFault("a response left half written", () => ({
  async handler(conn) {
    await conn.writable.getWriter().write("half");
  },
  client: request,
  sees: "half",
  isCut: true,
  outcome: "failed",
  phase: "writing",
}));

// Behind a proxy that speaks the PROXY protocol

const proxyProtocol = true;

testFault("a connection without a PROXY header", () => ({
  options: { proxyProtocol },
  async client(addr) {
    const client = await send(addr, "GET / HTTP/1.1\r\n\r\n");
    return await readText(client).catch(() => "");
  },
  sees: "",
  outcome: "proxy",
  phase: "reading",
}));

testFault("a PROXY header that is cut", () => ({
  options: { proxyProtocol },
  async client(addr) {
    return await readText(await send(addr, "PROXY TCP4 192.0.2.1"));
  },
  sees: "",
  isCut: true,
  outcome: "proxy",
  phase: "reading",
}));

testFault("a client that resets within its PROXY header", () => ({
  options: { proxyProtocol },
  async client(addr, { accepted }) {
    const client = await RudeClient.connect(addr);
    await accepted;
    await client.write("PROXY TCP4 192.0.2.1");
    await turnOfIo();
    await client.reset();
  },
  outcome: "reset",
  phase: "reading",
}));

testFault("a PROXY header that never ends", () => ({
  options: { proxyProtocol, idleTimeout: 50 },
  async client(addr) {
    return await readText(await begin(addr, "PROXY TCP4 192.0.2.1"));
  },
  sees: "",
  isCut: true,
  outcome: "idle",
  phase: "reading",
}));

testFault("a PROXY header whose checksum is wrong", () => ({
  options: { proxyProtocol },
  async client(addr) {
    const fields = [{ type: 3, value: [0, 0, 0, 0] }];
    const header = binary({ addresses: Array(12).fill(1), fields });
    return await readText(await send(addr, header));
  },
  sees: "",
  isCut: true,
  outcome: "proxy",
  phase: "reading",
}));

testFault("a health check that sends nothing", () => ({
  options: { proxyProtocol },
  async client(addr) {
    (await connect(addr)).close();
  },
  outcome: "health-check",
  phase: "reading",
}));

testFault("a health check that sends nothing and resets", () => ({
  options: { proxyProtocol },
  async client(addr, { accepted }) {
    const client = await RudeClient.connect(addr);
    await accepted;
    await client.reset();
  },
  outcome: "health-check",
  phase: "reading",
}));

testFault("a health check with a PROXY header", () => ({
  options: { proxyProtocol },
  async client(addr) {
    (await begin(addr, binary({ command: 0x20, family: 0 }))).close();
  },
  outcome: "health-check",
  phase: "reading",
}));
