/**
 * One connection, and the exchange on it as a whole: both halves put together.
 *
 * @module
 */

import type { BodyChunk, ResponseBody } from "./exchange/body.ts";
import { Closing, type ClosingSettings } from "./exchange/closing.ts";
import { abortError, Ending } from "./exchange/ending.ts";
import { Limits, type TimeLimits } from "./exchange/limits.ts";
import { ReadingHalf, type ReadingSettings } from "./exchange/reading.ts";
import type {
  ExchangeRecord,
  Outcome,
  Phase,
  RequestStart,
} from "./exchange/record.ts";
import type { Watched } from "./exchange/watchdog.ts";
import { type Whole, WritingHalf } from "./exchange/writing.ts";

const decoder = new TextDecoder();

/**
 * One connection, whose request ends with the client's FIN and whose response
 * ends with ours.
 *
 * {@linkcode listen} reads the request to its end before it hands over the
 * connection, so no fault of the client can make reading fail here. With
 * `streaming: true` the request is read while it is used, and reading rejects
 * with the fault of the client.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * await using listener = listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await Deno.connect({ port: listener.addr.port });
 * await client.write(new TextEncoder().encode("hello"));
 * await client.closeWrite();
 *
 * for await (const conn of listener) {
 *   const request = await conn.text();
 *   await conn.respond(request.toUpperCase());
 *   break;
 * }
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
   * Aborted when the exchange is cut short: by a time limit, by the server's
   * end, by {@linkcode Conn.abort}, or by a fault of the client. A request that
   * is too large does not abort it, because it can still be answered.
   */
  readonly signal: AbortSignal;
  /** How many bytes of the request have been read so far. */
  readonly bytesRead: number;
  /** How many bytes of the response the kernel has taken so far. */
  readonly bytesWritten: number;
  /**
   * The request as a byte stream; readers may bring their own buffer. It ends
   * with the client's FIN
   * ({@link https://www.rfc-editor.org/rfc/rfc9293#section-3.6 | RFC 9293, section 3.6})
   * and leaves the sending half open. Cancelling it stops the reading; what the
   * client still sends is then dropped while the response is sent.
   *
   * This is not Deno's stream, which closes the whole socket at the end of
   * file, so that no response can be sent (denoland/deno#22258,
   * denoland/deno#27510).
   *
   * With `streaming: true` it reads from the socket and keeps nothing. If the
   * response is a stream or an iterable that uses the request, take `readable`
   * before its first chunk is sent. A request not taken by then is read and
   * dropped, so that a client that sends everything before it reads does not
   * block.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * A stream to write the response in pieces: bytes, or text that is sent as
   * UTF-8. Closing it sends the FIN and ends the exchange. Moving on before it
   * is closed cuts the connection (`"failed"`). Writes reject if the client is
   * gone: catch that in a `for await` loop, or it ends the loop. A rejection
   * that nobody awaits does no harm.
   */
  readonly writable: WritableStream<BodyChunk>;
  /** Whether the request has been read, is being read, or was dropped. */
  readonly bodyUsed: boolean;
  /**
   * Reads the whole request.
   *
   * @returns Its bytes, in a buffer of their own.
   * @throws {TypeError} If the request has been read before, or the exchange
   * has moved on.
   * @throws {RequestTooLargeError} Only with `streaming: true`: if it is larger
   * than `maxRequestBytes`.
   * @throws {TimeoutError} Only with `streaming: true`: if a time limit passes.
   * @throws {Deno.errors.ConnectionReset} Only with `streaming: true`: if the
   * client resets the connection. Other errors of Deno are possible.
   */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Reads the whole request.
   *
   * @returns Its bytes, as a buffer.
   * @throws {TypeError} As with {@linkcode Conn.bytes}, like the other errors.
   */
  arrayBuffer(): Promise<ArrayBuffer>;
  /**
   * Reads the whole request as UTF-8. A byte order mark is dropped, and invalid
   * UTF-8 becomes U+FFFD, as with {@linkcode Body.text}.
   *
   * @returns Its text.
   * @throws {TypeError} As with {@linkcode Conn.bytes}, like the other errors.
   */
  text(): Promise<string>;
  /**
   * Reads the whole request as JSON.
   *
   * @returns The parsed value.
   * @throws {SyntaxError} If it is not JSON.
   * @throws {TypeError} As with {@linkcode Conn.bytes}, like the other errors.
   */
  json(): Promise<unknown>;
  /**
   * Writes the response with backpressure, sends a FIN and closes. What the
   * client still sends is dropped meanwhile, so that a client that writes
   * everything before it reads does not block.
   *
   * @param body What to send. Nothing by default.
   * @returns `true` if all of it was handed to the kernel, `false` if the
   * client was gone or a limit cut it short.
   * @throws {TypeError} If there has been a response already, the connection
   * was closed, or `body` is not a {@linkcode ResponseBody}.
   * @throws {unknown} What `body` throws while it is read, unless the client
   * caused it. The cut response looks complete to the client.
   */
  respond(body?: ResponseBody): Promise<boolean>;
  /**
   * Waits for a response under way, sends a FIN and closes. Unread data from
   * the client is dropped for at most `lingerTimeout` (lingering close,
   * {@link https://www.rfc-editor.org/rfc/rfc9112#section-9.6 | RFC 9112, section 9.6}).
   * Closing twice does no harm.
   *
   * @returns Resolves when the FIN is sent, without waiting for the lingering.
   */
  close(): Promise<void>;
  /**
   * Closes at once, whatever is under way. The client cannot tell a cut
   * response from a complete one, because Deno can only send a FIN.
   *
   * @param reason The reason. An `AbortError` by default.
   */
  abort(reason?: unknown): void;
}

