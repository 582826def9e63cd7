/**
 * What a user sees of one exchange: the connection, its errors and its record.
 *
 * @module
 */

import type { BodyChunk, ResponseBody } from "./exchange/body.ts";

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

/**
 * One connection, whose request ends with the client's FIN and whose response
 * ends with ours.
 *
 * {@linkcode listen} reads the request to its end before it hands the
 * connection over, so that reading it here cannot fail for any fault of the
 * client; with `streaming: true` the request is read while it is used, and
 * reading rejects with what the client did.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * await using listener = listen({ hostname: "127.0.0.1", port: 0 });
 * const client = await Deno.connect({ port: listener.addr.port });
 * await client.write(new TextEncoder().encode("hello"));
 * await client.closeWrite();
 *
 * for await (const conn of listener) {
 *   const request = await conn.text();
 *   await conn.respond(request.toUpperCase());
 *   break;
 * }
 * client.close();
 * ```
 */
export interface Conn<Addr extends Deno.Addr = Deno.Addr>
  extends AsyncDisposable {
  /** The number of the connection, counted from 1 for each listener. */
  readonly id: number;
  /** The address of the client. */
  readonly remoteAddr: Addr;
  /** The address that the client connected to. */
  readonly localAddr: Addr;
  /**
   * Aborted when the exchange is cut short: by a limit of time, by the server's
   * end, by {@linkcode Conn.abort}, or by a fault of the client that came to
   * light. A request that is too large does not abort it, as it can still be
   * answered.
   */
  readonly signal: AbortSignal;
  /** How many bytes of the request have been read so far. */
  readonly bytesRead: number;
  /** How many bytes of the response the kernel has taken so far. */
  readonly bytesWritten: number;
  /**
   * The request as a stream of bytes, from which readers may also bring their
   * own buffer. It ends with the client's FIN
   * ({@link https://www.rfc-editor.org/rfc/rfc9293#section-3.6 | RFC 9293, section 3.6})
   * and leaves the sending half open. Cancelling it stops the reading; what the
   * client still sends is dropped while the response is sent.
   *
   * This is a stream of our own, since Deno's `Deno.Conn.readable` closes the
   * whole socket at the end of file, after which nothing can be answered
   * (denoland/deno#22258, denoland/deno#27510).
   *
   * With `streaming: true` it reads from the socket and keeps nothing. If the
   * response is a stream or an iterable that uses the request, take `readable`
   * before its first chunk is sent: a request that nobody has taken by then is
   * read and dropped, so that a client that sends all before it reads does not
   * block.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * The response for those who write in pieces: bytes, or text that is sent as
   * UTF-8. Closing it sends the FIN and ends the exchange; moving on before it
   * is closed cuts the connection (`"failed"`). Writes reject with the fault of
   * a client that is gone: in a `for await` loop catch that, or it leaves the
   * loop. A rejection that nobody awaits does no harm.
   */
  readonly writable: WritableStream<BodyChunk>;
  /** Whether the request has been read, is being read, or was dropped. */
  readonly bodyUsed: boolean;
  /**
   * Reads the whole request.
   *
   * @returns Its bytes, in a buffer of their own.
   * @throws {TypeError} If the request has been read before, or the exchange has
   * moved on.
   * @throws {RequestTooLargeError} Only with `streaming: true`: if it is larger
   * than `maxRequestBytes`.
   * @throws {TimeoutError} Only with `streaming: true`: if a limit of time is
   * reached.
   * @throws {Deno.errors.ConnectionReset} Only with `streaming: true`: if the peer
   * tears the connection down. Other errors of Deno's tell of other ways to.
   */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Reads the whole request.
   *
   * @returns Its bytes, as a buffer.
   * @throws {TypeError} As {@linkcode Conn.bytes} does, like all the others.
   */
  arrayBuffer(): Promise<ArrayBuffer>;
  /**
   * Reads the whole request as UTF-8. A byte order mark is dropped, and what is
   * not UTF-8 becomes U+FFFD, as with {@linkcode Body.text}.
   *
   * @returns Its text.
   * @throws {TypeError} As {@linkcode Conn.bytes} does, like all the others.
   */
  text(): Promise<string>;
  /**
   * Reads the whole request as JSON.
   *
   * @returns The parsed value.
   * @throws {SyntaxError} If it is not JSON.
   * @throws {TypeError} As {@linkcode Conn.bytes} does, like all the others.
   */
  json(): Promise<unknown>;
  /**
   * Writes the response, sends a FIN and closes. Backpressure is kept, and what
   * the client still sends is dropped meanwhile, so that a client that writes
   * all before it reads does not block.
   *
   * @param body What to send. Nothing by default.
   * @returns `true` when all of it was handed to the kernel, which is all that
   * a server without an answer can know; `false` when the peer was gone or a
   * limit cut it short.
   * @throws {TypeError} If there has been a response already, the connection was
   * closed, or `body` is not a {@linkcode ResponseBody}.
   * @throws {unknown} What `body` throws while it is read, unless that is a fault
   * of the client's. The response is then cut, which a client cannot tell from a
   * whole one.
   */
  respond(body?: ResponseBody): Promise<boolean>;
  /**
   * Sends a FIN and closes, after a response that is under way. What the client
   * has sent unread is read and dropped for at most `lingerTimeout` (lingering
   * close, {@link https://www.rfc-editor.org/rfc/rfc9112#section-9.6 | RFC 9112, section 9.6}).
   * Closing twice does no harm.
   *
   * @returns Resolves when the FIN is sent; lingering is not waited for.
   */
  close(): Promise<void>;
  /**
   * Closes at once, whatever is under way. A client cannot tell what it then
   * has from a whole response, since a FIN is all that can be sent.
   *
   * @param reason What to give as the reason. An `AbortError` by default.
   */
  abort(reason?: unknown): void;
}

