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
  const [given, pid, names = "without names"] = variables.map(taken);
  if (given === undefined || given === "0") return flags;
  const notOurs = whyNotOurs(pid);
  if (notOurs !== undefined) {
    warn(`LISTEN_FDS is ignored: ${notOurs}`);
    return flags;
  }
  const count = /^\d{1,4}$/.test(given) ? Number(given) : NaN;
  if (Number.isNaN(count)) {
    throw new Error(
      "Cannot use LISTEN_FDS: it must be a whole number, received " +
        (printable(given) || "nothing"),
    );
  }
  const place = places.find((name) => flags[name] !== undefined);
  if (place) {
    warn(`LISTEN_FDS is ignored: --${place} says where to listen`);
    leaveAllBut(flags.fd, count);
    return flags;
  }
  if (count === 1) return { ...flags, fd: FIRST };
  throw new Error(
    `Cannot listen on ${count} sockets: LISTEN_FDS passes on ` +
      `${
        printable(names.replaceAll(":", ", "))
      }. Give each server one of them.`,
  );
}

/** Takes a variable out of the environment. */
function taken(name: string): string | undefined {
  const value = variable(name);
  unset(name);
  return value;
}

/** Closes sockets that were passed on: no program is to inherit them. */
function leaveAllBut(used: number | undefined, count: number): void {
  const { createServer } = process.getBuiltinModule("node:net");
  for (let fd = FIRST; fd < FIRST + count; fd++) {
    if (fd === used) continue;
    const server = createServer().on("error", () => {});
    server.listen({ fd }).close();
  }
}

function whyNotOurs(pid: string | undefined): string | undefined {
  if (pid === `${Deno.pid}`) return undefined;
  return pid === undefined
    ? "LISTEN_PID, which says for which process it is, is missing or may not be " +
      "read"
    : `it is for process ${
      printable(pid) || "nothing"
    }, and this is process ${Deno.pid}`;
}
