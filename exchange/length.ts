/**
 * Finding the length of a request in its head.
 *
 * @module
 */

import { RequestTooLargeError } from "../shared/errors.ts";
import { quietly } from "../shared/quiet.ts";
import { inspected, isOf } from "../shared/thrown.ts";
import type { EndSearch } from "./end_search.ts";

/** From how much of a request its length must be told, in bytes. */
const HEAD_BYTES = 16_384;

/** Tells from the head of a request how long all of it is, once it can. */
export type LengthOf = (head: Uint8Array<ArrayBuffer>) => number | undefined;

/** The search for the end of one request whose head tells its length. */
export class LengthSearch implements EndSearch {
  readonly end = "length";
  readonly #lengthOf: LengthOf;
  /** What has come of the head, in a buffer that holds nothing else. */
  #head: Uint8Array<ArrayBuffer> | undefined;
  /** How many bytes have come. */
  #size = 0;
  /** How long the request is, once its head has told. */
  #length: number | undefined;

  constructor(lengthOf: LengthOf) {
    this.#lengthOf = lengthOf;
  }

  get missing(): string | undefined {
    if (this.#size === 0) return undefined;
    return this.#length === undefined
      ? `after ${this.#size} bytes, from which \`until\` cannot tell its length`
      : `after ${this.#size} of its ${this.#length} bytes`;
  }

  endIn(chunk: Uint8Array): number | undefined {
    const before = this.#size;
    this.#size += chunk.length;
    if (this.#length === undefined) {
      this.#length = this.#ask(this.#gather(chunk, before));
      if (this.#length === undefined) return undefined;
      this.#head = undefined;
    }
    return this.#length <= this.#size ? this.#length - before : undefined;
  }

  excess(maxRequestBytes: number): RequestTooLargeError | undefined {
    if (this.#length === undefined) {
      return this.#size < HEAD_BYTES
        ? undefined
        : new RequestTooLargeError(HEAD_BYTES, "head");
    }
    return this.#length > maxRequestBytes
      ? new RequestTooLargeError(maxRequestBytes)
      : undefined;
  }

  /** The head with the next chunk. Mostly the first chunk holds all of it. */
  #gather(chunk: Uint8Array, before: number): Uint8Array<ArrayBuffer> {
    if (before === 0) return this.#head = new Uint8Array(firstOf(chunk));
    let head = this.#head;
    if (!head || head.buffer.byteLength < HEAD_BYTES) {
      head = new Uint8Array(HEAD_BYTES);
      head.set(this.#head ?? []);
      this.#head = head;
    }
    head.set(firstOf(chunk, HEAD_BYTES - before), before);
    return head.subarray(0, this.#size);
  }

  /** Has the caller's code tell the length. */
  #ask(head: Uint8Array<ArrayBuffer>): number | undefined {
    const length: unknown = this.#lengthOf(head);
    if (length === undefined) return undefined;
    if (Number.isInteger(length) && Number(length) > 0) return Number(length);
    // Nobody awaits it.
    if (isOf(length, Promise)) quietly(length);
    throw new RangeError(
      "Cannot read the request: `until` must return at once how long it is, a " +
        "whole number from 1, or undefined while that cannot be told, received " +
        inspected(length),
    );
  }
}

function firstOf(chunk: Uint8Array, size = HEAD_BYTES): Uint8Array {
  return chunk.subarray(0, size);
}
