/**
 * What callbacks are told: how a request begins, and how an exchange ended.
 *
 * @module
 */

/**
 * How an exchange ended.
 *
 * - `"ok"`: all of the response, if there was one, was handed to the kernel.
 * - `"too-large"`: the request was larger than `maxRequestBytes`.
 * - `"idle"`: no byte could be read or written for `idleTimeout`.
 * - `"deadline"`: the whole exchange took longer than `deadline`.
 * - `"reset"`: the peer reset the connection, or left before it had received
 *   the response.
 * - `"truncated"`: a TLS request stopped without a `close_notify`.
 * - `"handshake"`: a TLS handshake failed.
 * - `"refused"`: `allow` did not let the peer in.
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
  | "refused"
  | "failed"
  | "aborted";

/**
 * Where an exchange ended: `"reading"` the request, `"waiting"` for its turn (only
 * with `readAhead`), `"handling"` it, or `"writing"` the response.
 */
export type Phase = "reading" | "waiting" | "handling" | "writing";

/**
 * What ended a request: the client's `"fin"` (on TLS, its `close_notify`), the
 * `"delimiter"` of the option `until`, or the silence (`"idle"`) that it allows.
 */
export type RequestEnd = "fin" | "delimiter" | "idle";

/**
 * How the exchange on one accepted connection went. Each has exactly one
 * record, made when the server moves on to the next. Bytes that are dropped or
 * sent as a refusal are not counted.
 */
export interface ExchangeRecord<Addr extends Deno.Addr = Deno.Addr> {
  /** The number of the connection, counted from 1 for each listener. */
  readonly id: number;
  /** The address of the client. */
  readonly remoteAddr: Addr;
  /** The address that the client connected to. */
  readonly localAddr: Addr;
  /** When the exchange began, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** How long the exchange took, in milliseconds, without lingering. */
  readonly duration: number;
  /**
   * How long the request was complete before its turn, in milliseconds. It is 0
   * without `readAhead`.
   */
  readonly waited: number;
  /** How many bytes of the request were read. */
  readonly bytesRead: number;
  /** How many bytes of the response the kernel took. */
  readonly bytesWritten: number;
  /** What ended the request, unless the exchange ended before that. */
  readonly end?: RequestEnd;
  /** In which phase it ended. */
  readonly phase: Phase;
  /** How it ended. */
  readonly outcome: Outcome;
  /** What went wrong, unless the outcome is `"ok"` or `"refused"`. */
  readonly error?: unknown;
}

/** How a request begins, once its first bytes, or all of them, are read. */
export interface RequestStart<Addr extends Deno.Addr = Deno.Addr> {
  /** The number of the connection, counted from 1 for each listener. */
  readonly id: number;
  /** The address of the client. */
  readonly remoteAddr: Addr;
  /** The address that the client connected to. */
  readonly localAddr: Addr;
  /** How many bytes of the request have been read so far. */
  readonly bytesRead: number;
  /** A copy of its first bytes, at most 1024. */
  readonly head: Uint8Array<ArrayBuffer>;
}
