/**
 * The proof that a backlog has been accepted: our own connection comes by.
 *
 * @module
 */

import { hostPort } from "../shared/address.ts";
import { closeQuietly } from "../shared/quiet.ts";
import type { Socket } from "../shared/socket.ts";
import { isGranted } from "./permission.ts";

/**
 * Our own connection to our own listener. The backlog is first in, first out:
 * when the sentinel arrives, all that came before it have arrived.
 */
export class Sentinel {
  state: "sending" | "sent" | "unavailable" | "arrived" = "sending";
  /** Resolves when it is no longer being sent. */
  readonly settled: Promise<void>;
  /** Our end, and the one that came by. */
  readonly #ends: Socket[] = [];
  #isClosed = false;

  /**
   * Connects before it returns, as far as the system is concerned.
   *
   * @param target Where the listener is reached, if it is.
   * @param signal Gives up the connecting.
   */
  constructor(
    target: Deno.ConnectOptions | undefined,
    signal: AbortSignal,
  ) {
    this.settled = this.#send(target && { ...target, signal });
  }

  async #send(target: Deno.ConnectOptions | undefined): Promise<void> {
    try {
      if (target) this.#keep(await Deno.connect(target));
    } catch {
      // No descriptor, no route or a full backlog: only silence is left as a sign.
    }
    if (this.state !== "sending") return;
    this.state = this.#ends.length > 0 ? "sent" : "unavailable";
  }

  /**
   * Takes the sentinel's other end, if it has arrived.
   *
   * @param conns What has been accepted.
   */
  takeOutOf(conns: Socket[]): void {
    const own = this.#ends[0]?.localAddr as Deno.NetAddr | undefined;
    const at = conns.findIndex(({ remoteAddr }) =>
      own !== undefined && remoteAddr.transport === "tcp" &&
      remoteAddr.port === own.port && remoteAddr.hostname === own.hostname
    );
    if (at < 0) return;
    for (const conn of conns.splice(at, 1)) this.#keep(conn);
    this.state = "arrived";
  }

  /** Gives back its descriptors. It may still arrive. */
  close(): void {
    this.#isClosed = true;
    for (const conn of this.#ends) closeQuietly(conn);
  }

  /** Stops waiting for it. */
  giveUp(): void {
    if (this.state !== "arrived") this.state = "unavailable";
    this.close();
  }

  #keep(conn: Socket): void {
    this.#ends.push(conn);
    if (this.#isClosed) this.close();
  }
}

/** All sentinels of one drain. */
export class Sentinels {
  /** Where they can be sent, if anywhere: only where they reach this listener alone. */
  target: Deno.ConnectOptions | undefined;
  readonly #all: Sentinel[] = [];
  /** Gives up the connecting of those that are still being sent. */
  readonly #connecting = new AbortController();

  send(): Sentinel {
    const sentinel = new Sentinel(this.target, this.#connecting.signal);
    this.#all.push(sentinel);
    return sentinel;
  }

  /** Takes those that have arrived out of what has been accepted. */
  takeOutOf(conns: Socket[]): void {
    for (const sentinel of this.#all) sentinel.takeOutOf(conns);
  }

  /** Whether any is on its way, and cannot be told from a client. */
  get areBeingSent(): boolean {
    return this.#all.some(({ state }) => state === "sending");
  }

  /** Resolves when all that were sent by now can be told from clients. */
  async settled(): Promise<void> {
    await Promise.all(this.#all.map(({ settled }) => settled));
  }

  /** Gives back their descriptors. They may still arrive. */
  close(): void {
    for (const sentinel of this.#all) sentinel.close();
  }

  /** Stops waiting for all of them. */
  giveUp(): void {
    this.#connecting.abort();
    for (const sentinel of this.#all) sentinel.giveUp();
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
    if (await isGranted(hostPort(target, port))) {
      return { hostname: target, port };
    }
  }
  return undefined;
}
