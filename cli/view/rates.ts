/**
 * How much happens in a second.
 *
 * @module
 */

/** What was done in some time, or in each second of it. */
export interface Traffic {
  /** How many exchanges ended. */
  exchanges: number;
  /** How many bytes of requests these had. */
  bytesIn: number;
  /** How many bytes of responses these had. */
  bytesOut: number;
}

/** What was done in a second, and which one it is. */
type Second = Traffic & { readonly number: number };

/** How many seconds a rate is the mean of. */
export const RATE_SECONDS = 10;
/** How many seconds are remembered. */
const REMEMBERED_SECONDS = 60;

/** Counts what is done in each of the last seconds. */
export class Rates {
  /** A ring: each second has its place. */
  readonly #seconds: Second[] = [];
  readonly #start: number;

  /** @param now The time, in milliseconds. */
  constructor(now: number) {
    this.#start = now;
  }

  /** Counts an exchange that has just ended. */
  add(now: number, bytesIn: number, bytesOut: number): void {
    const number = Math.floor(now / 1000);
    const place = number % REMEMBERED_SECONDS;
    let second = this.#seconds[place];
    if (second?.number !== number) {
      second = { number, exchanges: 0, bytesIn: 0, bytesOut: 0 };
      this.#seconds[place] = second;
    }
    second.exchanges++;
    second.bytesIn += bytesIn;
    second.bytesOut += bytesOut;
  }

  /** What is done in a second: the mean of the last {@linkcode RATE_SECONDS}. */
  perSecond(now: number): Traffic {
    const current = Math.floor(now / 1000);
    const first = current - RATE_SECONDS;
    const begin = Math.max(first * 1000, this.#start);
    const elapsed = Math.max((now - begin) / 1000, 1);
    const recent = this.#seconds.filter(({ number }) => number >= first);
    const rate = (what: keyof Traffic) =>
      recent.reduce((sum, second) => sum + second[what], 0) / elapsed;
    return {
      exchanges: rate("exchanges"),
      bytesIn: rate("bytesIn"),
      bytesOut: rate("bytesOut"),
    };
  }

  /** The exchanges of each of the last seconds that are over, the oldest first. */
  history(now: number, seconds: number): number[] {
    const current = Math.floor(now / 1000);
    const length = Math.min(seconds, REMEMBERED_SECONDS - 1);
    return Array.from({ length }, (_, i) => {
      const number = current - length + i;
      const second = this.#seconds[number % REMEMBERED_SECONDS];
      return second?.number === number ? second.exchanges : 0;
    });
  }
}
