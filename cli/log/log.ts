/**
 * The log of the tool, on standard error: what its lines say.
 *
 * As text, a line is a time, a level and a message. As JSON, it is an object
 * with these fields:
 *
 * - `time` (ISO 8601), `level` (`"DEBUG"`, `"INFO"`, `"WARN"`, `"ERROR"`),
 *   `event` and `msg`, always;
 * - with the event `"listening"`: `server`, the address, `null` on an inherited
 *   Unix socket;
 * - with `"metrics"`: `url`, where they are;
 * - with `"accept"` (at `DEBUG`): `client`, which may be a proxy;
 * - with `"request"` (at `DEBUG`): `id` and `head`, its first 64 bytes, escaped;
 * - with `"exchange"`: `id`, `client`, `server`, `startedAt` (ISO 8601),
 *   `durationMs`, `waitedMs`, `bytesIn`, `bytesOut`, `end`, `phase`, `outcome`, and `error` if
 *   something went wrong, with `at`, its file, line and column, if a handler threw
 *   it; behind a proxy that names the client, `peer`, the proxy; in a sink, `file`
 *   and `sha256` of what was kept. Health checks are at `DEBUG`;
 * - with `"program"`, a line of a program's standard error: `id` and `line`;
 * - with `"fault"`: `error`, and `id` if it belongs to a connection; at `DEBUG`
 *   also `stack`;
 * - with `"stopping"`, if it goes on serving until then: `delayMs`;
 * - with `"reloaded"`: `renewed`, the names of what was read anew: `"module"`,
 *   `"certificate"`;
 * - with `"warning"`: nothing else;
 * - with `"lost"`: `lines`, how many were lost as standard error took no more;
 * - with `"stopped"`: `exchanges`, how many there were.
 *
 * `client` is `null` where clients have no address, and so is `peer`.
 *
 * @module
 */

import { stackOf } from "../../shared/thrown.ts";
import type {
  Conn,
  ExchangeRecord,
  Outcome,
  RequestStart,
} from "../../server.ts";
import type { Observer, Renewable } from "../shared/observer.ts";
import { receiptFor } from "../shared/receipt.ts";
import { reasonOf } from "../shared/reasons.ts";
import { sourceOf } from "../shared/source.ts";
import {
  messageOf,
  nameOf,
  quoted,
  requestName,
  serverName,
  shortened,
} from "../shared/wording.ts";
import {
  type Diversion,
  type Fields,
  isoOf,
  LineLogger,
  type LogFormat,
  type LogLevel,
} from "./line_logger.ts";

/** How much of a request is shown at `DEBUG`. */
const HEAD_BYTES = 64;

/** The level of outcomes that are not worth a warning. */
const levels: Partial<Record<Outcome, LogLevel>> = {
  ok: "info",
  "health-check": "debug",
};

/** Where a sink has kept a request. */
interface Kept {
  readonly file: string;
  readonly sha256: string;
}

/** The log: a method for each event. */
export class Log implements Observer {
  readonly #lines: LineLogger;
  readonly #isDebugging: boolean;
  /** Whether the last accept succeeded, as far as has been told. */
  #isAccepting = true;
  /** What was kept of exchanges that are not over, by their numbers. */
  readonly #kept = new Map<number, Kept>();
  /** A request, or its first bytes, has arrived. Only `DEBUG` shows that. */
  readonly request?: (start: RequestStart) => void;

