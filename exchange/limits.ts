/**
 * The limits of time of one exchange: its deadline, and the silence of its peer.
 *
 * @module
 */

import { TimeoutError } from "./errors.ts";

/** How long a silent peer gets to prove that it was our event loop that slept. */
const DOUBT_MS = 10;

/** The limits of time, in milliseconds. */
export interface TimeLimits {
  /** How long the whole exchange may take. */
  readonly deadline: number;
  /** How long a read or a write may wait without progress. */
  readonly idleTimeout: number;
}

/** Keeps count of the time that an exchange takes and of what it waits for. */
export class Limits {
  readonly #limits: TimeLimits;
  readonly #started = performance.now();
  /** Reads and writes that are pending, and since when none of them has moved. */
  #reads = 0;
  #writes = 0;
  #silentSince = 0;
  /** The beginning of a silence that was seen once already. */
  #doubtedSince = -1;

  constructor(limits: TimeLimits) {
    this.#limits = limits;
  }

  /** How long the exchange has taken until now, in milliseconds. */
  get elapsed(): number {
    return performance.now() - this.#started;
  }

  get isReading(): boolean {
    return this.#reads > 0;
  }

  get isWriting(): boolean {
    return this.#writes > 0;
  }

  readBegins(): void {
    this.#waitBegins();
    this.#reads++;
  }

  readEnds(): void {
    this.#reads--;
    this.progress();
  }

  writeBegins(): void {
    this.#waitBegins();
    this.#writes++;
  }

  writeEnds(): void {
    this.#writes--;
    this.progress();
  }

  /** Called as bytes move: whatever else is pending is not silent either. */
  progress(): void {
    if (this.#reads + this.#writes > 0) this.#silentSince = performance.now();
  }

  /**
   * Checks the limits.
   *
   * @param now The time, as `performance.now()` tells it.
   * @param isOver Whether there is no more to wait for from the peer.
   * @returns The error of a limit that has passed, or the time at which to check
   * again.
   */
  check(now: number, isOver: boolean): TimeoutError | number {
    const { deadline, idleTimeout } = this.#limits;
    const deadlineAt = this.#started + deadline;
    if (now >= deadlineAt) return new TimeoutError("deadline", deadline);
    if (isOver || this.#reads + this.#writes === 0) {
      return Math.min(deadlineAt, now + idleTimeout);
    }
    const idleAt = this.#silentSince + idleTimeout;
    if (now < idleAt) return Math.min(deadlineAt, idleAt);
    // Timers come before I/O: after a pause of our own event loop, what the
    // peer sent meanwhile is only seen after this.
    if (this.#doubtedSince !== this.#silentSince) {
      this.#doubtedSince = this.#silentSince;
      return Math.min(deadlineAt, now + DOUBT_MS);
    }
    return new TimeoutError("idleTimeout", idleTimeout);
  }

  /** Silence is counted from the first of the reads and writes that are pending. */
  #waitBegins(): void {
    if (this.#reads + this.#writes === 0) this.#silentSince = performance.now();
  }
}
