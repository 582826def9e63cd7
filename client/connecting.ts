/**
 * Connecting to a server.
 *
 * @module
 */

import { hostPort } from "../shared/address.ts";
import { NodeSocket } from "../shared/node_socket.ts";
import { checkPair } from "./certificates.ts";
import { closeQuietly } from "../shared/quiet.ts";
import type { Ends, Socket } from "../shared/socket.ts";
import { named } from "../shared/thrown.ts";
import type { CheckedRequestOptions } from "./options.ts";
import { TlsSocket } from "./tls_socket.ts";

/** Deno's own delay before the next address of a name is tried as well. */
const NEXT_ADDRESS_MS = 250;

/** A connection of the client. */
export type ClientSocket = Omit<Socket, keyof Ends>;

/**
 * Connects, and completes the TLS handshake if there is one.
 *
 * @param options Where to connect.
 * @param signal Cancels the connecting: nothing stays open then.
 * @returns The connection.
 */
export async function connect(
  options: CheckedRequestOptions,
  signal: AbortSignal,
): Promise<ClientSocket> {
  signal.throwIfAborted();
  let doing = "connect to";
  let socket: ClientSocket | undefined;
  try {
    if (options.path !== undefined) {
      const { path } = options;
      const connecting = Deno.connect({ transport: "unix", path });
      return await raceWithAbort(closedIfLate(connecting, signal), signal);
    }
    if (options.tls) checkTls(options);
    const raw = await connectTcp(options, signal);
    if (!options.tls) return raw;
    socket = raw;
    doing = "agree on TLS with";
    const secure = new TlsSocket(raw, {
      ...options,
      hostname: bare(options.hostname),
    });
    socket = secure;
    await raceWithAbort(secure.handshake(), signal);
    return secure;
  } catch (error) {
    if (socket) closeQuietly(socket);
    signal.throwIfAborted();
    // Deno's own message explains a missing permission.
    if (error instanceof Deno.errors.NotCapable) throw error;
    const reason = error instanceof Deno.errors.WouldBlock
      ? "its backlog is full. Try again later."
      : undefined;
    throw named(error, `Cannot ${doing} ${placeOf(options)}`, reason);
  }
}

/** Checks what `node:tls` would leave out without a word. */
function checkTls({ hostname, cert, key }: CheckedRequestOptions): void {
  const { isIP } = process.getBuiltinModule("node:net");
  if (/(^|\.)\d+$/.test(hostname) && isIP(hostname) === 0) {
    throw new TypeError(`Invalid hostname: '${hostname}'`);
  }
  if (cert !== undefined && key !== undefined) checkPair(cert, key);
}

async function connectTcp(
  options: CheckedRequestOptions,
  signal: AbortSignal,
): Promise<NodeSocket> {
  const { hostname, port = 0 } = options;
  const { autoSelectFamily = true, autoSelectFamilyAttemptDelay } = options;
  try {
    return await NodeSocket.connect({
      host: bare(hostname),
      port,
      autoSelectFamily,
      autoSelectFamilyAttemptTimeout: autoSelectFamilyAttemptDelay ??
        NEXT_ADDRESS_MS,
    }, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    if (!await isGrantedNow(hostPort(hostname, port))) throw error;
    return await connectTcp(options, signal);
  }
}

/**
 * Whether a permission has just been granted: a lookup of Node neither asks for it
 * nor says which one it lacks.
 */
async function isGrantedNow(host: string): Promise<boolean> {
  const permission = { name: "net", host } as const;
  const { state } = await Deno.permissions.query(permission);
  if (state === "granted") return false;
  const asked = await Deno.permissions.request(permission);
  if (asked.state === "granted") return true;
  throw new Deno.errors.NotCapable(
    `Requires net access to "${host}". Run again with the --allow-net flag`,
  );
}

/** Closes a connection that is made after `signal` was aborted. */
function closedIfLate(
  connecting: Promise<Deno.Conn>,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  connecting.then((conn) => {
    if (signal.aborted) closeQuietly(conn);
  }, () => {});
  return connecting;
}

function raceWithAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    // It may have been aborted since the step before this one.
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() =>
      signal.removeEventListener("abort", abort)
    );
  });
}

/** A host without the brackets of an IPv6 address. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function placeOf({ path, hostname, port }: CheckedRequestOptions): string {
  if (path !== undefined) return path;
  return hostPort(hostname, port);
}
