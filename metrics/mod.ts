/**
 * The numbers of a server, as Prometheus reads them: how many exchanges there
 * were, how they ended, how many bytes they had and how long they took.
 *
 * {@linkcode metrics} gives callbacks that count, for the options of `serve()` or
 * `listen()`, and a text with the numbers, which you serve over HTTP.
 *
 * This entry point imports no other package.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server/server";
 * import { metrics } from "@halfclose/server/metrics";
 *
 * const numbers = metrics();
 * const server = serve(
 *   { hostname: "127.0.0.1", port: 0, ...numbers.callbacks },
 *   (conn) => conn.text(),
 * );
 * const monitor = Deno.serve(
 *   { hostname: "127.0.0.1", port: 0 },
 *   () =>
 *     new Response(numbers.text(server), {
 *       headers: { "content-type": numbers.contentType },
 *     }),
 * );
 * await server.shutdown();
 * await monitor.shutdown();
 * ```
 *
 * @module
 */

import { OptionReader } from "../shared/option_reader.ts";
import { inspected } from "../shared/thrown.ts";
import type { ExchangeRecord, Outcome } from "../exchange/record.ts";
import { expose, type Value } from "./exposition.ts";
import { Histogram } from "./histogram.ts";

/**
 * The numbers of one or more servers. The memory that they take does not grow.
 *
 * @example Count, and log
 * ```ts
 * import { serve } from "@halfclose/server/server";
 * import { metrics } from "@halfclose/server/metrics";
 *
 * const numbers = metrics();
 * await using server = serve({
 *   hostname: "127.0.0.1",
 *   port: 0,
 *   ...numbers.callbacks,
 *   onExchange(record) {
 *     numbers.callbacks.onExchange(record);
 *     console.log(record.outcome);
 *   },
 * }, (conn) => conn.text());
 * ```
 */
export interface Metrics {
  /**
   * Options of `listen()` and `serve()`, which count exchanges, and accepts that
   * failed. If you have such a callback of your own, call this one in it.
   */
  readonly callbacks: {
    onExchange(record: ExchangeRecord): void;
    onAcceptError(): void;
  };
  /** The media type of {@linkcode Metrics.text}, for the header `content-type`. */
  readonly contentType: string;
  /**
   * Writes the numbers in the text format of Prometheus, version 0.0.4.
   *
   * @param server The server or the listener whose `halfclose_exchanges_in_hand`,
   * `halfclose_connections_queued` and `halfclose_exchanges_lingering` to add.
   * Without one they are left out.
   * @returns The text, with all other numbers since the call of
   * {@linkcode metrics}.
   */
  text(
    server?: {
      readonly inHand: number;
      readonly queued: number;
      readonly lingering: number;
    },
  ): string;
}

const outcomes = Object.keys(
  {
    ok: 0,
    "too-large": 0,
    idle: 0,
    deadline: 0,
    reset: 0,
    truncated: 0,
    handshake: 0,
    proxy: 0,
    denied: 0,
    failed: 0,
    aborted: 0,
    "health-check": 0,
  } satisfies Record<Outcome, 0>,
);

const defaultBuckets = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  ...[30, 60],
];

/**
 * Makes counters for one or more servers. They begin at 0, and have no labels
 * but `outcome` and those of buckets.
 *
 * | metric                                | type      | what it says                                           |
 * | ------------------------------------- | --------- | ------------------------------------------------------ |
 * | `halfclose_exchanges_total`           | counter   | exchanges, by `outcome`                                |
 * | `halfclose_request_bytes_total`       | counter   | bytes of requests that were read                       |
 * | `halfclose_response_bytes_total`      | counter   | bytes of responses that the kernel has taken           |
 * | `halfclose_exchange_duration_seconds` | histogram | how long an exchange took, without lingering           |
 * | `halfclose_exchange_wait_seconds`     | histogram | how long a complete request waited, with `readAhead`   |
 * | `halfclose_exchange_handling_seconds` | histogram | how long the handler had an exchange, if it got it     |
 * | `halfclose_accept_errors_total`       | counter   | accepts that failed for want of descriptors or memory  |
 * | `halfclose_exchanges_in_hand`         | gauge     | connections whose exchange is not over                 |
 * | `halfclose_connections_queued`        | gauge     | connections accepted before their turn (`fd`, a stop)  |
 * | `halfclose_exchanges_lingering`       | gauge     | connections that linger after their exchange           |
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server/server";
 * import { metrics } from "@halfclose/server/metrics";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const numbers = metrics();
 * const options = { hostname: "127.0.0.1", port: 0, ...numbers.callbacks };
 * await using server = serve(options, (conn) => conn.text());
 *
 * assertStringIncludes(
 *   numbers.text(server),
 *   'halfclose_exchanges_total{outcome="ok"} 0',
 * );
 * ```
 *
 * @param options With `buckets`, the upper bounds of the histograms' buckets, in
 * seconds: positive numbers, each larger than the one before it. A bucket without
 * a bound follows them. By default they go from 0.001 to 60.
 * @returns The callbacks that count, and the text with the numbers.
 * @throws {TypeError} If `buckets` is not an array of numbers, or there is another
 * option.
 * @throws {RangeError} If a bucket is not positive or not finite, or they do not
 * ascend.
 */
