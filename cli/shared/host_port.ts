/**
 * Addresses on TCP as the command line has them.
 *
 * @module
 */

/** A host and a port. */
export interface HostPort {
  readonly hostname: string;
  readonly port: number;
}

/**
 * Reads `HOST:PORT` or `[IPV6]:PORT`.
 *
 * @param text What is written.
 * @returns What it means, or `undefined` if that is nothing.
 */
export function readHostPort(text: string): HostPort | undefined {
  const [, bracketed, plain, digits] =
    /^(?:\[([\da-f:.]+(?:%[^\]\s]+)?)\]|([^\s:/[\]]+)):(\d{1,5})$/i.exec(
      text,
    ) ?? [];
  const hostname = bracketed ?? plain;
  const port = Number(digits);
  return hostname === undefined || port > 65_535
    ? undefined
    : { hostname, port };
}
