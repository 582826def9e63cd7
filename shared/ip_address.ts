/**
 * IP addresses as text.
 *
 * @module
 */

/** Whether text is an IPv4 address. Leading zeros would be octal for some. */
export function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 &&
    parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && +part <= 255);
}

/**
 * The usual form of an IPv6 address
 * ({@link https://www.rfc-editor.org/rfc/rfc5952#section-4 | RFC 5952, section 4}),
 * or that of the IPv4 address which it stands for.
 *
 * @param text The address in any form.
 * @returns Its usual form, or `undefined` if `text` is no such address.
 */
export function usualIpv6(text: string): string | undefined {
  const host = /^[\da-f:.]+$/i.test(text)
    ? URL.parse(`http://[${text}]`)?.hostname.slice(1, -1)
    : undefined;
  const [, ...groups] = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(host ?? "") ?? [];
  if (groups.length === 0) return host;
  const numbers = groups.map((group) => parseInt(group, 16));
  return numbers.flatMap((group) => [group >> 8, group & 0xff]).join(".");
}
