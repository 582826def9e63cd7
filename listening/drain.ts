/**
 * Draining: accepts all connections in the kernel's backlog. The kernel cannot
 * be asked whether it is empty.
 *
 * @module
 */

import { closeQuietly } from "../exchange/quiet.ts";
import type { Acceptor } from "./accepting.ts";
import { Pause } from "./pause.ts";

/** A connection to ourselves that takes longer than this may never arrive. */
const STALLED_MS = 1000;
/** How long a silence must be to count as a sign of an empty backlog. */
const QUIET_MS = 10;
/** How many silences in a row: the first may end before any I/O is seen. */
const QUIET_PERIODS = 2;

/** What a drain needs to know of the listener. */
export interface DrainOptions {
  /** Whether every connection to its address reaches this listener. */
  readonly isExclusive: boolean;
  /** How many connections its backlog can hold at most. */
  readonly capacity: number;
}

/**
 * Accepts all connections established by now, then closes the listener.
 *
 * @param acceptor Where connections come from.
 * @param options What to know about the listener.
 * @param enqueue Called with connections, in order. The last call comes when
 * the listener is closed.
 * @returns Resolves when the listener is closed.
 * @throws {unknown} The error of an accept that a retry would not cure. The
 * listener is closed even then.
 */
export async function drain(
  acceptor: Acceptor,
  { isExclusive, capacity }: DrainOptions,
  enqueue: (conns: Deno.Conn[]) => void,
): Promise<void> {
  const sentinel = new Sentinel(isExclusive ? acceptor.addr : null);
  let loopback: Loopback | undefined;
  const accepted: Deno.Conn[] = [];
  try {
    if (!isExclusive || acceptor.addr.transport !== "tcp") {
      await sentinel.settled;
      loopback = await Loopback.open();
    }
    let quiet = 0;
    let count = 0;
    // Under steady traffic it never gets quiet. But the backlog cannot have
    // held more than its capacity, and its connections come first. One more may
    // have been on its way to us, and the kernel itself allows one more. A
    // sentinel on its way is always waited for: it must not be served.
    const isFull = () => sentinel.state !== "sending" && count >= capacity + 2;
    while (quiet < QUIET_PERIODS && !isFull()) {
      const event = await nextEvent(acceptor, sentinel, loopback);
      if (event === "accepted") {
        const conn = await acceptor.accept();
        acceptor.take();
        if (!conn) break;
        accepted.push(conn);
        count++;
        quiet = 0;
      } else if (event === "quiet") quiet++;
      if (sentinel.state === "sending") continue;
      if (sentinel.state === "sent") quiet = 0;
      if (sentinel.takeOutOf(accepted)) break;
      enqueue(accepted.splice(0));
    }
  } finally {
    sentinel.close();
    loopback?.close();
    acceptor.close();
    // The pending accept may have resolved with a live connection.
    const last = await acceptor.pending?.catch(() => undefined);
    if (last) accepted.push(last);
    // The sentinel may have been accepted before we know its port.
    if (accepted.length > 0) await sentinel.settled;
    sentinel.takeOutOf(accepted);
    enqueue(accepted);
  }
}

/** Waits for a connection, for the result of the sentinel, or for silence. */
async function nextEvent(
  acceptor: Acceptor,
  sentinel: Sentinel,
  loopback: Loopback | undefined,
): Promise<"accepted" | "settled" | "quiet" | "retried"> {
  const accepted = acceptor.accept().then(() => "accepted" as const);
  if (acceptor.backoff) {
    // Silence is no sign of an empty backlog while nothing can be accepted.
    const retried = acceptor.backoff.then(() => "retried" as const);
    return await Promise.race([accepted, retried]);
  }
  // The sentinel will certainly arrive: silence before it means nothing.
  if (sentinel.state === "sent") return await accepted;
  if (sentinel.state === "unavailable" && loopback) {
    const turned = loopback.turn().then(() => "quiet" as const);
    return await Promise.race([accepted, turned]);
  }
  const isSending = sentinel.state === "sending";
  const pause = new Pause(isSending ? STALLED_MS : QUIET_MS);
  try {
    return await Promise.race([
      accepted,
      pause.ended.then(() => "quiet" as const),
      ...(isSending ? [sentinel.settled.then(() => "settled" as const)] : []),
    ]);
  } finally {
    pause.end();
  }
}

