/**
 * The reading half of an exchange: the request, until the client's FIN.
 *
 * @module
 */

import type { Ending } from "./ending.ts";
import { RequestTooLargeError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import { quietly } from "./quiet.ts";
import type { Outcome } from "./record.ts";
import { RequestBytes } from "./request_bytes.ts";
import { RequestStream } from "./request_stream.ts";

/** Settings that all reading halves of one listener share. */
export interface ReadingSettings {
  /** How large a request may be, in bytes. */
  readonly maxRequestBytes: number;
  /** Whether the socket and its pending read outlive a cut, for a refusal. */
  readonly outlivesCuts: boolean;
  /** Read buffers that can be reused. */
  readonly freeBuffers: Uint8Array<ArrayBuffer>[];
}

/** Called once, with a copy of the first bytes that are read. */
export type OnHead = (head: Uint8Array<ArrayBuffer>) => void;

/** A request that has been read to its end. */
type WholeRequest = Pick<RequestBytes, "peek" | "take">;

/**
 * What has happened to the request: nothing yet, its stream was handed out, it
 * is or was read, its stream was cancelled, or its rest is dropped.
 */
type Use = "none" | "offered" | "read" | "cancelled" | "dropped";

const READ_BUFFER_BYTES = 65_536;
/** How much of a request is copied for `onHead`. */
const HEAD_BYTES = 1024;

/** Where the dropped bytes of all exchanges go. It is never read. */
let waste: Uint8Array<ArrayBuffer> | undefined;

/** The request of one exchange. */
export class ReadingHalf {
  /** How many bytes of the request were read. Dropped bytes do not count. */
  bytesRead = 0;

  readonly #socket: Deno.Conn;
  readonly #ending: Ending;
  readonly #limits: Limits;
  readonly #settings: ReadingSettings;
  readonly #onHead: OnHead | undefined;
  /** Borrowed until the server moves on: what callers get never aliases it. */
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #request: RequestBytes | undefined;
  #use: Use = "none";
  #hasEnded = false;
  #tooLarge: RequestTooLargeError | undefined;
  #stream: RequestStream | undefined;
  #dropping: Promise<void> | undefined;
  #dropBudget = Infinity;

  constructor(
    socket: Deno.Conn,
    ending: Ending,
    limits: Limits,
    settings: ReadingSettings,
    onHead: OnHead | undefined,
  ) {
    this.#socket = socket;
    this.#ending = ending;
    this.#limits = limits;
    this.#settings = settings;
    this.#onHead = onHead;
    this.#buffer = settings.freeBuffers.pop() ??
      new Uint8Array(READ_BUFFER_BYTES);
    this.#request = new RequestBytes(this.#buffer);
  }

  /** Whether the client has sent its FIN. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The error of a request that is too large. No more of it is read. */
  get tooLarge(): RequestTooLargeError | undefined {
    return this.#tooLarge;
  }

  /** Whether the request was read, is being read, or was dropped. */
  get isUsed(): boolean {
    return this.#use !== "none" && this.#use !== "offered";
  }

  /** Whether somebody may still read the rest of the request. */
  get mayBeRead(): boolean {
    return (this.#use === "offered" || this.#use === "read") && !this.#tooLarge;
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return (this.#stream ??= this.#openStream()).readable;
  }

  /** Finishes the TLS handshake, or throws. */
  async shakeHands(socket: Deno.TlsConn): Promise<void> {
    this.#limits.readBegins();
    try {
      await socket.handshake();
    } catch (error) {
      const reset = error instanceof Deno.errors.ConnectionReset;
      const outcome = reset ? "reset" : "handshake";
      throw this.#ending.cutByPeer(outcome, "reading", error);
    } finally {
      this.#limits.readEnds();
    }
  }

  /** Reads the request to its end, and keeps it for later. */
  readToEnd(): Promise<number | null> {
    const request = this.#request;
    return request ? this.#read(request) : Promise.resolve(null);
  }

  /** Reads the whole request, and returns what `convert` makes of it. */
  consume<T>(convert: (request: WholeRequest) => T): Promise<T> {
    const streaming = !this.#hasEnded;
    const consumed = this.#take(convert);
    // A fault of a client must not end a process that ignores this promise.
    return streaming ? quietly(consumed) : consumed;
  }

  /** Reads and drops what the client still sends, so that it does not block. */
  drop(): Promise<void> | undefined {
    return this.#hasEnded ? undefined : this.#dropping ??= this.#dropRest();
  }

  /** Drops at most this many more bytes. */
  dropAtMost(bytes: number): void {
    this.#dropBudget = bytes;
  }

  /** Gives back the buffer when the server moves on. */
  release(): void {
    const buffer = this.#buffer;
    // A pending read may still write to it.
    if (buffer && !this.#limits.isReading) {
      this.#settings.freeBuffers.push(buffer);
    }
    this.#buffer = this.#request = undefined;
  }

  /**
   * Reads once into a view, or a whole request to its end. Rejects as soon as
   * the exchange is cut short.
   *
   * @returns How many bytes were read into the view, or `null` at the end.
   */
  #read(into: Uint8Array | RequestBytes): Promise<number | null> {
    const reading = this.#readWithinLimits(into);
    return this.#settings.outlivesCuts
      ? this.#ending.raceWithCut(reading)
      : reading;
  }

  async #readWithinLimits(
    into: Uint8Array | RequestBytes,
  ): Promise<number | null> {
    while (!this.#hasEnded) {
      this.#checkReadable();
      this.#limits.readBegins();
      let read: number | null;
      try {
        read = await this.#socket.read(
          into instanceof RequestBytes ? into.room : into,
        );
      } catch (error) {
        this.#checkReadable();
        throw this.#ending.cutByPeer(outcomeOf(error), "reading", error);
      } finally {
        this.#limits.readEnds();
      }
      this.#checkReadable();
      if (read === null) {
        this.#hasEnded = true;
        break;
      }
      this.bytesRead += read;
      const { maxRequestBytes } = this.#settings;
      if (this.bytesRead > maxRequestBytes) {
        this.#tooLarge = new RequestTooLargeError(maxRequestBytes);
        this.#ending.recordFault("too-large", "reading", this.#tooLarge);
        throw this.#tooLarge;
      }
      if (!(into instanceof RequestBytes)) return read;
      into.add(read);
    }
    if (into instanceof RequestBytes) this.#onHead?.(into.head(HEAD_BYTES));
    return null;
  }

  /** Throws if the request can no longer be read. */
  #checkReadable(): void {
    if (this.#ending.cut) throw this.#ending.cut.error;
    if (this.#tooLarge) throw this.#tooLarge;
    if (!this.#buffer || this.#use === "dropped") throw tooLateToRead();
  }

  /** Converts the bytes at once, before another exchange uses the buffer. */
  async #take<T>(convert: (request: WholeRequest) => T): Promise<T> {
    if (this.isUsed || this.#stream?.readable.locked) {
      throw new TypeError(
        "Cannot read the request twice: it has been read, is being read or was " +
          "dropped by a response, keep what the first reading gives",
      );
    }
    if (this.#stream) {
      const bytes = await new Response(this.#stream.readable).bytes();
      return convert({ peek: () => bytes, take: () => bytes });
    }
    this.#use = "read";
    const request = this.#request;
    if (!request) throw tooLateToRead();
    if (!this.#hasEnded) await this.#read(request);
    if (!this.#buffer) throw tooLateToRead();
    this.#request = undefined;
    return convert(request);
  }

  #openStream(): RequestStream {
    const request = this.isUsed ? undefined : this.#request;
    const isWhole = this.#hasEnded;
    if (request) this.#use = "offered";
    return new RequestStream({
      pieces: isWhole ? request?.takePieces() : undefined,
      buffer: request && !isWhole ? this.#buffer : undefined,
      onPull: () => {
        this.#use = "read";
      },
      read: (into) => this.#read(into),
      onRead: (bytes) => {
        if (!this.#buffer && bytes.length > 0) throw tooLateToRead();
        if (bytes.length === this.bytesRead) {
          this.#onHead?.(bytes.slice(0, HEAD_BYTES));
        }
      },
      onCancel: () => {
        this.#use = "cancelled";
      },
    });
  }

  async #dropRest(): Promise<void> {
    this.#use = "dropped";
    this.#stream?.fail(
      this.#ending.cut?.error ?? this.#tooLarge ??
        new TypeError(
          "The rest of the request was dropped: read it before you respond or close",
        ),
    );
    waste ??= new Uint8Array(READ_BUFFER_BYTES);
    try {
      for (;;) {
        const read = await this.#socket.read(waste);
        if (read === null) break;
        this.#limits.progress();
        this.#dropBudget -= read;
        if (this.#dropBudget < 0) return;
      }
      this.#hasEnded = true;
    } catch {
      // We closed it, or the peer failed: the writing half will find out.
    }
  }
}

function tooLateToRead(): TypeError {
  return new TypeError(
    "Cannot read the request: the exchange has moved on and the rest was " +
      "dropped, await the reading before you respond, close or go on",
  );
}

function outcomeOf(error: unknown): Outcome {
  const truncated = error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.InvalidData;
  return truncated ? "truncated" : "reset";
}
