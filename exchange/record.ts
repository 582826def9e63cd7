/**
 * What callbacks are told: how a request begins, and how an exchange ended.
 *
 * @module
 */

/**
 * How an exchange ended.
 *
 * - `"ok"`: all of the response, if there was one, was handed to the kernel.
 *   Nobody knows whether the client has read it.
 * - `"too-large"`: the request was larger than `maxRequestBytes`.
 * - `"idle"`: no byte could be read or written for `idleTimeout`.
 * - `"deadline"`: the whole exchange took longer than `deadline`.
 * - `"reset"`: the peer reset the connection, and a read or a write has shown
 *   it.
 * - `"truncated"`: a TLS request stopped without a `close_notify`, or a request
 *   ended before its length was reached, or within what a dialogue wanted.
 * - `"handshake"`: a TLS handshake failed.
 * - `"proxy"`: with `proxyProtocol`, the header was malformed or missing.
 * - `"health-check"`: with `proxyProtocol`, the peer left without a request and
 *   without naming a client. Nothing went wrong, and no handler was called.
 * - `"denied"`: `allow` did not let the peer in.
 * - `"failed"`: the handler, the response body or the use of {@linkcode Conn}
 *   was at fault.
 * - `"aborted"`: {@linkcode Conn.abort} was called, or the server was closed.
 */
export type Outcome =
  | "ok"
  | "too-large"
  | "idle"
  | "deadline"
  | "reset"
  | "truncated"
  | "handshake"
  | "proxy"
  | "health-check"
  | "denied"
  | "failed"
  | "aborted";

/**
 * How the exchange on one accepted connection went, for `onExchange`. Each
 * connection has exactly one record, made when the server moves on to the next.
 * Bytes that are dropped or sent as a refusal are not counted.
 *
 * @example Usage
 * ```ts
 * import type { ExchangeRecord } from "@halfclose/server";
 *
 * function line(record: ExchangeRecord<Deno.NetAddr>): string {
 *   const { remoteAddr, outcome, phase, durationMs } = record;
 *   return `${remoteAddr.hostname}: ${outcome} in ${phase}, ${durationMs} ms`;
 * }
 * ```
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export interface ExchangeRecord<Addr extends Deno.Addr = Deno.Addr> {
  /** The number of the connection, counted from 1 for each listener. */
  readonly id: number;
  /** The address of the client; with `proxyProtocol`, as the proxy tells it. */
  readonly remoteAddr: Addr;
  /**
   * The address that the client connected to; with `proxyProtocol`, as the proxy
   * tells it.
   */
  readonly localAddr: Addr;
  /**
   * The address at the other end of the socket: that of the proxy with
   * `proxyProtocol`, and else the same as `remoteAddr`.
   */
  readonly peerAddr: Addr;
  /** When the exchange began, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** How long the exchange took, in milliseconds, without lingering. */
  readonly durationMs: number;
  /**
   * How long the complete request waited for its turn, in milliseconds, or for the
   * end of the exchange if its turn never came. It is 0 without `readAhead`.
   */
  readonly waitedMs: number;
  /**
   * How long it was handled, in milliseconds: from the beginning of the handler,
   * or of the loop body, until the server moved on. The reading of the request
   * counts only with `streaming`. It is missing if the exchange had no turn.
   */
  readonly handledMs?: number;
  /** How many bytes of the request were read. */
  readonly bytesRead: number;
  /** How many bytes of the response the kernel took. */
  readonly bytesWritten: number;
  /**
   * What ended the request: the client's `"fin"` (on TLS, its `close_notify`), the
   * `"delimiter"` of the option `until`, the `"length"` that it has told, or the
   * silence (`"idle"`) that it allows. It is missing if the request did not end.
   */
  readonly end?: "fin" | "delimiter" | "length" | "idle";
  /**
   * Where it ended: `"reading"` the request, `"waiting"` for its turn (only with
   * `readAhead`), `"handling"` it, or `"writing"` the response.
   */
  readonly phase: "reading" | "waiting" | "handling" | "writing";
  /** How it ended. */
  readonly outcome: Outcome;
  /**
   * What went wrong. It is missing if the outcome is `"ok"`, `"denied"` or
   * `"health-check"`.
   */
  readonly error?: unknown;
}

/**
 * How a request begins, for `onRequest`: once all of it is read or, with
 * `streaming: true`, its first chunk.
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export interface RequestStart<Addr extends Deno.Addr = Deno.Addr> {
  /** The number of the connection, counted from 1 for each listener. */
  readonly id: number;
  /** The address of the client; with `proxyProtocol`, as the proxy tells it. */
  readonly remoteAddr: Addr;
  /**
   * The address that the client connected to; with `proxyProtocol`, as the proxy
   * tells it.
   */
  readonly localAddr: Addr;
  /** How many bytes of the request have been read so far. */
  readonly bytesRead: number;
  /** A copy of its first bytes, at most 1024. */
  readonly head: Uint8Array<ArrayBuffer>;
}

/** Where an exchange ended. */
export type Phase = ExchangeRecord["phase"];

/** What ended a request. */
export type RequestEnd = NonNullable<ExchangeRecord["end"]>;
