/**
 * The memory that all requests of one listener may take while they are read.
 *
 * @module
 */

/** Bounds the bytes that requests hold together. */
export class BufferBudget {
  readonly #maxBytes: number;
  /** What each request holds, from accept to record, the oldest first. */
  readonly #holders = new Map<object, number>();
  readonly #waiting = new Map<object, () => void>();
  #held = 0;
  #onRoom: (() => void) | undefined;

  /** @param maxBytes How many bytes may be held before reading pauses. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether there is room for more bytes. */
  get hasRoom(): boolean {
    return this.#held < this.#maxBytes;
  }

  /** @param callback Called when there is room again. */
  onRoom(callback: () => void): void {
    this.#onRoom = callback;
  }

  /** A request begins. */
  enter(holder: object): void {
    this.#holders.set(holder, 0);
  }

  /**
   * Tells how much a request holds.
   *
   * @param bytes How many were read, with those that a pending read may bring.
   */
  hold(holder: object, bytes: number): void {
    const before = this.#holders.get(holder);
    // A read may end after its exchange.
    if (before === undefined) return;
    this.#holders.set(holder, bytes);
    this.#held += bytes - before;
  }

  /** A request is over, and its bytes are free. */
  leave(holder: object): void {
    this.hold(holder, 0);
    this.#holders.delete(holder);
    this.#waiting.delete(holder);
    const hasRoom = this.hasRoom;
    for (const waiting of Array.from(this.#waiting.keys())) {
      if (hasRoom || this.#isOldest(waiting)) this.#wake(waiting);
    }
    if (hasRoom) this.#onRoom?.();
  }

  /** Whether a request may read on. The oldest always may, or all might wait. */
  admits(holder: object): boolean {
    return this.hasRoom || this.#isOldest(holder);
  }

  /** Waits until a request may read on. */
  room(holder: object): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(holder, resolve));
  }

  #wake(holder: object): void {
    this.#waiting.get(holder)?.();
    this.#waiting.delete(holder);
  }

  #isOldest(holder: object): boolean {
    const [oldest] = this.#holders.keys();
    return oldest === holder;
  }
}