/**
 * Our own connection to our own listener. The backlog is first in, first out:
 * when the sentinel arrives, all that came before it have arrived.
 */
class Sentinel {
  state: "sending" | "sent" | "unavailable" = "sending";
  /** Resolves when the state is known. */
  readonly settled: Promise<void>;
  #conn: Deno.Conn | undefined;
  #closed = false;

  constructor(addr: Deno.Addr | null) {
    this.settled = this.#send(addr);
  }

  async #send(addr: Deno.Addr | null): Promise<void> {
    try {
      this.#conn = await connectTo(addr);
    } catch {
      // No descriptor, no route or a full backlog: silence must do as a sign.
    }
    this.state = this.#conn ? "sent" : "unavailable";
    if (this.#closed) this.#conn?.close();
  }

  /** Removes and closes the sentinel's other end. Returns whether it was there. */
  takeOutOf(conns: Deno.Conn[]): boolean {
    const own = this.#conn?.localAddr as Deno.NetAddr | undefined;
    const at = conns.findIndex(({ remoteAddr }) =>
      own !== undefined && remoteAddr.transport === "tcp" &&
      remoteAddr.port === own.port && remoteAddr.hostname === own.hostname
    );
    if (at < 0) return false;
    for (const conn of conns.splice(at, 1)) conn.close();
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn?.close();
  }
}

/**
 * A connection to ourselves, on a port of its own, that shows when I/O has had
 * its turn. Timers cannot show it: any number of them may fire before I/O. But
 * a byte that is sent now does not arrive before what was already waiting.
 */
class Loopback {
  readonly #near: Deno.Conn;
  readonly #far: Deno.Conn;
  #turning: Promise<void> = Promise.resolve();
  /** A turn that has not begun yet, shared by all callers until it does. */
  #next: Promise<void> | undefined;

  private constructor(near: Deno.Conn, far: Deno.Conn) {
    this.#near = near;
    this.#far = far;
  }

  /** Returns `undefined` if permissions or descriptors are missing. */
  static async open(): Promise<Loopback | undefined> {
    const hostname = "127.0.0.1";
    const opened: (Deno.Listener | Deno.Conn)[] = [];
    try {
      if (!await isGranted(hostname)) return undefined;
      const listener = Deno.listen({ hostname, port: 0 });
      opened.push(listener);
      const { port } = listener.addr;
      const near = await Deno.connect({ hostname, port });
      opened.push(near);
      const far = await listener.accept();
      opened.push(far);
      if (far.remoteAddr.port !== near.localAddr.port) return undefined;
      opened.splice(1);
      return new Loopback(near, far);
    } catch {
      return undefined;
    } finally {
      for (const resource of opened) closeQuietly(resource);
    }
  }

  /** Resolves when all I/O that was ready before this call has been seen. */
  turn(): Promise<void> {
    return this.#next ??= this.#turning.then(() => {
      this.#next = undefined;
      return this.#turning = this.#sendByte();
    });
  }

  async #sendByte(): Promise<void> {
    const byte = new Uint8Array(1);
    try {
      await Promise.all([this.#far.read(byte), this.#near.write(byte)]);
    } catch {
      // Closed meanwhile: nobody waits for it any more.
    }
  }

  close(): void {
    closeQuietly(this.#near);
    closeQuietly(this.#far);
  }
}

/** Connects to the address of a listener, if permissions allow it. */
async function connectTo(
  addr: Deno.Addr | null,
): Promise<Deno.Conn | undefined> {
  if (addr?.transport !== "tcp") return undefined;
  const { hostname, port } = addr;
  const loopback: Record<string, string> = {
    "0.0.0.0": "127.0.0.1",
    "::": "::1",
  };
  // Not every system connects to an unspecified address, but a permission may
  // be limited to it.
  for (const target of [loopback[hostname] ?? hostname, hostname]) {
    const host = target.includes(":") ? `[${target}]` : target;
    if (await isGranted(`${host}:${port}`)) {
      return await Deno.connect({ hostname: target, port });
    }
  }
  return undefined;
}

/** Does not prompt, as that would hold up a server that is about to end. */
async function isGranted(host: string): Promise<boolean> {
  const { state } = await Deno.permissions.query({ name: "net", host });
  return state === "granted";
}
