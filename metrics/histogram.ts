/**
 * How often values of which size were seen.
 *
 * @module
 */

import { exposeNumber, type Sample } from "./exposition.ts";

/** Counts values in buckets. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** How many values were in each bucket, and in none of the lower ones. */
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds The upper bounds of the buckets, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = [...bounds, Infinity];
    this.#counts = this.#bounds.map(() => 0);
  }

  /** Counts a value. */
  add(value: number): void {
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  /** All of it, as samples of a family. */
  samples(): Sample[] {
    let count = 0;
    const buckets = this.#bounds.map((bound, i) => ({
      suffix: "_bucket",
      labels: { le: exposeNumber(bound) },
      value: count += this.#counts[i] ?? 0,
    }));
    return [
      ...buckets,
      { suffix: "_sum", value: this.#sum },
      { suffix: "_count", value: count },
    ];
  }
}
