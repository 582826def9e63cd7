/**
 * Where the bytes of a request are gathered.
 *
 * @module
 */

const MIN_GROWTH_BYTES = 262_144;
/** How much is read at once when a large request is streamed. */
const LARGE_CHUNK_BYTES = 262_144;

/**
 * The bytes of one request, in one buffer. At first this is a borrowed one, which
 * the next exchange will use; what callers keep is never a part of it. A larger
 * one grows where it is: the system moves pages, and copies nothing.
 */
export class RequestBytes {
  readonly #borrowed: Uint8Array<ArrayBuffer>;
  #buffer: Uint8Array<ArrayBuffer>;
  #filled = 0;
  #isPinned = false;

  constructor(borrowed: Uint8Array<ArrayBuffer>) {
    this.#borrowed = borrowed;
    this.#buffer = borrowed;
  }

  /** Where the next bytes go. It is never empty. */
  get room(): Uint8Array<ArrayBuffer> {
    return this.#filled === 0
      ? this.#buffer
      : this.#buffer.subarray(this.#filled);
  }

  /** Adds the first `count` bytes of `room` to the request. */
  add(count: number): void {
    this.#filled += count;
    if (this.#filled === this.#buffer.length) this.#grow();
  }

  /** All bytes, to use at once: they may be in the borrowed buffer. */
  peek(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#filled);
  }

  /** All bytes, to keep. The request cannot be used afterwards. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#isBorrowed || this.#isPinned
      ? this.#buffer.slice(0, this.#filled)
      : new Uint8Array(this.#buffer.buffer.transfer(this.#filled));
  }

  /** Keeps the buffer where it is, as a pending read may still write to it. */
  pin(): void {
    this.#isPinned = true;
  }

  /** A copy of the first bytes, at most `size`. */
  head(size: number): Uint8Array<ArrayBuffer> {
    return this.peek().slice(0, size);
  }

  /**
   * Copies bytes into a buffer.
   *
   * @param position Where they begin in the request.
   * @returns How many were copied: 0 at the end of the request.
   */
  copyInto(buffer: Uint8Array, position: number): number {
    const part = this.peek().subarray(position, position + buffer.length);
    buffer.set(part);
    return part.length;
  }

  get #isBorrowed(): boolean {
    return this.#buffer === this.#borrowed;
  }

  #grow(): void {
    const { buffer, length } = this.#buffer;
    const size = length + Math.max(length / 4, MIN_GROWTH_BYTES);
    if (!this.#isBorrowed) {
      this.#buffer = new Uint8Array(buffer.transfer(size));
      return;
    }
    this.#buffer = new Uint8Array(size);
    this.#buffer.set(this.#borrowed);
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
