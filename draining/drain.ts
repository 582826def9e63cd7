/**
 * Draining: accepts all connections in the kernel's backlog, and closes at a
 * moment when it is empty. The kernel cannot be asked whether it is.
 *
 * @module
 */

import type { Acceptor } from "../listening/accepting.ts";
import { Loopback } from "./loopback.ts";
import { Pause } from "../shared/pause.ts";
import { Sentinel, targetOf } from "./sentinel.ts";

/**
 * What takes longer than this may never come: a sentinel, as its port is
 * redirected, or a descriptor for whoever is next.
 */
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
  /** Whether anything is under way whose end will give descriptors back. */
  isBusy(): boolean;
}

/**
 * Accepts all connections established by now, then closes the listener.
 *
 * @param acceptor Where connections come from.
 * @param options What to know about the listener.
 * @param enqueue Called with connections, in order. The last call comes when
 * the listener is closed.
 * @returns Resolves when the listener is closed.
 * @throws {unknown} The error of a broken listener. It is closed even then.
 */
export async function drain(
  acceptor: Acceptor,
  options: DrainOptions,
  enqueue: (conns: Deno.Conn[]) => void,
): Promise<void> {
  const drain = new Drain(acceptor, options, enqueue);
  acceptor.hide();
  try {
    await drain.settle();
    if (await drain.hasDescriptors()) await closeQuickly(drain, acceptor);
    // Then nothing is closed yet, and nobody is lost for want of a descriptor.
    if (drain.isShort) await drain.empty();
  } finally {
    await drain.close();
  }
}

/** Tries to close while all that came are accepted. */
async function closeQuickly(drain: Drain, acceptor: Acceptor): Promise<void> {
  const end = performance.now() + MAX_TRYING_MS;
  let longest = LAST_MS;
  while (performance.now() < end && !acceptor.isClosed) {
    const began = performance.now();
    await drain.empty();
    if (drain.isShort) return;
    // The runtime lets no more than 128 operations succeed in one turn.
    await turn();
    if (drain.closeIfQuick(began + QUICK_MS, longest)) return;
    longest *= 2;
    await turn();
    if (drain.isStuck) return;
  }
}

/** What happens first: the names say what, as seen by who waits for it. */
type Event = "accepted" | "news" | "quiet" | "retried" | "lost";

class Drain {
  readonly #acceptor: Acceptor;
  readonly #options: DrainOptions;
  readonly #enqueue: (conns: Deno.Conn[]) => void;
  /** Where sentinels can be sent: only if nobody else gets them. */
  #target: Deno.ConnectOptions | undefined;
  readonly #sentinels: Sentinel[] = [];
  /** Gives up the connecting of those that are still being sent. */
  readonly #connecting = new AbortController();
  #loopback: Loopback | undefined;
  /** Not yet passed on: the sentinel may be among them. */
  readonly #accepted: Deno.Conn[] = [];
  #count = 0;
  /** The accepts of `closeIfQuick()`, and how many of them are not over. */
  readonly #last: Promise<void>[] = [];
  #pending = 0;
  #isShort = false;

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
      if (await within(QUIET_MS, this.#nextOr()) !== "accepted") return;
      if (!await this.#take()) return;
      this.#passOn();
    }
  }

  /** Whether descriptors were lacking. Then all that can be spared is given back. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /**
   * Holds as many descriptors as the last accepts will take: if they are lacking,
   * this shows now, when nobody is lost by it.
   */
  async hasDescriptors(): Promise<boolean> {
    const { isExclusive } = this.#options;
    if (isExclusive) this.#target = await targetOf(this.#acceptor.addr);
    for (let i = 0; i < LAST_ACCEPTS; i++) {
      if (!this.#target || this.#isShort) break;
      await this.empty();
    }
    this.#giveBack();
    return !this.#isShort;
  }

  /** Accepts all that are there now. */
  async empty(): Promise<void> {
    const { capacity, isBusy } = this.#options;
    const sentinel = this.#send();
    const lost = new Pause(STALLED_MS);
    if (!this.#target) await this.#openLoopback();
    // If its port is known as it comes by, nothing need be accepted behind it.
    await within(QUIET_MS, sentinel.settled);
    let quiet = 0;
    let acceptedAt = performance.now();
    // Under steady traffic it never gets quiet. But the backlog cannot have
    // held more than its capacity, and its connections come first. One more may
    // have been on its way to us, and the kernel itself allows one more. A
    // sentinel on its way is always waited for: it must not be served.
    const most = this.#count + capacity + 2;
    const isFull = () => sentinel.state !== "sending" && this.#count >= most;
    while (quiet < QUIET_PERIODS && !isFull()) {
      if (this.#target && sentinel.state === "unavailable") this.#beShort();
      const event = await this.#nextEvent(sentinel, lost.ended);
      if (event === "accepted") {
        if (!await this.#take()) break;
        quiet = 0;
        acceptedAt = performance.now();
      } else if (event === "quiet") quiet++;
      else if (event === "lost") await this.#loseSentinels();
      else if (event === "retried" && !isBusy()) {
        if (performance.now() - acceptedAt > STALLED_MS) break;
      }
      this.#passOn();
      if (sentinel.state === "arrived") break;
    }
    lost.end();
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
    if (this.#acceptor.isPending) await this.#take().catch(() => {});
    await Promise.all(this.#last);
    // A sentinel may have been accepted before we know its port.
    const settled = this.#sentinels.map(({ settled }) => settled);
    await within(STALLED_MS, Promise.all(settled));
    this.#giveUpSentinels();
    this.#passOn();
    this.#giveBack();
  }

  #acceptLast(): void {
    this.#pending++;
    const over = (conn?: Deno.Conn) => {
      this.#pending--;
      if (conn) this.#accepted.push(conn);
    };
    this.#last.push(this.#acceptor.acceptOnce().then(over, () => over()));
  }

  #send(): Sentinel {
    const sentinel = new Sentinel(this.#target, this.#connecting.signal);
    this.#sentinels.push(sentinel);
    return sentinel;
  }

  /** Serves clients with the descriptors that were ours. */
  #beShort(): void {
    this.#isShort = true;
    this.#giveBack();
  }

  #giveBack(): void {
    for (const sentinel of this.#sentinels) sentinel.close();
    this.#loopback?.close();
    this.#loopback = undefined;
  }

  #giveUpSentinels(): void {
    this.#connecting.abort();
    for (const sentinel of this.#sentinels) sentinel.giveUp();
  }

  /** Goes on without sentinels: what is sent to our port goes elsewhere. */
  async #loseSentinels(): Promise<void> {
    this.#target = undefined;
    this.#giveUpSentinels();
    await this.#openLoopback();
  }

  async #openLoopback(): Promise<void> {
    if (!this.#isShort) this.#loopback ??= await Loopback.open();
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
  #nextEvent(sentinel: Sentinel, lost: Promise<void>): Promise<Event> {
    const { backoff } = this.#acceptor;
    // Silence is no sign of an empty backlog while nothing can be accepted.
    if (backoff) {
      this.#beShort();
      return this.#nextOr(backoff, "retried");
    }
    const { state, settled } = sentinel;
    // Silence before it arrives means nothing.
    if (state === "sent" || state === "sending") {
      const known = state === "sent" ? this.#acceptor.backingOff : settled;
      return Promise.race([
        this.#nextOr(lost, "lost"),
        known.then(() => "news" as const),
      ]);
    }
    if (this.#loopback) return this.#nextOr(this.#loopback.turn(), "quiet");
    return within(QUIET_MS, this.#nextOr());
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
