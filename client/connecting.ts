/**
 * Connecting to a server.
 *
 * @module
 */

import { hostPort } from "../shared/address.ts";
import { closeQuietly } from "../shared/quiet.ts";
import { named } from "../shared/thrown.ts";
import type { CheckedRequestOptions } from "./options.ts";

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
): Promise<Deno.Conn> {
  signal.throwIfAborted();
  let doing = "connect to";
  let conn: Deno.Conn | undefined;
  try {
    conn = await raceWithAbort(
      closedIfLate(open(options, signal), signal),
      signal,
    );
    if ("handshake" in conn) {
      doing = "agree on TLS with";
      const handshake = (conn as Deno.TlsConn).handshake();
      await raceWithAbort(handshake, signal);
    }
    return conn;
  } catch (error) {
    if (conn) closeQuietly(conn);
    signal.throwIfAborted();
    // Deno's own message explains a missing permission.
    if (error instanceof Deno.errors.NotCapable) throw error;
    const reason = error instanceof Deno.errors.WouldBlock
      ? "its backlog is full, try again later"
      : undefined;
    throw named(error, `Cannot ${doing} ${placeOf(options)}`, reason);
  }
}

async function open(
  options: CheckedRequestOptions,
  signal: AbortSignal,
): Promise<Deno.Conn> {
  const { path, tls, cert, key, hostname, port = 0 } = options;
  if (path !== undefined) return Deno.connect({ transport: "unix", path });
  const { autoSelectFamily, autoSelectFamilyAttemptDelay } = options;
  const where = {
    hostname,
    port,
    ...(autoSelectFamily !== undefined && { autoSelectFamily }),
    ...(autoSelectFamilyAttemptDelay !== undefined &&
      { autoSelectFamilyAttemptDelay }),
  };
  if (!tls) return Deno.connect({ ...where, signal });
  const { caCerts, alpnProtocols, unsafelyDisableHostnameVerification } =
    options;
  const tlsOptions = {
    ...(caCerts && { caCerts }),
    ...(alpnProtocols && { alpnProtocols }),
    ...(unsafelyDisableHostnameVerification !== undefined &&
      { unsafelyDisableHostnameVerification }),
  };
  if (cert !== undefined && key !== undefined) {
    return Deno.connectTls({ ...where, ...tlsOptions, cert, key });
  }
  // Unlike `Deno.connectTls()`, this can be cancelled while it connects; but it
  // takes no client certificate.
  const conn = await Deno.connect({ ...where, signal });
  try {
    return await Deno.startTls(conn, { hostname, ...tlsOptions });
  } catch (error) {
    closeQuietly(conn);
    throw error;
  }
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

function placeOf({ path, hostname, port }: CheckedRequestOptions): string {
  if (path !== undefined) return path;
  return hostPort(hostname, port);
}
