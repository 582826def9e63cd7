/**
 * Who looks after the limits of time.
 *
 * @module
 */

import { type Exchange, MAX_TIMER_MS } from "../exchange.ts";

/**
 * Keeps an exchange to its limits with one timer for all exchanges. Setting a
 * timer for each would cost more than the exchange does, so the timer is left to
 * run out, and whoever it then finds is asked when to look again.
 */
export class Watchdog {
  /** No limit can pass sooner than this after an exchange began. */
  readonly #shortestLimit: number;
  #exchange: Exchange<Deno.Addr> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #breath: ReturnType<typeof setImmediate> | undefined;
  #referenced = true;

  /** @param shortestLimit The shortest of the limits, in milliseconds. */
  constructor(shortestLimit: number) {
    this.#shortestLimit = shortestLimit;
  }

  watch(exchange: Exchange<Deno.Addr>): void {
    this.#exchange = exchange;
    if (this.#timer === undefined && this.#breath === undefined) {
      this.#lookAgainIn(this.#shortestLimit);
    }
  }

  unwatch(): void {
    this.#exchange = undefined;
  }

  stop(): void {
    this.#exchange = undefined;
    clearTimeout(this.#timer);
    clearImmediate(this.#breath);
    this.#timer = this.#breath = undefined;
  }

  ref(): void {
    this.#referenced = true;
    if (this.#timer !== undefined) Deno.refTimer(this.#timer);
  }

  unref(): void {
    this.#referenced = false;
    if (this.#timer !== undefined) Deno.unrefTimer(this.#timer);
  }

  #lookAgainIn(milliseconds: number): void {
    if (milliseconds === Infinity) return;
    this.#timer = setTimeout(
      () => this.#look(),
      Math.min(Math.max(Math.ceil(milliseconds), 1), MAX_TIMER_MS),
    );
    if (!this.#referenced) this.unref();
  }

  #look(): void {
    this.#timer = undefined;
    if (!this.#exchange) return;
    const now = performance.now();
    const wait = this.#exchange.expire(now) - now;
    // Timers set by timers may all run before I/O does: after a pause of our own
    // event loop, what peers did meanwhile must be seen before the next look.
    this.#breath = setImmediate(() => {
      this.#breath = undefined;
      // Another exchange may have begun meanwhile.
      if (this.#exchange) {
        this.#lookAgainIn(Math.min(wait, this.#shortestLimit));
      }
    });
  }
}
