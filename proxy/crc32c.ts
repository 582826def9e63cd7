/**
 * The checksum CRC32c.
 *
 * @module
 */

/** The polynomial, with its bits in reverse. */
const POLYNOMIAL = 0x82f6_3b78;

/** What each byte adds. It is made when it is first needed. */
let table: Uint32Array | undefined;

/**
 * Calculates the CRC32c of bytes
 * ({@link https://www.rfc-editor.org/rfc/rfc4960#appendix-B | RFC 4960, appendix B}).
 *
 * @param bytes The bytes.
 * @returns The checksum, as an unsigned number.
 */
export function crc32c(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => remainderOf(byte));
  let remainder = 0xffff_ffff;
  for (const byte of bytes) {
    remainder = remainder >>> 8 ^ (table[(remainder ^ byte) & 0xff] ?? 0);
  }
  return ~remainder >>> 0;
}

function remainderOf(byte: number): number {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = remainder & 1;
    remainder = isOdd ? remainder >>> 1 ^ POLYNOMIAL : remainder >>> 1;
  }
  return remainder;
}
