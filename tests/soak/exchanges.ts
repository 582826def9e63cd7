// What clients ask, what must come back, and within which limits.

import { Random } from "../proofs/random.ts";

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
export type Refusal = "maxRequestBytes" | "deadline" | "idleTimeout";

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

/**
 * A request that no other exchange sends. Its first byte says how often it is to
 * come back, the next four number the exchange, the others are noise.
 */
export class Request implements Expected {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #echoed: number;

  constructor(number: number, size: number, times: number) {
    this.bytes = new Uint8Array(size);
    if (size > 0) {
      const from = Math.imul(number, 7_919) >>> 0;
      this.bytes.set(noise.subarray(from % NOISE_STARTS).subarray(0, size));
      new DataView(this.bytes.buffer).setUint32(1, number);
      this.bytes[0] = times;
    }
    this.#echoed = size * times;
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

const LARGEST = 1024 ** 2;
const NOISE_STARTS = 65_521;
const noise = new Uint8Array(LARGEST + NOISE_STARTS);
const draw = random(0, 0);
for (let i = 0; i < noise.length; i++) noise[i] = draw() * 256;

/** What a client that behaves asks: mostly small, now and then large, or empty. */
export function drawRequest(number: number, draw: () => number): Request {
  const kind = draw();
  if (kind < 0.01) return new Request(number, 0, 1);
  const largest = kind < 0.998 ? 4096 : LARGEST;
  const size = 5 + Math.floor(draw() * (largest - 4));
  return new Request(number, size, draw() < 0.9 ? 1 : 3);
}
