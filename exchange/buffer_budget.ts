/**
 * The memory that all requests of one listener may take while they are read.
 *
 * @module
 */

/** One request that is read or held. */
export interface Holder {
  /** How many bytes of it have been read, or may be by a pending read. */
  readonly bytesHeld: number;
}

/** Bounds the bytes that requests hold together. */
export class BufferBudget {
  readonly #maxBytes: number;
  /** All requests from their accept to their record, the oldest first. */
  readonly #holders = new Set<Holder>();
  #waiting = new Map<Holder, () => void>();
  #onRoom: (() => void) | undefined;

  /** @param maxBytes How many bytes may be held before reading pauses. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether there is room for more bytes. */
  get hasRoom(): boolean {
    let held = 0;
    for (const { bytesHeld } of this.#holders) held += bytesHeld;
    return held < this.#maxBytes;
  }

  /** @param callback Called when there is room again. */
  onRoom(callback: () => void): void {
    this.#onRoom = callback;
  }

  /** A request begins. */
  enter(holder: Holder): void {
    this.#holders.add(holder);
  }

  /** A request is over, and its bytes are free. */
  leave(holder: Holder): void {
    this.#holders.delete(holder);
    this.#waiting.delete(holder);
    const hasRoom = this.hasRoom;
    for (const waiting of Array.from(this.#waiting.keys())) {
      if (hasRoom || this.#isOldest(waiting)) this.#wake(waiting);
    }
    if (hasRoom) this.#onRoom?.();
  }

  /** Whether a request may read on. The oldest always may, or all might wait. */
  admits(holder: Holder): boolean {
    return this.hasRoom || this.#isOldest(holder);
  }

  /** Waits until a request may read on. */
  room(holder: Holder): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(holder, resolve));
  }

  #wake(holder: Holder): void {
    this.#waiting.get(holder)?.();
    this.#waiting.delete(holder);
  }

  #isOldest(holder: Holder): boolean {
    const [oldest] = this.#holders;
    return oldest === holder;
  }
}
