/**
 * Which flags exclude or need each other.
 *
 * @module
 */

import type { ServeOptions } from "../../server.ts";
import { isAbstract, noAbstractSockets } from "../../shared/unix_path.ts";
import type { ServeFlags } from "./flags.ts";
import { UsageError } from "./parsing.ts";

type Name = keyof ServeFlags;

/** The flags of a socket on TCP that the server opens itself. */
const ofTcp = [
  ...["host", "port", "tls-cert", "tls-key", "reuse-port", "backlog"] as const,
];

const exclusive: readonly [Name, Name, why?: string][] = [
  ...ofTcp.map((name): [Name, Name] => ["unix", name]),
  ...[...ofTcp, "unix" as const].map((name): [Name, Name, string] => [
    "fd",
    name,
    name.startsWith("tls-")
      ? ": an inherited socket has no TLS"
      : ": an inherited socket is bound already",
  ]),
  [
    "proxy-protocol",
    "tls-cert",
    ": the header of a proxy comes before TLS. Have the proxy end TLS.",
  ],
  ["until", "until-idle"],
  ["quiet", "log-level"],
];

const needed: readonly [given: Name, needed: Name, why?: string][] = [
  ["mode", "unix"],
  ["tls-cert", "tls-key"],
  ["tls-key", "tls-cert"],
  [
    "lame-duck",
    "metrics",
    ": only /healthz tells a balancer that the server is about to stop",
  ],
];

/**
 * Checks flags that make no sense together.
 *
 * @param flags The flags.
 * @throws {UsageError} If there are such flags.
 */
export function checkFlags(flags: ServeFlags): void {
  const has = (name: Name) => flags[name] !== undefined;
  for (const [one, other, why = ". Give only one of them."] of exclusive) {
    if (!has(one) || !has(other)) continue;
    throw new UsageError(`--${one} and --${other} exclude each other${why}`);
  }
  for (const [given, other, why = ""] of needed) {
    if (!has(given) || has(other)) continue;
    throw new UsageError(`--${given} needs --${other}, too${why}`);
  }
  if (flags.unix !== undefined && isAbstract(flags.unix)) {
    throw new UsageError(
      `--unix cannot be "${flags.unix}": ${noAbstractSockets(flags.unix)}`,
    );
  }
}

/**
 * Checks that no module is to read a request itself that is read ahead.
 *
 * @param flags The flags.
 * @param module The module, if one answers.
 * @param options Its options.
 * @throws {UsageError} If one is.
 */
export function checkStreaming(
  flags: ServeFlags,
  module: string | undefined,
  options: Partial<ServeOptions>,
): void {
  if (!flags["read-ahead"] || !options.streaming || module === undefined) {
    return;
  }
  throw new UsageError(
    `--read-ahead and the "streaming" of ${module} exclude each other: a streamed ` +
      "request is read by its handler",
  );
}