/** Settings that all exchanges of one listener share. */
export interface ExchangeSettings
  extends ReadingSettings, TimeLimits, ClosingSettings {
  /** Our address, if the connection does not know the right one. */
  readonly localAddr: Deno.Addr | undefined;
  /** Whether a handler gets the connection before the request is read. */
  readonly streaming: boolean;
  /** Called with how each request begins. */
  readonly onRequest: ((start: RequestStart) => void) | undefined;
}

/** One exchange, as the server sees it; users see {@linkcode Conn}. */
export class Exchange<Addr extends Deno.Addr>
  implements Conn<Addr>, Watched, Whole {
  readonly id: number;
  readonly remoteAddr: Addr;
  readonly localAddr: Addr;
  readonly #socket: Deno.Conn;
  readonly #settings: ExchangeSettings;
  readonly #startedAt = Date.now();
  readonly #limits: Limits;
  readonly #ending: Ending;
  readonly #reading: ReadingHalf;
  readonly #writing: WritingHalf;
  readonly #closing: Closing;

  constructor(id: number, socket: Deno.Conn, settings: ExchangeSettings) {
    const { onRequest } = settings;
    this.id = id;
    this.remoteAddr = socket.remoteAddr as Addr;
    this.localAddr = (settings.localAddr ?? socket.localAddr) as Addr;
    this.#socket = socket;
    this.#settings = settings;
    const limits = this.#limits = new Limits(settings);
    const ending = this.#ending = new Ending(this);
    const reading = this.#reading = new ReadingHalf(
      socket,
      ending,
      limits,
      settings,
      onRequest && ((head) => {
        const { id, remoteAddr, localAddr, bytesRead } = this;
        onRequest({ id, remoteAddr, localAddr, bytesRead, head });
      }),
    );
    const writing = new WritingHalf(socket, ending, limits, this);
    this.#writing = writing;
    this.#closing = new Closing(socket, ending, reading, writing, settings);
  }

  // The public part, documented with `Conn`.

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  get bytesRead(): number {
    return this.#reading.bytesRead;
  }

  get bytesWritten(): number {
    return this.#writing.bytesWritten;
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#reading.readable;
  }

  get writable(): WritableStream<BodyChunk> {
    return this.#writing.writable;
  }

  get bodyUsed(): boolean {
    return this.#reading.isUsed;
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#reading.consume((request) => request.take());
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#reading.consume((request) => request.take().buffer);
  }

  text(): Promise<string> {
    return this.#reading.consume((request) => decoder.decode(request.peek()));
  }

  json(): Promise<unknown> {
    return this.#reading.consume((request) =>
      JSON.parse(decoder.decode(request.peek()))
    );
  }

  respond(body?: ResponseBody): Promise<boolean> {
    return this.#writing.respond(body);
  }

  async close(): Promise<void> {
    await this.#writing.settled();
    this.#writing.cutIfHalfWritten();
    await this.#closing.close();
  }

  abort(reason: unknown = abortError("The exchange was aborted")): void {
    this.cut("aborted", reason);
    this.closeSocket();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What the server calls.

  /**
   * Prepares the exchange for its handler: completes the TLS handshake and,
   * unless requests are streamed, reads the request to its end.
   *
   * @returns Whether that succeeded; if not, the fault is in the record.
   */
  async prepare(): Promise<boolean> {
    const ending = this.#ending;
    const socket = this.#socket;
    try {
      if ("handshake" in socket) {
        ending.enter("handshake");
        const handshake = this.#reading.shakeHands(socket as Deno.TlsConn);
        await ending.raceWithCut(handshake);
      }
      if (!this.#settings.streaming) {
        ending.enter("reading");
        await this.#reading.readToEnd();
      }
      ending.enter("handling");
      return true;
    } catch (error) {
      if (ending.verdict) return false;
      this.fail(error);
      throw error;
    }
  }

  /** Waits for `work`, or rejects as soon as it is cut short. */
  raceWithCut<T>(work: Promise<T>): Promise<T> {
    return this.#ending.raceWithCut(work);
  }

  /** Ends the exchange at once, whatever is under way. */
  cut(outcome: Outcome, error: unknown, phase: Phase = this.#phase): void {
    this.#ending.cutShort(outcome, phase, error);
  }

  /** Records a fault of the handler. Only the first fault counts. */
  fail(error: unknown): void {
    this.#ending.recordFault("failed", this.#phase, error);
  }

  /** The fault of the handler, its response or its use of `Conn`, if any. */
  get failure(): unknown {
    const { verdict } = this.#ending;
    return verdict?.outcome === "failed" ? verdict.error : undefined;
  }

  isFromOutside(error: unknown): boolean {
    const { cut } = this.#ending;
    return error !== undefined && (error === this.#reading.tooLarge ||
      (error === cut?.error && cut?.outcome !== "failed"));
  }

  /** Whether the socket is closed. */
  get isClosed(): boolean {
    return this.#closing.isClosed;
  }

  /** If the connection lingers: resolves when its socket is closed. */
  get lingering(): Promise<void> | undefined {
    return this.#closing.lingering;
  }

  /** Whether a response has been sent or begun. */
  get isAnswered(): boolean {
    return this.#writing.hasBegun;
  }

  expire(now: number): number {
    const due = this.#limits.check(now, this.#closing.isOver);
    if (typeof due === "number") return due;
    this.cut(due.option === "deadline" ? "deadline" : "idle", due);
    return Infinity;
  }

  /** Ends the turn of a closed exchange: the server moves on. */
  leave(): void {
    this.#ending.moveOn(this.isClosed);
    this.#reading.release();
  }

  /** The record of the exchange so far. */
  record(): ExchangeRecord<Addr> {
    return {
      id: this.id,
      remoteAddr: this.remoteAddr,
      localAddr: this.localAddr,
      startedAt: this.#startedAt,
      duration: this.#limits.elapsed,
      bytesRead: this.bytesRead,
      bytesWritten: this.bytesWritten,
      outcome: "ok",
      phase: this.isAnswered ? "writing" : "handling",
      ...this.#ending.verdict,
    };
  }

  /** Closes the socket at once, even while it lingers. */
  closeSocket(): void {
    this.#closing.closeSocket();
  }

  // What the parts of the exchange call.

  closeAfterCut(): void {
    this.#closing.closeAfterCut();
  }

  beforeWrite(isAtHand: boolean): void {
    if (isAtHand || !this.#reading.mayBeRead) this.#reading.drop();
  }

  finish(): Promise<boolean> {
    return this.#closing.finish();
  }

  get #phase(): Phase {
    if (this.#ending.stage === "writing") return "writing";
    const isReading = !this.#closing.isOver && this.#limits.isReading;
    return isReading ? "reading" : "handling";
  }
}
