/**
 * How long a connection may linger.
 *
 * @module
 */

import { startTimer } from "../shared/timer.ts";

/** How long a connection may linger in all, as in nginx and Apache. */
const MAX_LINGER_MS = 30_000;

/** How long a check waits to see if our own event loop was blocked. */
const DOUBT_MS = 10;

/** Ends a lingering close: after a silence of the client, or as it takes too long. */
export class LingerTimer {
  readonly #timeout: number;
  readonly #lastRead: () => number;
  readonly #end: () => void;
  readonly #startedAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The start of a silence that an earlier check has found. */
  #doubtedSince = -1;

  /**
   * @param timeout How long the client may be silent, in milliseconds. The whole
   * may take 30 s, or as long as this if it is longer.
   * @param lastRead Tells when bytes of the client were read last.
   * @param end Called when the connection must not linger any longer.
   */
  constructor(timeout: number, lastRead: () => number, end: () => void) {
    this.#timeout = timeout;
    this.#lastRead = lastRead;
    this.#end = end;
    this.#timer = startTimer(this.#check, timeout);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  readonly #check = (): void => {
    const now = performance.now();
    const endsAt = this.#startedAt + Math.max(this.#timeout, MAX_LINGER_MS);
    const silentSince = Math.max(this.#startedAt, this.#lastRead());
    let next = Math.min(silentSince + this.#timeout, endsAt);
    if (now >= next) {
      // Timers run before I/O: what the client sent while our event loop was
      // blocked is only seen after this check.
      if (now >= endsAt || this.#doubtedSince === silentSince) {
        return this.#end();
      }
      this.#doubtedSince = silentSince;
      next = now + DOUBT_MS;
    }
    this.#timer = startTimer(this.#check, next - now);
  };
}
