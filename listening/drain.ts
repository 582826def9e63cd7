/**
 * Draining: accepts all connections in the kernel's backlog, and closes at a
 * moment when it is empty. The kernel cannot be asked whether it is.
 *
 * @module
 */

import type { Acceptor } from "./accepting.ts";
import { Loopback } from "./loopback.ts";
import { Pause } from "./pause.ts";
import { Sentinel, targetOf } from "./sentinel.ts";

/** A connection to ourselves that takes longer than this may never arrive. */
const STALLED_MS = 1000;
/** How long a silence must be to count as a sign of an empty backlog. */
const QUIET_MS = 10;
/** How many silences in a row: the first may end before any I/O is seen. */
const QUIET_PERIODS = 2;
/** How long to wait for the first silence: some traffic never pauses. */
const MAX_SETTLING_MS = 50;
/** How many may come just before the close, and are accepted nevertheless. */
const LAST_ACCEPTS = 4;
/** More than that may have come if it took longer to accept them. */
const QUICK_MS = 3;
/**
 * How long the last of these accepts may take, as somebody may come meanwhile.
 * Each further try may take twice as long: not every machine is that fast.
 */
const LAST_MS = 0.07;
/** How long to try to be quick: a busy machine may be slow again and again. */
const MAX_TRYING_MS = 200;

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
  options: DrainOptions,
  enqueue: (conns: Deno.Conn[]) => void,
): Promise<void> {
  const drain = new Drain(acceptor, options, enqueue);
  acceptor.hide();
  // Only of our own listener: what the caller's does then, nobody knows.
  if (options.isExclusive) acceptor.rehearseClose();
  try {
    await drain.settle();
    const end = performance.now() + MAX_TRYING_MS;
    let longest = LAST_MS;
    while (performance.now() < end && !acceptor.isClosed) {
      const began = performance.now();
      await drain.empty();
      // The runtime lets no more than 128 operations succeed in one turn.
      await turn();
      if (drain.closeIfQuick(began + QUICK_MS, longest)) break;
      longest *= 2;
      await turn();
      if (drain.isStuck) break;
    }
  } finally {
    await drain.close();
  }
}

/** What happens first: the names say what, as seen by who waits for it. */
type Event = "accepted" | "settled" | "quiet" | "retried";

class Drain {
  readonly #acceptor: Acceptor;
  readonly #options: DrainOptions;
  readonly #enqueue: (conns: Deno.Conn[]) => void;
  /** Where sentinels can be sent: only if nobody else gets them. */
  #target: Deno.ConnectOptions | undefined;
  readonly #sentinels: Sentinel[] = [];
  #loopback: Loopback | undefined;
  /** Not yet passed on: the sentinel may be among them. */
  readonly #accepted: Deno.Conn[] = [];
  #count = 0;
  /** The accepts of `closeIfQuick()`, and how many of them are not over. */
  readonly #last: Promise<void>[] = [];
  #pending = 0;

  constructor(
    acceptor: Acceptor,
    options: DrainOptions,
    enqueue: (conns: Deno.Conn[]) => void,
  ) {
    this.#acceptor = acceptor;
    this.#options = options;
    this.#enqueue = enqueue;
  }

