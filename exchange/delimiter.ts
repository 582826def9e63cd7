/**
 * Finding the delimiter that ends a request.
 *
 * @module
 */

import type { EndSearch } from "./end_search.ts";

/** A delimiter, prepared for searching. One serves all requests. */
export class Delimiter {
  readonly bytes: Uint8Array;
  /**
   * For each number of bytes that match: how many of them still match when the
   * next byte does not (Knuth, Morris and Pratt).
   */
  readonly fallbacks: Uint32Array;

  /** @param bytes The delimiter, at least one byte. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.fallbacks = new Uint32Array(bytes.length + 1);
    let matched = 0;
    for (let i = 1; i < bytes.length; i++) {
      while (matched > 0 && bytes[i] !== bytes[matched]) {
        matched = this.fallbacks[matched] ?? 0;
      }
      if (bytes[i] === bytes[matched]) matched++;
      this.fallbacks[i + 1] = matched;
    }
  }
}

/**
 * The search for a delimiter in one request, which arrives in chunks. It looks at
 * each byte a bounded number of times, and keeps no byte.
 */
export class DelimiterSearch implements EndSearch {
  readonly end = "delimiter";
  readonly #delimiter: Delimiter;
  /** How many bytes of the delimiter the request ends with by now. */
  #matched = 0;

  constructor(delimiter: Delimiter) {
    this.#delimiter = delimiter;
  }

  endIn(chunk: Uint8Array): number | undefined {
    const { bytes, fallbacks } = this.#delimiter;
    const first = bytes[0] ?? 0;
    let matched = this.#matched;
    for (let i = 0; i < chunk.length; i++) {
      if (matched === 0) {
        // By far the most bytes are passed over natively.
        i = chunk.indexOf(first, i);
        if (i < 0) break;
      }
      const byte = chunk[i];
      while (matched > 0 && byte !== bytes[matched]) {
        matched = fallbacks[matched] ?? 0;
      }
      if (byte === bytes[matched]) matched++;
      if (matched === bytes.length) return i + 1;
    }
    this.#matched = matched;
    return undefined;
  }
}
