/**
 * OpenTelemetry: one span and the usual metrics for each exchange, through what
 * Deno has built in. A collector is expected at port 4318 of this machine; the
 * environment variable `OTEL_EXPORTER_OTLP_ENDPOINT` names another one. Deno
 * sends it the log, too.
 *
 * ```sh
 * OTEL_DENO=true deno run -N -R=examples jsr:@halfclose/server examples/opentelemetry.ts
 * echo hello | nc -N localhost 8080
 * ```
 *
 * @module
 */

import type { Conn, ExchangeRecord } from "@halfclose/server";

/** What is used of OpenTelemetry's `Span`. */
interface Span {
  recordException(error: unknown): void;
  setStatus(status: { code: number; message: string }): void;
  end(endTime: number): void;
}

/** What is used of its instruments. */
interface Instrument {
  record(value: number, attributes: Record<string, string>): void;
}

// The values of `SpanKind.SERVER` and `SpanStatusCode.ERROR`.
const SERVER = 1;
const ERROR = 2;

const { tracerProvider, meterProvider } = Deno.telemetry;
const tracer = tracerProvider.getTracer("halfclose");
const meter = meterProvider.getMeter("halfclose");

const duration: Instrument = meter.createHistogram(
  "halfclose.exchange.duration",
  {
    unit: "s",
    description: "How long exchanges took, without lingering",
    advice: {
      explicitBucketBoundaries: [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 10, 60],
    },
  },
);
const requestSize: Instrument = meter.createHistogram(
  "halfclose.request.size",
  { unit: "By", description: "How many bytes of requests were read" },
);
const responseSize: Instrument = meter.createHistogram(
  "halfclose.response.size",
  { unit: "By", description: "How many bytes of responses the kernel took" },
);

/** Tells of an exchange when it is over: only then all is known of it. */
function onExchange(record: ExchangeRecord): void {
  const { outcome } = record;
  const labels = { "halfclose.outcome": outcome };
  duration.record(record.durationMs / 1000, labels);
  requestSize.record(record.bytesRead, labels);
  responseSize.record(record.bytesWritten, labels);

  const span: Span = tracer.startSpan("exchange", {
    kind: SERVER,
    startTime: record.startedAt,
    attributes: {
      ...labels,
      ...addressOf("client", record.remoteAddr),
      ...addressOf("server", record.localAddr),
      "network.transport": record.localAddr.transport,
      "halfclose.phase": record.phase,
      "halfclose.request.size": record.bytesRead,
      "halfclose.response.size": record.bytesWritten,
    },
  });
  if (outcome !== "ok") {
    span.setStatus({ code: ERROR, message: outcome });
    if (record.error !== undefined) span.recordException(record.error);
  }
  span.end(record.startedAt + record.durationMs);
}

/** The attributes of an address, as OpenTelemetry names them. */
function addressOf(whose: "client" | "server", addr: Deno.Addr) {
  if (addr.transport !== "tcp") return {};
  return {
    [`${whose}.address`]: addr.hostname,
    [`${whose}.port`]: addr.port,
  };
}

export default {
  maxRequestBytes: 1024,
  onExchange,
  handler: async (conn: Conn) => (await conn.text()).toUpperCase(),
};