export function metrics(
  options: { buckets?: readonly number[] } = {},
): Metrics {
  const counting = new Counting(checkBuckets(options));
  return {
    callbacks: {
      onExchange: (record) => counting.add(record),
      onAcceptError: () => counting.addAcceptError(),
    },
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    text: (server) => expose(help, counting.values(server)),
  };
}

/** What each family is. */
const help = {
  halfclose_exchanges_total: "Exchanges, by how they ended.",
  halfclose_request_bytes_total: "Bytes of requests that were read.",
  halfclose_response_bytes_total: "Bytes of responses that the kernel took.",
  halfclose_exchange_duration_seconds:
    "How long exchanges took, without lingering.",
  halfclose_exchange_wait_seconds:
    "How long complete requests waited for their turn.",
  halfclose_exchange_handling_seconds:
    "How long exchanges were handled, without waiting. Reading counts if it is streamed.",
  halfclose_accept_errors_total:
    "Accepts that failed, as the machine was short of something.",
  halfclose_exchanges_in_hand: "Exchanges under way.",
  halfclose_connections_queued: "Connections accepted before their turn.",
  halfclose_exchanges_lingering: "Connections that linger.",
};

class Counting {
  readonly #exchanges = new Map(outcomes.map((outcome) => [outcome, 0]));
  readonly #durations: Histogram;
  readonly #waits: Histogram;
  readonly #handlings: Histogram;
  #requestBytes = 0;
  #responseBytes = 0;
  #acceptErrors = 0;

  constructor(buckets: readonly number[]) {
    this.#durations = new Histogram(buckets);
    this.#waits = new Histogram(buckets);
    this.#handlings = new Histogram(buckets);
  }

  add(record: ExchangeRecord): void {
    const { outcome, handledMs } = record;
    this.#exchanges.set(outcome, (this.#exchanges.get(outcome) ?? 0) + 1);
    this.#requestBytes += record.bytesRead;
    this.#responseBytes += record.bytesWritten;
    this.#durations.add(record.durationMs / 1000);
    this.#waits.add(record.waitedMs / 1000);
    if (handledMs !== undefined) this.#handlings.add(handledMs / 1000);
  }

  addAcceptError(): void {
    this.#acceptErrors++;
  }

  values(
    server: Parameters<Metrics["text"]>[0],
  ): Record<keyof typeof help, Value> {
    return {
      halfclose_exchanges_total: Array.from(
        this.#exchanges,
        ([outcome, value]) => ({ labels: { outcome }, value }),
      ),
      halfclose_request_bytes_total: this.#requestBytes,
      halfclose_response_bytes_total: this.#responseBytes,
      halfclose_exchange_duration_seconds: this.#durations.samples(),
      halfclose_exchange_wait_seconds: this.#waits.samples(),
      halfclose_exchange_handling_seconds: this.#handlings.samples(),
      halfclose_accept_errors_total: this.#acceptErrors,
      halfclose_exchanges_in_hand: server?.inHand,
      halfclose_connections_queued: server?.queued,
      halfclose_exchanges_lingering: server?.lingering,
    };
  }
}

function checkBuckets(options: object): readonly number[] {
  const given = new OptionReader<{ buckets?: unknown }>("count", options);
  const buckets = given.numbers("buckets") ?? defaultBuckets;
  given.checkNames();
  const isAscending = buckets.every((bound, i) =>
    bound > (buckets[i - 1] ?? 0) && bound < Infinity
  );
  if (isAscending) return buckets;
  throw new RangeError(
    'Cannot count: option "buckets" must be positive, finite numbers that ' +
      `ascend, received ${inspected(buckets, 1)}`,
  );
}
