/**
 * The buffers that requests are read into: they are used again and again, and
 * follow the size of the requests.
 *
 * @module
 */

/** Requests of usual sizes, and the pieces of larger ones. */
export const MIN_READ_BUFFER_BYTES = 65_536;
/** Beyond that, what a larger buffer saves is less than what it keeps. */
const MAX_READ_BUFFER_BYTES = 2_097_152;
/** How much a listener keeps, in all, for exchanges to come. */
const MAX_KEPT_BYTES = 4_194_304;
/** So many requests in a row must be smaller for the buffers to shrink. */
const WINDOW = 64;

/**
 * The read buffers of one listener. They have room for the largest of the latest
 * requests that were decoded: the next one is read in few turns, into memory that
 * is already there, and is decoded where it lies.
 *
 * Requests that are handed out as bytes do not count. They are copied anyway, and
 * out of a large buffer that is no faster: each copy takes fresh memory then.
 */
export class ReadBuffers {
  /** The size of new buffers, and of all that are free. */
  #size = MIN_READ_BUFFER_BYTES;
  #free: Uint8Array<ArrayBuffer>[] = [];
  /** The size that the requests of this window need. */
  #needed = MIN_READ_BUFFER_BYTES;
  #requests = 0;

  /** Lends a buffer to an exchange. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#free.pop() ?? new Uint8Array(this.#size);
  }

  /** Takes one back. Nothing may write to it any more. */
  giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    const isFull = (this.#free.length + 1) * this.#size > MAX_KEPT_BYTES;
    if (buffer.length === this.#size && !isFull) this.#free.push(buffer);
  }

  /** Follows the size of a request that is decoded, in bytes. */
  follow(bytes: number): void {
    const needed = sizeFor(bytes);
    if (needed > this.#needed) this.#needed = needed;
    if (needed > this.#size) this.#resize(needed);
    if (++this.#requests < WINDOW) return;
    this.#resize(this.#needed);
    this.#needed = MIN_READ_BUFFER_BYTES;
    this.#requests = 0;
  }

  #resize(size: number): void {
    if (size === this.#size) return;
    this.#size = size;
    this.#free = [];
  }
}

/** The buffer for a request: whole units, with room for the read that ends it. */
function sizeFor(bytes: number): number {
  if (bytes >= MAX_READ_BUFFER_BYTES) return MAX_READ_BUFFER_BYTES;
  const units = Math.floor(bytes / MIN_READ_BUFFER_BYTES) + 1;
  return units * MIN_READ_BUFFER_BYTES;
}
