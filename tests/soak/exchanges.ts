// What clients ask, what must come back, and within which limits.

import type { TimeoutError } from "../../mod.ts";
import { Random } from "../harness/random.ts";

/** The limits of the server: long for a busy machine, short for a long run. */
export const limits = {
  maxRequestBytes: 2 * 1024 ** 2,
  deadline: 5_000,
  idleTimeout: 1_000,
  lingerTimeout: 2_000,
  /** All who behave fit in: more would have their connecting delayed. */
  tcpBacklog: 128,
};

/** The option whose limit a client is refused for. */
export type Refusal = "maxRequestBytes" | TimeoutError["option"];

export function refusal(option: Refusal): string {
  return `refused for its ${option}\n`;
}

/** Ends each answer: without it an empty one would look like none. */
export const END = 4;

/** What a client must be told, byte for byte. */
export interface Expected {
  readonly size: number;
  byteAt(index: number): number | undefined;
}

/** How a client ends its request. */
export interface Ending {
  /** What it sends last: nothing, or the delimiter. */
  readonly delimiter: Uint8Array;
  readonly halfCloses: boolean;
}

/** What ends requests besides the FIN: a delimiter, or the length in their heads. */
export type Until = { delimiter: string } | "length";

const byFin: Ending = { delimiter: new Uint8Array(), halfCloses: true };

/** Ends a request without a FIN. */
export function by(until: Until): Ending {
  const text = until === "length" ? "" : until.delimiter;
  return { delimiter: new TextEncoder().encode(text), halfCloses: false };
}

/** All bytes of a request have it set, so that no delimiter occurs in them. */
const HIGH_BIT = 0x80;

/** How many bytes a head has that tells a length. */
const HEAD = 10;
/** What four digits of the length are worth. */
const DIGIT = 128;

/** How long a request is, by its head. */
export function lengthIn(head: Uint8Array): number | undefined {
  if (head.length < HEAD) return undefined;
  const digits = head.subarray(HEAD - 4, HEAD);
  return digits.reduce((sum, digit) => sum * DIGIT + (digit & ~HIGH_BIT), 0);
}

/** Has the head of a request tell how long that is. */
export function tellLength(bytes: Uint8Array, length: number): void {
  for (let i = HEAD - 1; i >= HEAD - 4; i--) {
    bytes[i] = HIGH_BIT | length % DIGIT;
    length = Math.floor(length / DIGIT);
  }
}

/**
 * A request that no other exchange sends. Its first byte says how often it is to
 * come back, the next five number the exchange, the next four how long it is, the
 * others are noise.
 */
export class Request implements Expected {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly halfCloses: boolean;
  readonly #echoed: number;

  /**
   * @param number The number of the exchange.
   * @param size How many bytes it has before its delimiter.
   * @param times How often it is to come back, at most 127 times.
   */
  constructor(number: number, size: number, times: number, ending = byFin) {
    const { delimiter, halfCloses } = ending;
    this.halfCloses = halfCloses;
    this.bytes = new Uint8Array(size + delimiter.length);
    if (size > 0) {
      const from = Math.imul(number, 7_919) >>> 0;
      this.bytes.set(noise.subarray(from % NOISE_STARTS).subarray(0, size));
      for (let i = 0; i < 5; i++) {
        this.bytes[1 + i] = HIGH_BIT | number / 2 ** (7 * i);
      }
      this.bytes[0] = HIGH_BIT | times;
      tellLength(this.bytes, size);
    }
    this.bytes.set(delimiter, size);
    this.#echoed = this.bytes.length * times;
  }

  /** How often a request is to come back. */
  static timesOf([first = 0]: Uint8Array): number {
    return first & ~HIGH_BIT;
  }

  get size(): number {
    return this.#echoed + 1;
  }

  byteAt(index: number): number | undefined {
    return index < this.#echoed ? this.bytes[index % this.bytes.length] : END;
  }
}

/** The text of a refusal, as something to expect. */
export function expectRefusal(option: Refusal): Expected {
  const bytes = new TextEncoder().encode(refusal(option));
  return { size: bytes.length, byteAt: (index) => bytes[index] };
}

/** Numbers from 0 to 1 that depend on the two seeds alone. */
export function random(seed: number, number: number): () => number {
  const random = new Random(
    Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b),
  );
  return () => random.next();
}

/** It holds its head. */
const LEAST = HEAD;
const LARGEST = 1024 ** 2;
const NOISE_STARTS = 65_521;
const noise = new Uint8Array(LARGEST + NOISE_STARTS);
const draw = random(0, 0);
for (let i = 0; i < noise.length; i++) noise[i] = HIGH_BIT | draw() * 128;

/** What a client that behaves asks: mostly small, now and then large, or empty. */
export function drawRequest(
  number: number,
  draw: () => number,
  until: Until | undefined,
): Request {
  const kind = draw();
  if (kind < 0.01) return new Request(number, 0, 1);
  const largest = kind < 0.998 ? 4096 : LARGEST;
  const size = LEAST + Math.floor(draw() * (largest - LEAST + 1));
  const times = draw() < 0.9 ? 1 : 3;
  return new Request(number, size, times, drawEnding(draw, until));
}

/** Mostly the delimiter, if there is one; some half-close after it, or instead. */
function drawEnding(draw: () => number, until: Until | undefined): Ending {
  if (until === undefined) return byFin;
  const kind = draw();
  if (kind < 0.1) return byFin;
  return { ...by(until), halfCloses: kind < 0.2 };
}
