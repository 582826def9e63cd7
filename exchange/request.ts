/**
 * What is made of a request: all of it, a stream, or pieces of it.
 *
 * @module
 */

import { Dialogue, type Piece } from "./dialogue.ts";
import { parseJson } from "../shared/printable.ts";
import { quietly } from "../shared/quiet.ts";
import { MIN_READ_BUFFER_BYTES, type ReadBuffers } from "./read_buffers.ts";
import { type ReadingHalf, readPending, tooLateToRead } from "./reading.ts";
import { RequestBytes } from "./request_bytes.ts";
import type { RequestReader } from "./request_interface.ts";
import { RequestStream } from "./request_stream.ts";
import type { State } from "./state.ts";
import { checkReadable } from "../shared/view.ts";

/** Called once, with a copy of the first bytes that are read. */
export type OnHead = (head: Uint8Array<ArrayBuffer>) => void;

/**
 * What has happened to the request: nothing yet, its stream was handed out, it
 * is or was read, it is read piece by piece, also by line or length, its stream was
 * cancelled, or its rest is dropped.
 */
type Use =
  | "none"
  | "offered"
  | "read"
  | "in pieces"
  | "in dialogue"
  | "cancelled"
  | "dropped";

/** How much of a request is copied for `onHead`. */
const HEAD_BYTES = 1024;

const decoder = new TextDecoder();

/** The request of one exchange, for its handler. */
export class IncomingRequest implements RequestReader {
  readonly #reading: ReadingHalf;
  readonly #state: State;
  /** Until it has been called. */
  #onHead: OnHead | undefined;
  readonly #buffers: ReadBuffers;
  /** Borrowed until the server moves on: what callers get never aliases it. */
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #bytes: RequestBytes | undefined;
  /** Whether all of the request is there. */
  #isKept = false;
  #use: Use = "none";
  #stream: RequestStream | undefined;
  #dialogue: Dialogue | undefined;

  constructor(
    reading: ReadingHalf,
    state: State,
    buffers: ReadBuffers,
    onHead: OnHead | undefined,
  ) {
    this.#reading = reading;
    this.#state = state;
    this.#onHead = onHead;
    this.#buffers = buffers;
    this.#buffer = buffers.take();
    this.#bytes = new RequestBytes(this.#buffer);
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return (this.#stream ??= this.#openStream()).readable;
  }

  get bodyUsed(): boolean {
    return this.#use !== "none" && this.#use !== "offered";
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#consume((request) => request.take());
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#consume((request) => request.take().buffer);
  }

  text(): Promise<string> {
    return this.#consume((request) => this.#decode(request));
  }

  json(): Promise<unknown> {
    return this.#consume((request) => parseJson(this.#decode(request)));
  }

  read(buffer: Uint8Array): Promise<number | null> {
    try {
      checkReadable(buffer);
    } catch (error) {
      this.#state.recordFault("failed", "handling", error);
      return this.#rejected(error);
    }
    try {
      return this.#readPiece(buffer);
    } catch (error) {
      return this.#rejected(error);
    }
  }

  readUntil(delimiter: string | Uint8Array): Promise<Piece> {
    return this.#talk((dialogue) => dialogue.readUntil(delimiter));
  }

  readExactly(size: number): Promise<Piece> {
    return this.#talk((dialogue) => dialogue.readExactly(size));
  }

  /** Whether somebody reads the request, or has taken its stream. */
  get isWanted(): boolean {
    return this.#use !== "none" && this.mayBeRead;
  }

  /** What its reader waits for. */
  get awaited(): "end" | "length" | "piece" {
    return this.#dialogue?.isReading ? "piece" : this.#reading.awaited;
  }

  /** Whether somebody may still read the request, or its rest. */
  get mayBeRead(): boolean {
    const isDone = this.#use === "cancelled" || this.#use === "dropped";
    return !isDone && !this.#reading.end && !this.#state.tooLarge;
  }

  /** Reads all of the request, for `keep()`. */
  readAll(): Promise<unknown> | undefined {
    return this.#bytes && this.#reading.read(this.#bytes);
  }

  /** Keeps the request that was read. */
  keep(): void {
    this.#isKept = true;
    if (this.#bytes) this.#onHead?.(this.#bytes.head(HEAD_BYTES));
  }

  /**
   * Drops what the client still sends. A reader of it fails.
   *
   * @param bytes How much more to drop at most.
   * @returns Resolves when no more is dropped.
   */
  dropRest(bytes?: number): Promise<void> | undefined {
    if (!this.#reading.end && this.#use !== "dropped") {
      this.#use = "dropped";
      this.#stream?.fail(this.#faultOr(restDropped()));
    }
    return this.#reading.drop(bytes);
  }

  /** Gives back the buffer when the server moves on. */
  release(): void {
    const buffer = this.#buffer;
    // A pending read may still write to it.
    if (buffer && !this.#reading.isPending) this.#buffers.giveBack(buffer);
    this.#buffer = this.#bytes = undefined;
    this.#reading.stop();
  }

  #checkUnused(): void {
    if (!this.bodyUsed && !this.#stream?.readable.locked) return;
    throw this.#use === "dropped" ? this.#faultOr(readTwice()) : readTwice();
  }

  /** Why a request that nobody has read cannot be read: a cut, or else `error`. */
  #faultOr(error: TypeError): unknown {
    const { cut, unreadable } = this.#state;
    return (cut ?? unreadable ?? { error }).error;
  }

  #consume<T>(convert: (request: WholeRequest) => T): Promise<T> {
    const isSure = this.#isKept && !this.#state.cut;
    const consumed = this.#take(convert);
    // A fault of the client, or a cut, must not end a process that ignores it.
    return isSure ? consumed : quietly(consumed);
  }

  #decode(request: WholeRequest): string {
    const bytes = request.peek();
    this.#buffers.follow(bytes.length);
    return decoder.decode(bytes);
  }

