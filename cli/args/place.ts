/**
 * Where to listen.
 *
 * @module
 */

import { isIpv4 } from "../../shared/ip_address.ts";
import type { ServeOptions } from "../../server.ts";
import type { ServeFlags } from "./flags.ts";
import type { AddressRanges } from "./address_ranges.ts";
import { defined, UsageError } from "./parsing.ts";
import { ensurePermissions } from "../shared/permissions.ts";
import { readPem } from "../shared/files.ts";
import type { HostPort } from "../shared/host_port.ts";
import { nameOf } from "../shared/wording.ts";

/** The options of `serve()` that say where to listen. */
export interface Place {
  hostname?: string | undefined;
  port?: number | undefined;
  reusePort?: boolean | undefined;
  tcpBacklog?: number | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  fd?: number | undefined;
  path?: string | undefined;
  mode?: number | undefined;
  listener?: unknown;
}

/**
 * Decides where to listen: where the flags say, then where a module says, then
 * where `serve()` listens by default.
 *
 * @param flags The flags.
 * @param options The options of a module.
 * @returns The options that say so; `undefined` ones override a module's.
 * @throws {Error} If a file cannot be read, or a permission is missing.
 */
export async function placeOf(
  flags: ServeFlags,
  options: Partial<ServeOptions>,
): Promise<Place> {
  const flagged = await placeByFlags(flags);
  await ensureAllowed({ ...options, ...flagged });
  return flagged;
}

/**
 * Checks that `--metrics` is not where the server itself listens.
 *
 * @param metrics Where monitoring is to be answered.
 * @param place Where the server is to listen.
 * @throws {UsageError} If both are the same.
 */
export function checkMetricsApart(metrics: HostPort, place: Place): void {
  const isElsewhere = [place.path, place.listener, place.fd].some((other) =>
    other !== undefined
  );
  if (isElsewhere) return;
  const { hostname, port } = tcpPlace(place);
  if (port === 0 || port !== metrics.port) return;
  const hosts = [hostname, metrics.hostname];
  const everywhere = hosts.includes("0.0.0.0") &&
    hosts.every((host) => isIpv4(host));
  if (hostname !== metrics.hostname && !everywhere) return;
  throw new UsageError(
    `--metrics cannot use port ${port}: the server itself listens there. ` +
      "Choose another port.",
  );
}

/**
 * Checks that those who connect have addresses, if these decide who may.
 *
 * @param allow Who may connect.
 * @param transport What the server listens on.
 * @throws {UsageError} If they have none.
 */
export function checkAllow(
  allow: AddressRanges | undefined,
  transport: string,
): void {
  if (!allow || transport === "tcp") return;
  throw new UsageError(
    `--allow cannot be ${allow} on a Unix socket: who connects there has no ` +
      "address. Give the socket a mode.",
  );
}

/** What a server listens on. Of an inherited socket it is not known yet. */
export function transportOf({ path, listener }: Place): string {
  const { addr } = Object(listener) as Partial<Deno.Listener>;
  return path === undefined ? addr?.transport ?? "tcp" : "unix";
}

/** The place as one would write it. */
function nameOfPlace(place: Place): string {
  return place.path ?? nameOf({ transport: "tcp", ...tcpPlace(place) });
}

function tcpPlace({ hostname = "0.0.0.0", port = 8080 }: Place): HostPort {
  return { hostname, port };
}

async function placeByFlags(flags: ServeFlags): Promise<Place> {
  const { unix: path, mode, fd, host: hostname, port } = flags;
  const {
    backlog: tcpBacklog,
    "reuse-port": reusePort,
    "tls-cert": cert,
    "tls-key": key,
  } = flags;
  const tcp = { hostname, port, tcpBacklog, reusePort, cert, key };
  const none = { fd: undefined, listener: undefined };
  if (path !== undefined) return { ...tcp, ...none, path, mode };
  if (fd !== undefined) {
    // TLS of a module stays, so that it is an error and does not vanish.
    const { cert: _cert, key: _key, ...others } = tcp;
    return { ...others, path, mode, ...none, fd };
  }
  const given: Place = defined(tcp);
  if (Object.keys(given).length === 0) return {};
  if (cert !== undefined) {
    given.cert = await readPem(cert, `use ${cert} for TLS`);
  }
  if (key !== undefined) given.key = await readPem(key, `use ${key} for TLS`);
  return { path: undefined, mode: undefined, ...none, ...given };
}

async function ensureAllowed(place: Place): Promise<void> {
  if (place.listener !== undefined || place.fd !== undefined) return;
  const name = nameOfPlace(place);
  const action = `listen on ${name}`;
  // Without the flag, Deno ends the whole process when asked for this. The
  // function exists only with the flag.
  if (place.reusePort && !("listenDatagram" in Deno)) {
    throw new Deno.errors.NotCapable(
      `Cannot ${action} with others. Run deno with --unstable-net`,
    );
  }
  const { path } = place;
  if (path === undefined) {
    return await ensurePermissions(action, { name: "net", host: name });
  }
  // The socket is created under another name in its folder.
  const folder = path.slice(0, path.lastIndexOf("/") + 1) || ".";
  await ensurePermissions(
    action,
    { name: "net" },
    { name: "read", path: folder },
    { name: "write", path: folder },
  );
}
