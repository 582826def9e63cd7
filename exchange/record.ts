/**
 * What is told of an exchange: how its request begins, and what became of it.
 *
 * @module
 */

/**
 * How an exchange ended.
 *
 * - `"ok"`: the response, if there was one, was handed to the kernel whole.
 * - `"too-large"`: the request was larger than `maxRequestBytes`.
 * - `"idle"`: no byte could be read or written for `idleTimeout`.
 * - `"deadline"`: the whole took longer than `deadline`.
 * - `"reset"`: the peer tore the connection down, or left before it had taken
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
 * Where an exchange ended: `"reading"` the request, `"handling"` it, or
 * `"writing"` the response.
 */
export type Phase = "reading" | "handling" | "writing";

/**
 * What became of one accepted connection. Exactly one is made for each, when
 * the server moves on to the next connection; what is read and dropped, or
 * said in refusal, after that is not counted.
 */
export interface ExchangeRecord<Addr extends Deno.Addr = Deno.Addr> {
  /** The number of the connection, counted from 1 for each listener. */
  readonly id: number;
  /** The address of the client. */
  readonly remoteAddr: Addr;
  /** The address that the client connected to. */
  readonly localAddr: Addr;
  /** When the connection was taken up, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** For how long it held the server, in milliseconds; not for how long it lingered. */
  readonly duration: number;
  /** How many bytes of the request were read. */
  readonly bytesRead: number;
  /** How many bytes of the response the kernel took. */
  readonly bytesWritten: number;
  /** What was going on when it ended. */
  readonly phase: Phase;
  /** How it ended. */
  readonly outcome: Outcome;
  /** What went wrong, unless the outcome is `"ok"` or `"refused"`. */
  readonly error?: unknown;
}

/** How a request begins, told when its first bytes, or all of them, are read. */
export interface RequestStart<Addr extends Deno.Addr = Deno.Addr> {
  /** The number of the connection, counted from 1 for each listener. */
  readonly id: number;
  /** The address of the client. */
  readonly remoteAddr: Addr;
  /** The address that the client connected to. */
  readonly localAddr: Addr;
  /** How many bytes of the request have been read by now. */
  readonly bytesRead: number;
  /** A copy of the first of them, at most 1024. */
  readonly head: Uint8Array<ArrayBuffer>;
}