  /** Waits for those who come again because they have just been answered. */
  async settle(): Promise<void> {
    const end = performance.now() + MAX_SETTLING_MS;
    while (performance.now() < end) {
      if (await this.#nextWithin(QUIET_MS) !== "accepted") return;
      if (!await this.#take()) return;
      this.#passOn();
    }
  }

  /** Accepts all that are there now. */
  async empty(): Promise<void> {
    const { isExclusive, capacity } = this.#options;
    if (isExclusive) this.#target ??= await targetOf(this.#acceptor.addr);
    const sentinel = this.#send();
    // If its port is known as it comes by, nothing need be accepted behind it.
    await within(QUIET_MS, sentinel.settled);
    if (!this.#target) this.#loopback ??= await Loopback.open();
    let quiet = 0;
    // Under steady traffic it never gets quiet. But the backlog cannot have
    // held more than its capacity, and its connections come first. One more may
    // have been on its way to us, and the kernel itself allows one more. A
    // sentinel on its way is always waited for: it must not be served.
    const most = this.#count + capacity + 2;
    const isFull = () => sentinel.state !== "sending" && this.#count >= most;
    while (quiet < QUIET_PERIODS && !isFull()) {
      const event = await this.#nextEvent(sentinel);
      if (event === "accepted") {
        if (!await this.#take()) return;
        quiet = 0;
      } else if (event === "quiet") quiet++;
      if (sentinel.state === "sending") continue;
      if (sentinel.state === "sent") quiet = 0;
      if (sentinel.takeOutOf(this.#accepted)) return;
      this.#passOn();
    }
  }

  /**
   * Accepts those who came since, and closes at once. A pending accept would keep
   * the socket open after it is closed, and whoever comes meanwhile would be
   * reset. So each accept has a sentinel to find, if nobody else: it is over at
   * once.
   *
   * @param due If it is later than that, more may have come than are accepted.
   * @param longest How long the last accept may take, in milliseconds.
   * @returns Whether no other try would help: it is closed, or no sentinel can be
   * sent. If it took so long that somebody may have come behind the last one,
   * another try may.
   */
  closeIfQuick(due: number, longest: number): boolean {
    if (!this.#target || this.#acceptor.isClosed) return true;
    let began = 0;
    for (let i = 0; i < LAST_ACCEPTS; i++) {
      began = performance.now();
      this.#send();
      this.#acceptLast();
    }
    const now = performance.now();
    if (now > due || now - began > longest) return false;
    this.#acceptor.close();
    return true;
  }

  /** Whether `closeIfQuick()` has not found what it should have. */
  get isStuck(): boolean {
    return this.#pending > 0;
  }

  async close(): Promise<void> {
    this.#acceptor.close();
    // The pending accept may have resolved with a live connection.
    if (this.#acceptor.isPending) this.#acceptLast();
    await Promise.all(this.#last);
    // A sentinel may have been accepted before we know its port.
    await Promise.all(this.#sentinels.map(({ settled }) => settled));
    this.#passOn();
    this.#loopback?.close();
    for (const sentinel of this.#sentinels) sentinel.close();
  }

  #acceptLast(): void {
    this.#pending++;
    const over = (conn?: Deno.Conn) => {
      this.#pending--;
      if (conn) this.#accepted.push(conn);
    };
    this.#last.push(this.#acceptor.accept().then(over, () => over()));
    this.#acceptor.take();
  }

  #send(): Sentinel {
    const sentinel = new Sentinel(this.#target);
    this.#sentinels.push(sentinel);
    return sentinel;
  }

  /** Takes the accepted connection. Returns whether there was one. */
  async #take(): Promise<boolean> {
    const conn = await this.#acceptor.accept();
    this.#acceptor.take();
    if (!conn) return false;
    this.#accepted.push(conn);
    this.#count++;
    return true;
  }

  /** Passes on what has been accepted, once it is known which are our own. */
  #passOn(): void {
    if (this.#sentinels.some(({ state }) => state === "sending")) return;
    for (const sentinel of this.#sentinels) sentinel.takeOutOf(this.#accepted);
    this.#enqueue(this.#accepted.splice(0));
  }

  /** Waits for a connection, for the result of the sentinel, or for silence. */
  #nextEvent(sentinel: Sentinel): Promise<Event> {
    const { backoff } = this.#acceptor;
    // Silence is no sign of an empty backlog while nothing can be accepted.
    if (backoff) return this.#nextOr(backoff, "retried");
    // The sentinel will certainly arrive: silence before it means nothing.
    if (sentinel.state === "sent") return this.#nextOr();
    if (sentinel.state === "sending") {
      return this.#nextWithin(STALLED_MS, sentinel.settled);
    }
    if (this.#loopback) return this.#nextOr(this.#loopback.turn(), "quiet");
    return this.#nextWithin(QUIET_MS);
  }

  #nextWithin(
    milliseconds: number,
    settled?: Promise<void>,
  ): Promise<Event> {
    return within(milliseconds, this.#nextOr(settled, "settled"));
  }

  #nextOr(other?: Promise<void>, event: Event = "accepted"): Promise<Event> {
    const accepted = this.#acceptor.accept().then(() => "accepted" as const);
    return other ? Promise.race([accepted, other.then(() => event)]) : accepted;
  }
}

/** Waits for an event, or for that long. */
async function within<Event>(
  milliseconds: number,
  event: Promise<Event>,
): Promise<Event | "quiet"> {
  const pause = new Pause(milliseconds);
  try {
    const ended = pause.ended.then(() => "quiet" as const);
    return await Promise.race([event, ended]);
  } finally {
    pause.end();
  }
}

/** Waits for the next turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
