/**
 * IP addresses as bytes and as text.
 *
 * @module
 */

/** The text of an IPv4 address, which is four bytes. */
export function ipv4Text(bytes: Uint8Array): string {
  return bytes.join(".");
}

/**
 * The text of an IPv6 address, which is sixteen bytes, as Deno writes it
 * ({@link https://www.rfc-editor.org/rfc/rfc5952#section-4 | RFC 5952, section 4}).
 */
export function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, i) => (bytes[2 * i] ?? 0) << 8 | (bytes[2 * i + 1] ?? 0),
  );
  const isMapped = groups[5] === 0xffff &&
    groups.slice(0, 5).every((group) => group === 0);
  if (isMapped) return `::ffff:${ipv4Text(bytes.subarray(12))}`;
  const { start, length } = longestZeros(groups);
  const text = (part: number[]) =>
    part.map((group) => group.toString(16)).join(":");
  return length < 2
    ? text(groups)
    : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

/** The bytes of an IPv4 address, or `undefined` if `text` is none. */
export function parseIpv4(text: string): Uint8Array | undefined {
  if (!/^(?:\d{1,3}\.){3}\d{1,3}$/.test(text)) return undefined;
  const parts = text.split(".");
  // Leading zeros would be octal for some.
  const isWrong = parts.some((part) =>
    Number(part) > 255 || (part.length > 1 && part.startsWith("0"))
  );
  return isWrong ? undefined : Uint8Array.from(parts, Number);
}

/** The bytes of an IPv6 address, or `undefined` if `text` is none. */
export function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map((half, i) =>
    parseGroups(half, i === halves.length - 1)
  );
  if (!before) return undefined;
  if (halves.length === 1) {
    return before.length === 16 ? Uint8Array.from(before) : undefined;
  }
  // The "::" stands for at least one group.
  if (!after || before.length + after.length > 14) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(before);
  bytes.set(after, 16 - after.length);
  return bytes;
}

/** The bytes of groups between colons. The last may be an IPv4 address. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    const ipv4 = isLast && i === groups.length - 1 && parseIpv4(group);
    if (ipv4) bytes.push(...ipv4);
    else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return undefined;
  }
  return bytes;
}

/** Where the longest run of zeros is, the first of equal ones. */
function longestZeros(groups: number[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > longest.length) longest = { start, length: end - start };
    start = end;
  }
  return longest;
}