  /** Converts the request at once, before the buffer serves another exchange. */
  async #take<T>(convert: (request: WholeRequest) => T): Promise<T> {
    this.#checkUnused();
    if (this.#stream) {
      const bytes = await new Response(this.#stream.readable).bytes();
      return convert({ peek: () => bytes, take: () => bytes });
    }
    this.#use = "read";
    const bytes = this.#bytes;
    if (!bytes) throw this.#faultOr(tooLateToRead());
    if (!this.#isKept) {
      await this.readAll();
      this.keep();
    }
    if (!this.#buffer) throw this.#faultOr(tooLateToRead());
    this.#bytes = undefined;
    return convert(bytes);
  }

  /** What the record tells of must not end a process that ignores it. */
  #rejected(error: unknown): Promise<never> {
    const rejected = Promise.reject(error);
    return this.#state.verdict ? quietly(rejected) : rejected;
  }

  /** Reads a piece. It is not async, as each layer costs as much as a read. */
  #readPiece(buffer: Uint8Array): Promise<number | null> {
    if (this.#use !== "in pieces") {
      this.#claimPieces("in pieces");
      const given = this.#buffer && this.#dialogue?.give(buffer);
      if (given) return Promise.resolve(given);
    }
    if (!this.#buffer) throw this.#faultOr(tooLateToRead());
    if (this.#isKept) return Promise.resolve(this.#bytes?.read(buffer) ?? null);
    this.#checkNotPending();
    const reading = this.#reading.readForCaller(buffer, this.#buffer);
    if (!this.#onHead) return quietly(reading);
    return quietly(reading.then((read) => {
      this.#tellHead(buffer, read);
      return read;
    }));
  }

  /** Reads by line or by length. */
  #talk<T>(read: (dialogue: Dialogue) => Promise<T>): Promise<T> {
    try {
      this.#claimPieces("in dialogue");
      this.#checkNotPending();
      return quietly(read(this.#dialogue ??= this.#openDialogue()));
    } catch (error) {
      return this.#rejected(error);
    }
  }

  #claimPieces(use: "in pieces" | "in dialogue"): void {
    if (this.#use === "in dialogue") return;
    if (this.#use !== "in pieces") this.#checkUnused();
    if (this.#stream) throw streamTaken();
    this.#use = use;
  }

  #checkNotPending(): void {
    if (!this.#reading.end && this.#reading.isPending) throw readPending();
  }

  #openDialogue(): Dialogue {
    const kept = this.#isKept ? this.#bytes : undefined;
    const borrowed = kept ? undefined : this.#buffer;
    const buffer = borrowed?.subarray(0, MIN_READ_BUFFER_BYTES) ??
      new Uint8Array(MIN_READ_BUFFER_BYTES);
    return new Dialogue(buffer, this.#reading, this.#state, {
      kept,
      onRead: (room, read) => this.#tellHead(room, read),
      isOpen: () => this.#buffer !== undefined,
    });
  }

  #openStream(): RequestStream {
    const bytes = this.bodyUsed ? undefined : this.#bytes;
    const buffer = this.#isKept ? undefined : this.#buffer;
    if (bytes) this.#use = "offered";
    return new RequestStream({
      fault: () => {
        const error = streamTooLate();
        const isRead = this.bodyUsed && this.#use !== "dropped";
        return isRead ? error : this.#faultOr(error);
      },
      pieces: this.#isKept ? bytes?.takePieces() : undefined,
      buffer: bytes && buffer,
      onPull: () => {
        this.#use = "read";
      },
      read: (into) => this.#reading.readForStream(into, buffer ?? into),
      onRead: (room, read) => {
        if (!this.#buffer && read !== null) throw tooLateToRead();
        this.#tellHead(room, read);
      },
      onCancel: () => {
        this.#use = "cancelled";
      },
    });
  }

  /** Tells how a streamed request begins, if this was its first read. */
  #tellHead(room: Uint8Array, read: number | null): void {
    const { bytesRead } = this.#reading;
    if (!this.#onHead || bytesRead !== (read ?? 0)) return;
    const head = new Uint8Array(Math.min(bytesRead, HEAD_BYTES));
    head.set(room.subarray(0, head.length));
    this.#onHead(head);
    this.#onHead = undefined;
  }
}

function restDropped(): TypeError {
  return new TypeError(
    "The rest of the request was dropped. Read it before you respond or close.",
  );
}

function readTwice(): TypeError {
  return new TypeError(
    "Cannot read the request twice: it has been read, is being read or was " +
      "dropped by a response. Keep what the first reading gives.",
  );
}

function streamTaken(): TypeError {
  return new TypeError(
    "Cannot read the request piece by piece: `readable` has been taken. Use " +
      "either of them.",
  );
}

function streamTooLate(): TypeError {
  return new TypeError(
    "Cannot read the request: it has been read already, was dropped by a " +
      "response, or the exchange has moved on",
  );
}

/** A request that has been read to its end. */
type WholeRequest = Pick<RequestBytes, "peek" | "take">;
