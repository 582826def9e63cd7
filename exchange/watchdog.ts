/**
 * One timer that enforces the time limits of all exchanges.
 *
 * @module
 */

import { startTimer } from "../shared/timer.ts";

/** Something with time limits. */
export interface Watched {
  /**
   * Cuts itself short if a time limit has passed.
   *
   * @param now The time, from `performance.now()`.
   * @returns When to check again.
   */
  expire(now: number): number;
}

/**
 * Checks the limits of all exchanges with a single timer. A timer for each
 * exchange would cost more than the exchange itself. So this one is left to
 * fire, and the exchanges then under way say when to check again.
 */
export class Watchdog {
  readonly #watched: readonly Watched[];
  /** No limit can pass sooner than this after the start of an exchange. */
  readonly #shortestLimit: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #immediate: ReturnType<typeof setImmediate> | undefined;
  #referenced = true;

  /**
   * @param watched The exchanges that are under way.
   * @param shortestLimit The shortest of their limits, in milliseconds.
   */
  constructor(watched: readonly Watched[], shortestLimit: number) {
    this.#watched = watched;
    this.#shortestLimit = shortestLimit;
  }

  /** Makes sure that a timer is running. Called when an exchange begins. */
  wake(): void {
    if (this.#timer === undefined && this.#immediate === undefined) {
      this.#checkIn(this.#shortestLimit);
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = this.#immediate = undefined;
  }

  ref(): void {
    this.#referenced = true;
    if (this.#timer !== undefined) Deno.refTimer(this.#timer);
  }

  unref(): void {
    this.#referenced = false;
    if (this.#timer !== undefined) Deno.unrefTimer(this.#timer);
  }

  #checkIn(milliseconds: number): void {
    const wait = Math.max(Math.ceil(milliseconds), 1);
    this.#timer = startTimer(() => this.#check(), wait);
    if (!this.#referenced) this.unref();
  }

  #check(): void {
    this.#timer = undefined;
    if (this.#watched.length === 0) return;
    const now = performance.now();
    let next = Infinity;
    // One that is cut may end others at once.
    for (const one of [...this.#watched]) {
      next = Math.min(next, one.expire(now));
    }
    // Timers set by timers may run before I/O. If our event loop was blocked,
    // what peers did meanwhile must be seen before the next check.
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      // Another exchange may have begun meanwhile.
      if (this.#watched.length > 0) {
        this.#checkIn(Math.min(next - now, this.#shortestLimit));
      }
    });
  }
}
