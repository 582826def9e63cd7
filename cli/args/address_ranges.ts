/**
 * Ranges of IP addresses, as `--allow` takes them.
 *
 * @module
 */

import { isIpv4, usualIpv6 } from "../../shared/ip_address.ts";

/** An address as a number, and how many bits it has. */
interface Address {
  readonly number: bigint;
  readonly bits: 32 | 128;
}

/** All addresses that begin with the same bits. */
interface Range extends Address {
  /** How many bits are the same. */
  readonly prefix: number;
}

/** Some ranges of addresses. */
export class AddressRanges {
  readonly #text: string;
  readonly #ranges: readonly Range[];

  private constructor(text: string, ranges: readonly Range[]) {
    this.#text = text;
    this.#ranges = ranges;
  }

  /**
   * Reads ranges such as `10.0.0.0/8,2001:db8::/32,192.0.2.1`.
   *
   * @param text The ranges, with commas between them.
   * @returns The ranges, or `undefined` if one is wrong.
   */
  static read(text: string): AddressRanges | undefined {
    const ranges = text.split(",").map(readRange);
    if (!ranges.every((range) => range !== undefined)) return undefined;
    return ranges.some(hasHostBits)
      ? undefined
      : new AddressRanges(text, ranges);
  }

  /**
   * What is wrong with ranges that cannot be read, to follow what was received.
   *
   * @param text The ranges.
   */
  static explain(text: string): string {
    for (const one of text.split(",")) {
      const range = readRange(one);
      if (!range) return `: "${one}" is neither an address nor a range`;
      if (!hasHostBits(range)) continue;
      return `: the range of ${one} is written ${written(range)}`;
    }
    return "";
  }

  /** Whether an address is in one of them. One that is no IP address is not. */
  has(addr: Deno.Addr): boolean {
    if (addr.transport !== "tcp") return false;
    const address = readAddress(addr.hostname.replace(/%.*/, ""));
    return address !== undefined &&
      this.#ranges.some((range) => contains(range, address));
  }

  toString(): string {
    return this.#text;
  }
}

function readRange(text: string): Range | undefined {
  const [, host = "", given] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ??
    [];
  const address = readAddress(host);
  if (!address) return undefined;
  const { bits } = address;
  if (given === undefined) return { ...address, prefix: bits };
  // An IPv4 address in the form of IPv6 has its bits behind 96 others.
  const prefix = Number(given) - (host.includes(":") && bits === 32 ? 96 : 0);
  return prefix < 0 || prefix > bits ? undefined : { ...address, prefix };
}

function readAddress(text: string): Address | undefined {
  const usual = isIpv4(text) ? text : usualIpv6(text);
  if (usual === undefined) return undefined;
  if (isIpv4(usual)) {
    return { number: joined(usual.split(".").map(Number), 8n), bits: 32 };
  }
  const [before = [], after = []] = usual.split("::").map((groups) =>
    groups.split(":").filter(Boolean).map((group) => parseInt(group, 16))
  );
  const zeros = Array(8 - before.length - after.length).fill(0);
  return { number: joined([...before, ...zeros, ...after], 16n), bits: 128 };
}

function joined(parts: number[], bits: bigint): bigint {
  return parts.reduce((number, part) => number << bits | BigInt(part), 0n);
}

function contains({ number, bits, prefix }: Range, address: Address): boolean {
  return address.bits === bits &&
    (address.number ^ number) >> BigInt(bits - prefix) === 0n;
}

/** The part of a range that its addresses do not have in common. */
function hostBits({ number, bits, prefix }: Range): bigint {
  return BigInt.asUintN(bits - prefix, number);
}

function hasHostBits(range: Range): boolean {
  return hostBits(range) !== 0n;
}

/** A range as one writes it. */
function written(range: Range): string {
  const { number, bits, prefix } = range;
  const first = number - hostBits(range);
  const parts = (count: number, width: number) =>
    Array.from(
      { length: count },
      (_, i) => BigInt.asUintN(width, first >> BigInt(width * (count - 1 - i))),
    );
  const host = bits === 32
    ? parts(4, 8).join(".")
    : usualIpv6(parts(8, 16).map((group) => group.toString(16)).join(":"));
  return `${host}/${prefix}`;
}
