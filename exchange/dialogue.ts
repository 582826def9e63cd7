/**
 * A request that is read line by line and in pieces of known length, while its
 * exchange talks.
 *
 * @module
 */

import { bytesOf } from "../shared/body.ts";
import { IncompleteReadError, RequestTooLargeError } from "../shared/errors.ts";
import { inspected } from "../shared/thrown.ts";
import { Delimiter, DelimiterSearch } from "./delimiter.ts";
import { type ReadingHalf, readPending } from "./reading.ts";
import type { RequestBytes } from "./request_bytes.ts";
import type { State } from "./state.ts";

/** What was asked for, or `null` at the end of the request. */
export type Piece = Uint8Array<ArrayBuffer> | null;

/** The request of which a dialogue reads. */
export interface DialogueRequest {
  /** All of it, if it was read before. */
  readonly kept: RequestBytes | undefined;
  /** Called after a read from the socket. */
  onRead(room: Uint8Array<ArrayBuffer>, read: number | null): void;
  /** Whether the buffer is ours: not when the server has moved on. */
  isOpen(): boolean;
}

/** Reads lines and pieces of one request, with what has come in one buffer. */
export class Dialogue {
  /** What has come and was not taken lies from `#start` to `#end`. */
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #start = 0;
  #end = 0;
  readonly #reading: ReadingHalf;
  readonly #state: State;
  readonly #request: DialogueRequest;
  #isReading = false;

  /** @param buffer Its length bounds that of a line. */
  constructor(
    buffer: Uint8Array<ArrayBuffer>,
    reading: ReadingHalf,
    state: State,
    request: DialogueRequest,
  ) {
    this.#buffer = buffer;
    this.#reading = reading;
    this.#state = state;
    this.#request = request;
  }

  /** Whether a line or a piece is waited for. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Gives away some of what has come: returns how many bytes. */
  give(into: Uint8Array): number {
    if (this.#isReading) throw readPending();
    return this.#give(into);
  }

  #give(into: Uint8Array): number {
    const part = this.#buffer.subarray(this.#start, this.#end);
    into.set(part.subarray(0, into.length));
    const size = Math.min(part.length, into.length);
    this.#start += size;
    return size;
  }

  /** Reads up to a delimiter, and that as well. */
  readUntil(delimiter: string | Uint8Array): Promise<Piece> {
    const search = new DelimiterSearch(
      this.#checked(() => delimiterOf(delimiter)),
    );
    return this.#read(async () => {
      let searched = this.#start;
      for (;;) {
        const end = search.endIn(this.#buffer.subarray(searched, this.#end));
        if (end !== undefined) return this.#take(searched + end - this.#start);
        if (this.#size === this.#buffer.length) throw this.#tooLong();
        this.#makeRoom();
        searched = this.#end;
        const room = this.#buffer.subarray(this.#end);
        const read = await this.#fill(room);
        // The server may have moved on meanwhile.
        this.#checkOpen();
        if (read === null) return this.#endWith(this.#take(this.#size));
        this.#end += read;
      }
    });
  }

  /** Reads so many bytes. */
  readExactly(size: number): Promise<Piece> {
    this.#checked(() => checkSize(size));
    return this.#read(async () => {
      if (size <= this.#size) return this.#take(size);
      if (!this.#isAllThere) this.#reading.checkSize(size);
      const most = this.#isAllThere ? this.#reading.bytesRead + 1 : size;
      const bytes = new Uint8Array(Math.min(size, most));
      let filled = this.#give(bytes);
      while (filled < size) {
        const read = await this.#fill(bytes.subarray(filled));
        if (read === null) return this.#endWith(bytes.slice(0, filled), size);
        filled += read;
      }
      return bytes;
    });
  }

  /** Checks what the caller wants. What is wrong is the caller's fault. */
  #checked<T>(check: () => T): T {
    try {
      return check();
    } catch (error) {
      this.#state.recordFault("failed", "handling", error);
      throw error;
    }
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    if (this.#isReading) throw readPending();
    this.#checkOpen();
    // What is left can be taken once the request has ended.
    if (!this.#isAllThere) this.#reading.checkReadable();
    this.#isReading = true;
    try {
      return await read();
    } finally {
      this.#isReading = false;
    }
  }

  #checkOpen(): void {
    if (!this.#request.isOpen()) this.#reading.checkReadable();
  }

  /** Reads the next bytes: returns how many, `null` at the end of the request. */
  async #fill(room: Uint8Array<ArrayBuffer>): Promise<number | null> {
    const { kept, onRead } = this.#request;
    if (kept) return kept.read(room);
    const read = await this.#reading.readForStream(room, room);
    onRead(room, read);
    return read;
  }

  /** Whether all of the request has come. */
  get #isAllThere(): boolean {
    return this.#request.kept !== undefined || this.#reading.end !== undefined;
  }

  get #size(): number {
    return this.#end - this.#start;
  }

  #take(size: number): Uint8Array<ArrayBuffer> {
    const start = this.#start;
    this.#start += size;
    return this.#buffer.slice(start, this.#start);
  }

  /** Moves what is left to the beginning: once for each line at most. */
  #makeRoom(): void {
    this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  /** The request has ended: perhaps in the middle of what was asked for. */
  #endWith(partial: Uint8Array<ArrayBuffer>, expected?: number): null {
    if (partial.length === 0) return null;
    const error = new IncompleteReadError(partial, expected);
    this.#state.endEarly(error);
    throw error;
  }

  #tooLong(): RequestTooLargeError {
    const error = new RequestTooLargeError(this.#buffer.length, "line");
    this.#state.exceed(error);
    return error;
  }
}

function delimiterOf(delimiter: unknown): Delimiter {
  const bytes = bytesOf(delimiter);
  if (bytes && bytes.length > 0) return new Delimiter(bytes.slice());
  throw new TypeError(
    "Cannot read the request: the delimiter must be a string or a Uint8Array, " +
      `and not empty, received ${inspected(delimiter)}`,
  );
}

function checkSize(size: unknown): void {
  if (Number.isInteger(size) && size as number >= 0) return;
  throw new RangeError(
    "Cannot read the request: the number of bytes must be a whole number from " +
      `0, received ${inspected(size)}`,
  );
}
