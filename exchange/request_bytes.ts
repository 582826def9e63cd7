/**
 * Where the bytes of a request are gathered.
 *
 * @module
 */

const MIN_GROWTH_BYTES = 262_144;
/** What a read may bring at once where much is streamed. */
const LARGE_CHUNK_BYTES = 262_144;
const MAX_GROWTH_BYTES = 8_388_608;

/**
 * The bytes of one request, in pieces. The first piece is a buffer that is
 * borrowed, and serves the next exchange once this one is over: what is given to
 * callers is never a part of it.
 */
export class RequestBytes {
  readonly #borrowed: Uint8Array<ArrayBuffer>;
  /** Pieces that are full, then `#filled` bytes of the last one. */
  #full: Uint8Array<ArrayBuffer>[] = [];
  #last: Uint8Array<ArrayBuffer>;
  #filled = 0;

  constructor(borrowed: Uint8Array<ArrayBuffer>) {
    this.#borrowed = borrowed;
    this.#last = borrowed;
  }

  /** Where the next bytes go. It is never empty. */
  get room(): Uint8Array<ArrayBuffer> {
    return this.#filled === 0 ? this.#last : this.#last.subarray(this.#filled);
  }

  /** Takes note of so many bytes that have been put into `room`. */
  add(count: number): void {
    this.#filled += count;
    if (this.#filled < this.#last.length) return;
    this.#full.push(this.#last);
    const size = this.#full.reduce((sum, { length }) => sum + length, 0);
    this.#last = new Uint8Array(
      Math.min(Math.max(size, MIN_GROWTH_BYTES), MAX_GROWTH_BYTES),
    );
    this.#filled = 0;
  }

  /** All in one, to be read at once: it may lie in the borrowed buffer. */
  peek(): Uint8Array<ArrayBuffer> {
    return this.#full.length === 0
      ? this.#last.subarray(0, this.#filled)
      : this.#join();
  }

  /** All in one, to keep. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#full.length === 0
      ? this.#last.slice(0, this.#filled)
      : this.#join();
  }

  /** A copy of the first bytes, at most so many. */
  head(size: number): Uint8Array<ArrayBuffer> {
    return (this.#full[0] ?? this.peek()).slice(0, size);
  }

  /** All of it in pieces, to keep. */
  takePieces(): Uint8Array<ArrayBuffer>[] {
    return this.#pieces().map((piece) =>
      piece.buffer === this.#borrowed.buffer ? piece.slice() : piece
    );
  }

  #pieces(): Uint8Array<ArrayBuffer>[] {
    return this.#filled === 0
      ? this.#full
      : [...this.#full, this.#last.subarray(0, this.#filled)];
  }

  /** Copies the pieces, which are used up by it, into one. */
  #join(): Uint8Array<ArrayBuffer> {
    const pieces = this.#pieces();
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    const joined = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
      joined.set(piece, at);
      at += piece.length;
      // The largest are freed now, as garbage collection may come late; for others
      // that would cost more than it is worth.
      if (piece.length === MAX_GROWTH_BYTES) piece.buffer.transfer(0);
    }
    return joined;
  }
}

/**
 * The bytes of a request that is streamed, chunk by chunk. Small ones are copied
 * from a buffer that is borrowed; once one has filled it, the next are read into
 * buffers of their own, which are given away unless they are mostly empty.
 */
export class RequestChunks {
  readonly #borrowed: Uint8Array<ArrayBuffer>;
  #room: Uint8Array<ArrayBuffer>;

  constructor(borrowed: Uint8Array<ArrayBuffer>) {
    this.#borrowed = borrowed;
    this.#room = borrowed;
  }

  /** Where the next bytes go. */
  get room(): Uint8Array<ArrayBuffer> {
    return this.#room;
  }

  /** The bytes, so many of them, that have been put into `room`: to keep. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const room = this.#room;
    const isOwn = room !== this.#borrowed;
    const keepsRoom = isOwn ? count < room.length / 2 : count < room.length;
    if (!keepsRoom) this.#room = new Uint8Array(LARGE_CHUNK_BYTES);
    return isOwn && !keepsRoom ? room.subarray(0, count) : room.slice(0, count);
  }
}
