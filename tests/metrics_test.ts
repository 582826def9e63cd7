// The numbers that metrics() counts, of real traffic.

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { type Metrics, metrics } from "../metrics/mod.ts";
import { type ExchangeRecord, type Outcome, serve } from "../mod.ts";
import { Exposition } from "./exposition.ts";
import { RudeClient } from "./rude_client.ts";
import { ask, begin, local } from "./sockets.ts";
import {
  listenLocally,
  Records,
  serveLocally,
  type ServeTcpOptions,
  until,
} from "./support.ts";

const outcomes: Outcome[] = [
  ...["ok", "too-large", "idle", "deadline", "reset"] as const,
  ...[
    "truncated",
    "handshake",
    "proxy",
    "denied",
    "failed",
    "aborted",
  ] as const,
  "health-check",
];

function read(
  numbers: Metrics,
  server?: Parameters<Metrics["text"]>[0],
): Exposition {
  return new Exposition(numbers.text(server));
}

/** A record of an exchange that was not. */
function record(more: Partial<ExchangeRecord> = {}): ExchangeRecord {
  const addr: Deno.NetAddr = { transport: "tcp", ...local };
  return {
    id: 1,
    remoteAddr: addr,
    localAddr: addr,
    peerAddr: addr,
    startedAt: 0,
    durationMs: 0,
    waitedMs: 0,
    bytesRead: 0,
    bytesWritten: 0,
    phase: "writing",
    outcome: "ok",
    ...more,
  };
}

/** A server that counts, and whose records can be waited for. */
function counted(options: ServeTcpOptions = {}) {
  const numbers = metrics();
  const records = new Records();
  const { server } = serveLocally({
    ...numbers.callbacks,
    ...options,
    onExchange(record) {
      numbers.callbacks.onExchange(record);
      records.add(record);
    },
  });
  return { numbers, records, server };
}

Deno.test("metrics() has all numbers from the beginning", async () => {
  const numbers = metrics();
  await using server = serve({ ...local, ...numbers.callbacks }, () => "");
  const names = [
    "halfclose_exchanges_total",
    "halfclose_request_bytes_total",
    "halfclose_response_bytes_total",
    "halfclose_exchange_duration_seconds",
    "halfclose_exchange_wait_seconds",
    "halfclose_exchange_handling_seconds",
    "halfclose_accept_errors_total",
  ];
  const inHand = [
    "halfclose_exchanges_in_hand",
    "halfclose_connections_queued",
    "halfclose_exchanges_lingering",
  ];
  assertEquals(read(numbers).names, names);
  const all = read(numbers, server);
  assertEquals(all.names, [...names, ...inHand]);
  for (const outcome of outcomes) {
    assertEquals(all.value("halfclose_exchanges_total", { outcome }), 0);
  }
});

Deno.test("metrics() counts exchanges by outcome, and their bytes", async () => {
  const { numbers, records, server } = counted({
    maxRequestBytes: 10,
    idleTimeout: 300,
    lingerTimeout: 0,
  });
  assertEquals(await ask(server.addr, "hello"), "hello");
  assertEquals(await ask(server.addr, "hi"), "hi");
  await ask(server.addr, "more than ten bytes").catch(() => "");
  const silent = await begin(server.addr, "idle");
  await records.nth(4);
  silent.close();
  const rude = await RudeClient.connect(server.addr);
  await rude.write("rude");
  await until(() => server.inHand > 0);
  await rude.reset();
  await records.nth(5);
  await server.shutdown();

  const all = read(numbers, server);
  const sum = (field: "bytesRead" | "bytesWritten") =>
    records.all.reduce((sum, record) => sum + record[field], 0);
  assertEquals(all.by("halfclose_exchanges_total"), {
    ok: 2,
    "too-large": 1,
    idle: 1,
    reset: 1,
  });
  assertEquals(all.value("halfclose_request_bytes_total"), sum("bytesRead"));
  assertEquals(all.value("halfclose_response_bytes_total"), 7);
  assertEquals(sum("bytesWritten"), 7);
  assertEquals(all.value("halfclose_exchange_duration_seconds_count"), 5);
  assertEquals(all.value("halfclose_exchange_wait_seconds_count"), 5);
  // The others never had a turn.
  assertEquals(all.value("halfclose_exchange_handling_seconds_count"), 2);
  assertEquals(all.value("halfclose_exchanges_in_hand"), 0);
});

for (const outcome of outcomes) {
  Deno.test(`metrics() counts what is ${outcome}`, () => {
    const numbers = metrics();
    numbers.callbacks.onExchange(record({ outcome }));
    assertEquals(read(numbers).by("halfclose_exchanges_total"), {
      [outcome]: 1,
    });
  });
}

