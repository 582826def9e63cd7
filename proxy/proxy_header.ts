/**
 * The header of the PROXY protocol, in which a proxy tells for whom it speaks
 * ({@link https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt | specification}).
 *
 * @module
 */

import { crc32c } from "./crc32c.ts";
import { isIpv4, usualIpv6 } from "../shared/ip_address.ts";
import { printable } from "../shared/printable.ts";

/** How long a header may be. The longest that the protocol can express is 65551. */
export const MAX_HEADER_BYTES = 4096;
/** How long a header of version 1 may be, with its CR LF. */
const MAX_LINE_BYTES = 107;

/** The two ends of the connection that the proxy has accepted. */
export interface ProxiedEnds {
  /** The address of the client. */
  readonly remoteAddr: Deno.NetAddr | Deno.UnixAddr;
  /** The address that the client connected to. */
  readonly localAddr: Deno.NetAddr | Deno.UnixAddr;
}

/** A complete header. */
export interface ProxyHeader {
  /** How many bytes it takes. */
  readonly length: number;
  /**
   * For whom the proxy speaks. `undefined` if it speaks for itself, or cannot
   * tell: `LOCAL`, `UNKNOWN`, and what neither TCP nor Unix sockets have.
   */
  readonly ends: ProxiedEnds | undefined;
}

const decoder = new TextDecoder("latin1");
const utf8 = new TextDecoder();

/** What a header of version 1 begins with. */
const line = Uint8Array.from("PROXY ", (c) => c.charCodeAt(0));
/** What a header of version 2 begins with. */
const signature = Uint8Array.from(
  "\r\n\r\n\0\r\nQUIT\n",
  (c) => c.charCodeAt(0),
);

/**
 * Parses the header at the beginning of a connection, as far as it has come. It
 * looks at few bytes until the header is complete, so that it can be called again
 * whenever more has come.
 *
 * @param bytes All that has come so far. More than the header does no harm.
 * @returns The header, or `undefined` if more bytes are needed.
 * @throws {Deno.errors.InvalidData} If it is malformed, or there is none.
 */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader | undefined {
  if (beginsLike(bytes, line)) {
    return bytes.length < line.length ? undefined : parseLine(bytes);
  }
  if (beginsLike(bytes, signature)) {
    return bytes.length < signature.length ? undefined : parseBinary(bytes);
  }
  const begin = JSON.stringify(decoder.decode(bytes.subarray(0, 12)));
  throw malformed(
    `the connection begins with ${begin}. Have the proxy send a header, or ` +
      "switch `proxyProtocol` off.",
  );
}

/** The error of a header that cannot be understood. */
export function malformed(reason: string): Deno.errors.InvalidData {
  return new Deno.errors.InvalidData(
    `Malformed PROXY header: ${printable(reason)}`,
  );
}

/** Whether bytes begin like others, as far as both go. */
function beginsLike(bytes: Uint8Array, expected: Uint8Array): boolean {
  const length = Math.min(bytes.length, expected.length);
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== expected[i]) return false;
  }
  return true;
}

/** Parses version 1: a line of text. */
function parseLine(bytes: Uint8Array): ProxyHeader | undefined {
  // One of them is the CR, if there is still room for the LF after it.
  const room = bytes.subarray(0, MAX_LINE_BYTES - 1);
  const end = room.indexOf(0x0d);
  if (end < 0) {
    if (room.includes(0x0a)) throw malformed("its line lacks a CR before LF");
    if (room.length < MAX_LINE_BYTES - 1) return undefined;
    throw malformed(
      `its line is longer than the ${MAX_LINE_BYTES} bytes allowed`,
    );
  }
  const text = decoder.decode(bytes.subarray(0, end));
  if (text.includes("\n")) throw malformed("its line lacks a CR before LF");
  if (end + 1 === bytes.length) return undefined;
  if (bytes[end + 1] !== 0x0a) throw malformed("its line lacks an LF after CR");
  return { length: end + 2, ends: parseWords(text) };
}

function parseWords(text: string): ProxiedEnds | undefined {
  if (/^PROXY UNKNOWN(?: |$)/.test(text)) return undefined;
  const [, family, ...words] = text.split(" ");
  const [source = "", target = "", sourcePort = "", targetPort = ""] = words;
  if (words.length !== 4 || (family !== "TCP4" && family !== "TCP6")) {
    throw malformed(
      `${JSON.stringify(text)} is not "PROXY", "TCP4", "TCP6" or "UNKNOWN", ` +
        "two addresses and two ports, with single spaces between them",
    );
  }
  const hostname = family === "TCP4" ? ipv4Of : ipv6Of;
  return {
    remoteAddr: tcp(hostname(source), portOf(sourcePort)),
    localAddr: tcp(hostname(target), portOf(targetPort)),
  };
}

function ipv4Of(text: string): string {
  if (isIpv4(text)) return text;
  throw malformed(`${JSON.stringify(text)} is not an IPv4 address`);
}

