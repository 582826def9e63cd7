/**
 * The listening socket that a service manager passes on, as sd_listen_fds(3) of
 * systemd says: the first descriptor is 3, and the environment tells how many there
 * are, and for which process.
 *
 * @module
 */

import { printable } from "../../shared/printable.ts";
import { unset, variable } from "../shared/environment.ts";
import type { ServeFlags } from "./flags.ts";

const FIRST = 3;

const variables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/** Flags that name another place. */
const places = ["fd", "host", "port", "unix"] as const;

/** What the environment says of sockets that were passed on. */
interface Passed {
  readonly count: number;
  readonly pid: string | undefined;
  readonly names: string | undefined;
}

/**
 * The flags, with `--fd` for the socket that was passed on to this process, unless
 * they name another place. The environment is read only once: what we start must
 * not take the socket for its own.
 *
 * @param flags The flags as given.
 * @param warn Told why a socket is left unused.
 * @throws {Error} If there are several sockets.
 */
export function withPassedSocket(
  flags: ServeFlags,
  warn: (message: string) => void,
): ServeFlags {
  const passed = readPassed();
  if (passed.count === 0) return flags;
  const place = places.find((name) => flags[name] !== undefined);
  const why = whyNotOurs(passed.pid) ??
    (place && `--${place} says where to listen`);
  if (why !== undefined) {
    warn(`LISTEN_FDS is ignored: ${why}`);
    return flags;
  }
  if (passed.count === 1) return { ...flags, fd: FIRST };
  const names = passed.names?.replaceAll(":", ", ") ?? "without names";
  throw new Error(
    `Cannot listen on ${passed.count} sockets: LISTEN_FDS passes on ` +
      `${printable(names)}, give each server one of them`,
  );
}

function readPassed(): Passed {
  const [count = "0", pid, names] = variables.map((name) => {
    const value = variable(name);
    unset(name);
    return value;
  });
  if (/^\d{1,9}$/.test(count)) return { count: Number(count), pid, names };
  throw new Error(
    `Cannot use LISTEN_FDS: it must be a whole number, received ` +
      printable(count),
  );
}

function whyNotOurs(pid: string | undefined): string | undefined {
  if (pid === `${Deno.pid}`) return undefined;
  return pid === undefined
    ? "LISTEN_PID, which says for which process it is, is missing or may not be " +
      "read"
    : `it is for process ${printable(pid)}, and this is process ${Deno.pid}`;
}