Deno.test("metrics() sorts times into buckets of seconds", () => {
  const numbers = metrics({ buckets: [0.25, 1] });
  for (const durationMs of [0, 250, 250.5, 1000, 1001, 1e9]) {
    const waitedMs = durationMs / 2;
    const handledMs = durationMs / 4;
    numbers.callbacks.onExchange(record({ durationMs, waitedMs, handledMs }));
  }
  const all = read(numbers);
  const duration = "halfclose_exchange_duration_seconds";
  assertEquals(all.by(duration), { "0.25": 2, "1": 4, "+Inf": 6 });
  assertEquals(all.value(`${duration}_sum`), 1_000_002.5015);
  const waits = all.by("halfclose_exchange_wait_seconds");
  assertEquals(waits, { "0.25": 3, "1": 5, "+Inf": 6 });
  const handlings = all.by("halfclose_exchange_handling_seconds");
  assertEquals(handlings, { "0.25": 4, "1": 5, "+Inf": 6 });
});

for (const readAhead of [0, 8]) {
  Deno.test(`metrics() counts at most a second of handling in a second, with readAhead ${readAhead}`, async () => {
    const start = performance.now();
    const { numbers, records, server } = counted({ readAhead });
    const clients = Array.from({ length: 30 }, () => ask(server.addr, "x"));
    await Promise.all(clients);
    await server.shutdown();
    const elapsed = (performance.now() - start) / 1000;
    const name = "halfclose_exchange_handling_seconds";
    const seconds = read(numbers).value(`${name}_sum`);
    assert(seconds > 0 && seconds <= elapsed, `${seconds} s of ${elapsed} s`);
    assertEquals(read(numbers).value(`${name}_count`), records.all.length);
  });
}

Deno.test("metrics() takes the same memory however much it has counted", () => {
  const numbers = metrics();
  const lines = () => numbers.text().split("\n").length;
  const before = lines();
  for (let id = 1; id <= 10_000; id++) {
    const durationMs = Math.random() * 1e6;
    const outcome = outcomes[id % outcomes.length] ?? "ok";
    numbers.callbacks.onExchange(record({ id, durationMs, outcome }));
  }
  assertEquals(lines(), before);
});

Deno.test("metrics() counts accepts that fail", () => {
  const numbers = metrics();
  numbers.callbacks.onAcceptError();
  numbers.callbacks.onAcceptError();
  assertEquals(read(numbers).value("halfclose_accept_errors_total"), 2);
});

Deno.test("metrics() counts several servers together", async () => {
  const numbers = metrics();
  const options = { ...local, ...numbers.callbacks };
  await using one = serve(options, () => "one");
  await using other = serve(options, () => "other");
  const asked = await Promise.all([one, other].map(({ addr }) => ask(addr)));
  assertEquals(asked, ["one", "other"]);
  await Promise.all([one.shutdown(), other.shutdown()]);
  assertEquals(read(numbers).by("halfclose_exchanges_total"), { ok: 2 });
});

Deno.test("metrics() tells what is in hand and what lingers", async () => {
  const { listener, records } = listenLocally({
    lingerTimeout: 60_000,
    until: "\n",
  });
  const numbers = metrics();
  const gauge = (name: string) =>
    read(numbers, listener).value(`halfclose_exchanges_${name}`);
  assertEquals(gauge("in_hand"), 0);
  const client = await begin(listener.addr, "hello\n");
  const seen: number[] = [];
  const looping = (async () => {
    for await (const conn of listener) {
      seen.push(gauge("in_hand"));
      await conn.respond("bye");
    }
  })();
  const buffer = new Uint8Array(10);
  while (await client.read(buffer) !== null);
  await records.nth(1);
  assertEquals([seen, gauge("in_hand"), gauge("lingering")], [[1], 0, 1]);
  client.close();
  await listener.shutdown();
  await looping;
  assertEquals([gauge("in_hand"), gauge("lingering")], [0, 0]);
});

Deno.test("metrics() refuses buckets that make no sense", () => {
  const wrong = "x" as unknown as number[];
  assertThrows(
    () => metrics({ buckets: wrong }),
    TypeError,
    'Cannot count: option "buckets" must be an array of numbers, received "x"',
  );
  assertThrows(() => metrics({ buckets: ["1"] as never }), TypeError);
  assertThrows(() => metrics({ buckets: new Array(1) }), TypeError);
  for (const buckets of [[0], [-1, 1], [1, 1], [2, 1], [1, Infinity], [NaN]]) {
    assertThrows(
      () => metrics({ buckets }),
      RangeError,
      'Cannot count: option "buckets" must be positive, finite numbers that ' +
        "ascend, received [",
    );
  }
  assertNotEquals(metrics({ buckets: [] }).text(), "");
});

for (
  const text of [
    "x 1\n",
    "# HELP x y\n# TYPE x gauge\nx 1",
    "# TYPE x gauge\nx 1\n",
    "# HELP x y\n# TYPE x gauge\ny 1\n",
    "# HELP x y\n# TYPE x gauge\nx 1\nx 2\n",
    "# HELP x y\n# TYPE x counter\nx 1\n",
    '# HELP x y\n# TYPE x gauge\nx{a="b} 1\n',
    "# HELP x y\n# TYPE x gauge\nx Infinity\n",
    '# HELP x y\n# TYPE x histogram\nx_bucket{le="1"} 1\nx_sum 1\nx_count 1\n',
  ]
) {
  Deno.test(`the parser of these tests is strict: ${JSON.stringify(text)}`, () => {
    assertThrows(() => new Exposition(text));
  });
}
