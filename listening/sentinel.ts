/**
 * The proof that a backlog has been accepted: our own connection comes by.
 *
 * @module
 */

import { isGranted } from "./permission.ts";

/**
 * Our own connection to our own listener. The backlog is first in, first out:
 * when the sentinel arrives, all that came before it have arrived.
 */
export class Sentinel {
  state: "sending" | "sent" | "unavailable" = "sending";
  /** Resolves when the state is known. */
  readonly settled: Promise<void>;
  #conn: Deno.Conn | undefined;
  #closed = false;

  /**
   * Connects before it returns, as far as the system is concerned.
   *
   * @param target Where the listener is reached, if it is.
   */
  constructor(target: Deno.ConnectOptions | undefined) {
    this.settled = this.#send(target);
  }

  async #send(target: Deno.ConnectOptions | undefined): Promise<void> {
    try {
      if (target) this.#conn = await Deno.connect(target);
    } catch {
      // No descriptor, no route or a full backlog: silence must do as a sign.
    }
    this.state = this.#conn ? "sent" : "unavailable";
    if (this.#closed) this.#conn?.close();
  }

  /**
   * Removes the sentinel's other end, and closes both.
   *
   * @param conns What has been accepted.
   * @returns Whether it was there.
   */
  takeOutOf(conns: Deno.Conn[]): boolean {
    const own = this.#conn?.localAddr as Deno.NetAddr | undefined;
    const at = conns.findIndex(({ remoteAddr }) =>
      own !== undefined && remoteAddr.transport === "tcp" &&
      remoteAddr.port === own.port && remoteAddr.hostname === own.hostname
    );
    if (at < 0) return false;
    for (const conn of conns.splice(at, 1)) conn.close();
    this.close();
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn?.close();
  }
}

/**
 * Where sentinels can be sent.
 *
 * @param addr The address of our listener.
 * @returns What to connect to, or `undefined` if it is no TCP address, or
 * permissions do not allow it.
 */
export async function targetOf(
  addr: Deno.Addr,
): Promise<Deno.ConnectOptions | undefined> {
  if (addr.transport !== "tcp") return undefined;
  const { hostname, port } = addr;
  const loopback: Record<string, string> = {
    "0.0.0.0": "127.0.0.1",
    "::": "::1",
  };
  // Not every system connects to an unspecified address, but a permission may
  // be limited to it.
  for (const target of [loopback[hostname] ?? hostname, hostname]) {
    const host = target.includes(":") ? `[${target}]` : target;
    if (await isGranted(`${host}:${port}`)) return { hostname: target, port };
  }
  return undefined;
}
