// Bytes to send, and to compare.

import { assert } from "@std/assert";
import { Buffer } from "node:buffer";

export function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Bytes whose order matters. */
export function pattern(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

export function areSame(actual: Uint8Array, expected: Uint8Array): boolean {
  return Buffer.compare(actual, expected) === 0;
}

/** Checks for equality without a report, which is of no use for so many bytes. */
export function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert(
    areSame(actual, expected),
    `${expected.length} bytes were expected, ${actual.length} others came`,
  );
}
