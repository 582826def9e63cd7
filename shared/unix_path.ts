/**
 * Paths of Unix sockets.
 *
 * @module
 */

/**
 * Whether a path is how other programs write the name of an abstract socket, which
 * is in no folder: after an `@`, or after a zero byte.
 */
export function isAbstract(path: string): boolean {
  return /^[@\0]/.test(path);
}

/** Why an abstract socket cannot be had, and what to do, to follow a colon. */
export function noAbstractSockets(path: string): string {
  return "Deno has no abstract sockets. Give the path of a socket in a folder, " +
    `such as "./${path.replace(/^\0/, "@")}" or "/run/name.sock"`;
}