  constructor(format: LogFormat, level: LogLevel) {
    this.#lines = new LineLogger(format, level);
    this.#isDebugging = level === "debug";
    if (this.#isDebugging) this.request = (start) => this.#request(start);
  }

  /** Has every line pass by here first, or no longer. */
  divert(diversion: Diversion | undefined): void {
    this.#lines.diversion = diversion;
  }

  /** The server listens. */
  listening(addr: Deno.Addr): void {
    const message = `listening on ${serverName(addr)}`;
    this.#lines.add("info", "listening", message, { server: endOf(addr) });
  }

  /** Monitoring is answered there. */
  metrics(addr: Deno.NetAddr): void {
    const url = `http://${nameOf(addr)}/metrics`;
    this.#lines.add("info", "metrics", `metrics on ${url}`, { url });
  }

  /** A client, or a proxy, is let in. */
  accept(addr: Deno.Addr): void {
    this.#isAccepting = true;
    if (!this.#isDebugging) return;
    const client = endOf(addr);
    this.#lines.add("debug", "accept", `accepted ${nameOf(addr)}`, { client });
  }

  /** A request is kept in a file: the line of its exchange will say so. */
  kept(id: number, file: string, sha256: string): void {
    this.#kept.set(id, { file, sha256 });
  }

  /** An exchange is over. */
  exchange(record: ExchangeRecord): void {
    const kept = this.#kept.get(record.id);
    this.#kept.delete(record.id);
    this.#lines.add(
      levels[record.outcome] ?? "warn",
      "exchange",
      () => describe(record, kept),
      () => ({ ...fieldsOf(record), ...kept }),
    );
  }

  /** No connection can be accepted for now: that is said once. */
  acceptError(error: Error): void {
    if (!this.#isAccepting) return;
    this.#isAccepting = false;
    this.fault(error, "cannot accept for now: ");
  }

  /** A program has written a line to its standard error. */
  program(conn: Conn, name: string, line: string): void {
    const message = `${name} for ${requestName(conn)}: ${line}`;
    this.#lines.add("info", "program", message, { id: conn.id, line });
  }

  /**
   * Something went wrong. The stack is shown at `DEBUG` only.
   *
   * @param error What was thrown.
   * @param context What to put before its message.
   * @param id The number of the connection, if it belongs to one.
   */
  fault(error: unknown, context = "", id?: number): void {
    this.#fault("error", error, context, id);
  }

  /** The stack of an error that is logged elsewhere. */
  trace(error: unknown, id?: number): void {
    if (this.#isDebugging) this.#fault("debug", error, "", id);
  }

  /** The server was told to stop. That it does so at once goes without saying. */
  stopping(delayMs: number): void {
    if (delayMs === 0) return;
    const message = `stopping in ${delayMs} ms: /healthz says 503`;
    this.#lines.add("info", "stopping", message, { delayMs });
  }

  /** What can be read anew was read anew. */
  reloaded(renewed: readonly Renewable[]): void {
    const what = renewed.map((name) => `the ${name}`).join(" and ");
    const message = `reloaded ${what || "nothing"}`;
    this.#lines.add("info", "reloaded", message, { renewed });
  }

  /** Something does not work as one might expect. */
  warn(message: string): void {
    this.#lines.add("warn", "warning", message);
  }

  /** The server has stopped. */
  stopped(exchanges: number): void {
    const what = `${exchanges} exchange${exchanges === 1 ? "" : "s"}`;
    const message = `stopped after ${what}`;
    this.#lines.add("info", "stopped", message, { exchanges });
  }

  #request(start: RequestStart): void {
    const { id, head: bytes } = start;
    const head = quoted(bytes.subarray(0, HEAD_BYTES));
    const verb = bytes.length > HEAD_BYTES ? "begins with" : "is";
    const message = `${requestName(start)} ${verb} ${head}`;
    this.#lines.add("debug", "request", message, { id, head });
  }

  #fault(level: LogLevel, error: unknown, context: string, id?: number): void {
    const message = messageOf(error);
    const trace = this.#isDebugging ? stackOf(error) : undefined;
    const stack = trace === undefined ? undefined : shortened(trace);
    this.#lines.add(level, "fault", context + message, {
      id,
      error: message,
      stack,
    });
  }
}

/** One line for an exchange: who, how much, how long, how it ended. */
function describe(record: ExchangeRecord, kept?: Kept): string {
  const { remoteAddr, bytesRead, bytesWritten, durationMs, outcome } = record;
  const reason = "error" in record ? `: ${reasonOf(record)}` : "";
  const source = outcome === "failed" ? sourceOf(record.error) : undefined;
  const end = outcome in levels
    ? outcome
    : `${outcome} while ${record.phase}${reason}` +
      (source === undefined ? "" : ` (at ${source})`);
  return `${nameOf(remoteAddr)} ${bytesRead} bytes in, ${bytesWritten} bytes ` +
    `out, ${durationMs.toFixed(1)} ms, ${end}` +
    (kept ? `, kept: ${receiptFor(kept.file, kept.sha256)}` : "");
}

/** The fields of an exchange: JSON leaves out those that are `undefined`. */
function fieldsOf(record: ExchangeRecord): Fields {
  const { id, remoteAddr, localAddr, peerAddr } = record;
  const { durationMs, phase, outcome } = record;
  const isProxied = peerAddr !== remoteAddr;
  return {
    id,
    client: endOf(remoteAddr),
    peer: isProxied ? endOf(peerAddr) : undefined,
    server: endOf(localAddr),
    startedAt: isoOf(record.startedAt),
    durationMs: Number(durationMs.toFixed(3)),
    waitedMs: record.waitedMs > 0
      ? Number(record.waitedMs.toFixed(3))
      : undefined,
    bytesIn: record.bytesRead,
    bytesOut: record.bytesWritten,
    end: record.end,
    phase,
    outcome,
    error: "error" in record ? reasonOf(record) : undefined,
    at: outcome === "failed" ? sourceOf(record.error) : undefined,
  };
}

/** One end of a connection. On a Unix socket it rarely has a name. */
function endOf(addr: Deno.Addr): string | null {
  const named = addr.transport === "tcp" || ("path" in addr && addr.path);
  return named ? nameOf(addr) : null;
}
