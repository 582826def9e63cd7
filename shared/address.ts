/**
 * Addresses: their usual form, and how they are written.
 *
 * @module
 */

/** An IPv4 address as a socket for both IPv4 and IPv6 has it. */
const mapped = /^::ffff:(?=\d+\.)/;

/**
 * An address whose host, if it is an IPv4 address in the form of IPv6, is a plain
 * IPv4 address: a socket that listens on `::` has clients of both.
 *
 * @param addr The address.
 * @returns The same object, unless its host has another form.
 */
export function unmapped<Addr extends Deno.Addr>(addr: Addr): Addr {
  if (addr.transport !== "tcp" || !mapped.test(addr.hostname)) return addr;
  return { ...addr, hostname: addr.hostname.replace(mapped, "") };
}

/**
 * A host and a port as one writes them: an IPv6 address has brackets.
 *
 * @param hostname A name, or an address with or without brackets.
 * @param port The port.
 * @returns Both, with a colon between them.
 */
export function hostPort(
  hostname: string,
  port: number | string | undefined,
): string {
  const isBare = hostname.includes(":") && !hostname.startsWith("[");
  return isBare ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