function ipv6Of(text: string): string {
  const usual = usualIpv6(text);
  if (usual !== undefined) return usual;
  throw malformed(`${JSON.stringify(text)} is not an IPv6 address`);
}

function portOf(text: string): number {
  if (/^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535) {
    return Number(text);
  }
  throw malformed(`${JSON.stringify(text)} is not a port from 0 to 65535`);
}

function tcp(hostname: string, port: number): Deno.NetAddr {
  return { transport: "tcp", hostname, port };
}

/** A number of two bytes. */
function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) << 8 | (bytes[at + 1] ?? 0);
}

/** Where the parts of version 2 are. */
const COMMAND_AT = 12;
const FAMILY_AT = 13;
const LENGTH_AT = 14;
const ADDRESSES_AT = 16;

/** The size of an address in version 2, by family. A port takes two bytes more. */
const families = [
  { size: 0, port: 0 }, // unspecified
  { size: 4, port: 2 },
  { size: 16, port: 2 },
  { size: 108, port: 0 }, // AF_UNIX
] as const;

/** Parses version 2, which is binary. */
function parseBinary(bytes: Uint8Array): ProxyHeader | undefined {
  const command = bytes[COMMAND_AT];
  if (command === undefined) return undefined;
  if (command >> 4 !== 2) {
    throw malformed(`its version is ${command >> 4}, only 1 and 2 exist`);
  }
  if ((command & 0xf) > 1) {
    throw malformed(`its command is ${command & 0xf}, only 0 and 1 exist`);
  }
  if (bytes.length < ADDRESSES_AT) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = ADDRESSES_AT + view.getUint16(LENGTH_AT);
  if (length > MAX_HEADER_BYTES) {
    throw malformed(
      `it has ${length} bytes, more than the ${MAX_HEADER_BYTES} allowed`,
    );
  }
  if (bytes.length < length) return undefined;
  // Whatever else LOCAL brings is to be ignored.
  const isLocal = (command & 0xf) === 0;
  const ends = isLocal ? undefined : parseEnds(bytes.subarray(0, length));
  return { length, ends };
}

function parseEnds(header: Uint8Array): ProxiedEnds | undefined {
  const byte = header[FAMILY_AT] ?? 0;
  const protocol = byte & 0xf;
  const family = families[byte >> 4];
  if (!family || protocol > 2) {
    throw malformed(
      `its family and protocol are 0x${byte.toString(16).padStart(2, "0")}, ` +
        "which the standard does not know",
    );
  }
  if (family.size === 0 || protocol === 0) return undefined;
  const fieldsAt = ADDRESSES_AT + 2 * (family.size + family.port);
  if (header.length < fieldsAt) {
    throw malformed(
      `its ${header.length} bytes are too few for its addresses, which end ` +
        `after ${fieldsAt}`,
    );
  }
  checkFields(header, fieldsAt);
  // The ends of datagrams are not those of a connection.
  if (protocol === 2) return undefined;
  const sourceAt = ADDRESSES_AT;
  const targetAt = sourceAt + family.size;
  const portsAt = targetAt + family.size;
  const at = (start: number, portAt: number) => {
    const address = header.subarray(start, start + family.size);
    if (family.size === 108) return unix(address);
    const hostname = family.size === 4 ? address.join(".") : ipv6Of(
      Array.from({ length: 8 }, (_, i) => wordAt(address, 2 * i).toString(16))
        .join(":"),
    );
    return tcp(hostname, wordAt(header, portAt));
  };
  return {
    remoteAddr: at(sourceAt, portsAt),
    localAddr: at(targetAt, portsAt + 2),
  };
}

/** Without a path, as an abstract name is, it is the same as with Deno. */
function unix(address: Uint8Array): Deno.UnixAddr {
  const end = address.indexOf(0);
  const path = utf8.decode(end < 0 ? address : address.subarray(0, end));
  return { transport: "unix", path: path || null as unknown as string };
}

/** The type of the field with the checksum of the header. */
const CRC32C = 0x03;

/** Walks over the fields after the addresses, and verifies the checksum. */
function checkFields(header: Uint8Array, start: number): void {
  let checksumAt: number | undefined;
  for (let at = start; at < header.length;) {
    const size = wordAt(header, at + 1);
    const end = at + 3 + size;
    if (end > header.length) {
      throw malformed("its last field ends after the header");
    }
    if (header[at] === CRC32C) {
      if (size !== 4 || checksumAt !== undefined) {
        throw malformed("it must have one checksum of 4 bytes at most");
      }
      checksumAt = at + 3;
    }
    at = end;
  }
  if (checksumAt !== undefined) verify(header, checksumAt);
}

function verify(header: Uint8Array, at: number): void {
  const blank = header.slice();
  blank.fill(0, at, at + 4);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const expected = view.getUint32(at);
  const actual = crc32c(blank);
  if (actual === expected) return;
  throw malformed(`its checksum is ${hex(expected)}, expected ${hex(actual)}`);
}

function hex(checksum: number): string {
  return `0x${checksum.toString(16).padStart(8, "0")}`;
}
