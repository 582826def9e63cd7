/**
 * Where the bytes of a request are gathered.
 *
 * @module
 */

const MIN_GROWTH_BYTES = 262_144;
/**
 * How much is read at once when a large request is streamed: a little less than
 * 128 KiB, from where on glibc takes each piece of memory anew from the kernel.
 */
const LARGE_CHUNK_BYTES = 122_880;
const MAX_GROWTH_BYTES = 8_388_608;
const LARGE_PIECE_BYTES = 1_048_576;

/**
 * The bytes of one request, in pieces. The first piece is a borrowed buffer
 * that the next exchange will use, so what callers keep is never a part of it.
 */
export class RequestBytes {
  readonly #borrowed: Uint8Array<ArrayBuffer>;
  /** The full pieces, then `#filled` bytes of the last one. */
  #full: Uint8Array<ArrayBuffer>[] = [];
  #last: Uint8Array<ArrayBuffer>;
  #filled = 0;
  #position = 0;

  constructor(borrowed: Uint8Array<ArrayBuffer>) {
    this.#borrowed = borrowed;
    this.#last = borrowed;
  }

  /** Where the next bytes go. It is never empty. */
  get room(): Uint8Array<ArrayBuffer> {
    return this.#filled === 0 ? this.#last : this.#last.subarray(this.#filled);
  }

  /** Adds the first `count` bytes of `room` to the request. */
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

  /** All bytes in one array, to use at once: it may be the borrowed buffer. */
  peek(): Uint8Array<ArrayBuffer> {
    return this.#full.length === 0
      ? this.#last.subarray(0, this.#filled)
      : this.#join();
  }

  /** All bytes in one array, to keep. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#full.length === 0
      ? this.#last.slice(0, this.#filled)
      : this.#join();
  }

  /** A copy of the first bytes, at most `size`. */
  head(size: number): Uint8Array<ArrayBuffer> {
    return (this.#full[0] ?? this.peek()).slice(0, size);
  }

  /**
   * Copies the next bytes, as many as one piece has, into a buffer.
   *
   * @returns How many were copied: `null` at the end of the request.
   */
  read(buffer: Uint8Array): number | null {
    let start = this.#position;
    for (const piece of this.#pieces()) {
      if (start < piece.length) {
        const part = piece.subarray(start, start + buffer.length);
        buffer.set(part);
        this.#position += part.length;
        return part.length;
      }
      start -= piece.length;
    }
    return null;
  }

  /** All bytes in pieces, to keep. */
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

  /** Copies the pieces into one array. They cannot be used afterwards. */
  #join(): Uint8Array<ArrayBuffer> {
    const pieces = this.#pieces();
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    const joined = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
      joined.set(piece, at);
      at += piece.length;
      // Garbage collection may come late, so large pieces are freed now. For
      // smaller ones that costs more than it gains.
      const isOurs = piece.buffer !== this.#borrowed.buffer;
      if (isOurs && piece.length >= LARGE_PIECE_BYTES) piece.buffer.transfer(0);
    }
    return joined;
  }
}

/**
 * The bytes of a streamed request, chunk by chunk. Small chunks are copied from
 * a borrowed buffer. Once a chunk has filled it, later ones are read into
 * buffers of their own, which are handed out uncopied if at least half full.
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

  /** The first `count` bytes of `room`, to keep. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const room = this.#room;
    const isOwn = room !== this.#borrowed;
    const keepsRoom = isOwn ? count < room.length / 2 : count < room.length;
    if (!keepsRoom) this.#room = new Uint8Array(LARGE_CHUNK_BYTES);
    return isOwn && !keepsRoom ? room.subarray(0, count) : room.slice(0, count);
  }
}
