// Headers of the PROXY protocol, byte by byte.

/** What version 2 begins with. */
export const signature = [
  ...[0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d],
  ...[0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a],
];

/** A field after the addresses. */
export interface Field {
  type: number;
  value: ArrayLike<number>;
}

/** A header of version 2, right unless told otherwise. */
export interface BinaryHeader {
  /** The version and the command: 0x21 for a client, 0x20 for the proxy itself. */
  command?: number;
  /** The family and the protocol: 0x11 for TCP over IPv4. */
  family?: number;
  addresses?: ArrayLike<number>;
  fields?: readonly Field[];
  /** What it says of its length. */
  length?: number;
}

/** The bytes of text in ASCII. */
export function ascii(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** The bytes of a header of version 2. */
export function binary(
  { command = 0x21, family = 0x11, addresses = [], fields = [], length }:
    BinaryHeader,
): Uint8Array<ArrayBuffer> {
  const block = [
    ...Array.from(addresses),
    ...fields.flatMap(({ type, value }) => [
      type,
      ...uint16(value.length),
      ...Array.from(value),
    ]),
  ];
  return Uint8Array.from([
    ...signature,
    command,
    family,
    ...uint16(length ?? block.length),
    ...block,
  ]);
}

/** As `binary()`, with the right checksum as its last field. */
export function withChecksum(header: BinaryHeader): Uint8Array<ArrayBuffer> {
  const fields = [...header.fields ?? [], { type: 3, value: [0, 0, 0, 0] }];
  const bytes = binary({ ...header, fields });
  new DataView(bytes.buffer).setUint32(bytes.length - 4, slowCrc32c(bytes));
  return bytes;
}

/** CRC32c, bit by bit, as its definition has it. */
export function slowCrc32c(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) {
    remainder ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = remainder & 1;
      remainder >>>= 1;
      if (isOdd) remainder ^= 0x82f63b78;
    }
  }
  return (remainder ^ 0xffffffff) >>> 0;
}

/** Two IPv4 addresses and their ports, as version 2 has them. */
export function ipv4Pair(
  [source, sourcePort]: [number[], number],
  [target, targetPort]: [number[], number],
): number[] {
  return [...source, ...target, ...uint16(sourcePort), ...uint16(targetPort)];
}

export function uint16(value: number): [high: number, low: number] {
  return [value >> 8 & 0xff, value & 0xff];
}

/** A header, and what follows it in the same segment. */
export function followedBy(
  header: Uint8Array,
  text: string,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([...header, ...ascii(text)]);
}