/**
 * The error of a request that is larger than `maxRequestBytes`.
 *
 * @example Usage
 * ```ts
 * import { RequestTooLargeError } from "@halfclose/server";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new RequestTooLargeError(1024);
 * assertEquals(error.maxRequestBytes, 1024);
 * ```
 */
export class RequestTooLargeError extends RangeError {
  /** The name of the error: `"RequestTooLargeError"`. */
  override readonly name = "RequestTooLargeError";
  /** The limit that was passed, in bytes. */
  readonly maxRequestBytes: number;

  /**
   * Makes the error for a limit.
   *
   * @param maxRequestBytes The limit that was passed, in bytes.
   */
  constructor(maxRequestBytes: number) {
    super(
      `The request is larger than the ${maxRequestBytes} bytes allowed: ` +
        "send less, or have `maxRequestBytes` raised",
    );
    this.maxRequestBytes = maxRequestBytes;
  }
}

/**
 * The error of an exchange that took too long.
 *
 * @example Usage
 * ```ts
 * import { TimeoutError } from "@halfclose/server";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new TimeoutError("idleTimeout", 15_000);
 * assertEquals(error.option, "idleTimeout");
 * assertEquals(error.timeout, 15_000);
 * ```
 */
export class TimeoutError extends Error {
  /** The name of the error: `"TimeoutError"`. */
  override readonly name = "TimeoutError";
  /** The option that set the limit. */
  readonly option: "deadline" | "idleTimeout";
  /** The limit, in milliseconds. */
  readonly timeout: number;

  /**
   * Makes the error for a limit.
   *
   * @param option The option that set the limit.
   * @param timeout The limit, in milliseconds.
   */
  constructor(option: "deadline" | "idleTimeout", timeout: number) {
    super(
      option === "deadline"
        ? `The exchange took longer than the ${timeout} ms allowed: ` +
          "be quicker, or have `deadline` raised"
        : `No byte could be read or written for ${timeout} ms: ` +
          "do not pause for so long, or have `idleTimeout` raised",
    );
    this.option = option;
    this.timeout = timeout;
  }
}
