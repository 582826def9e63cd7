/**
 * Draining: accepts all connections in the kernel's backlog, and closes at a
 * moment when it is empty. The kernel cannot be asked whether it is.
 *
 * @module
 */

import { LongPause, within } from "../shared/pause.ts";
import type { Backlog } from "./backlog.ts";
import type { Socket } from "../shared/socket.ts";
import { Loopback } from "./loopback.ts";
import { LAST_ACCEPTS, QuickClose } from "./quick_close.ts";
import { type Sentinel, Sentinels, targetOf } from "./sentinel.ts";

/**
 * Anything that takes longer than this may never come: a sentinel, as its port is
 * redirected, or a descriptor for the next connection.
 */
const STALLED_MS = 1000;
/** How long a silence must be to count as a sign of an empty backlog. */
const QUIET_MS = 10;
/** How many silences in a row: the first may end before any I/O is seen. */
const QUIET_PERIODS = 2;
/**
 * How long to wait for the first silence: some traffic never pauses. Without this
 * wait, 20 of 80 stops under 500 clients a second reset a client, instead of 14
 * without the quick close, and 3 with both.
 */
const MAX_SETTLING_MS = 50;

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
 * @param backlog Where connections come from.
 * @param options What to know about the listener.
 * @param enqueue Called with connections, in order. The last call comes when
 * the listener is closed.
 * @returns Resolves when the listener is closed.
 * @throws {unknown} The error of a broken listener. It is closed even then.
 */
export async function drain(
  backlog: Backlog,
  options: DrainOptions,
  enqueue: (conns: Socket[]) => void,
): Promise<void> {
  const drain = new Drain(backlog, options, enqueue);
  backlog.hide();
  try {
    await drain.settle();
    if (await drain.hasDescriptors()) await drain.closeQuickly();
    // Then nothing is closed yet, and nobody is lost for want of a descriptor.
    if (drain.isShort) await drain.empty();
  } finally {
    await drain.close();
  }
}

/** What happens first, named as the waiting code sees it. */
type Event = "accepted" | "news" | "quiet" | "retried" | "lost";

class Drain {
  readonly #backlog: Backlog;
  readonly #options: DrainOptions;
  readonly #enqueue: (conns: Socket[]) => void;
  readonly #sentinels = new Sentinels();
  readonly #quickClose: QuickClose;
  #loopback: Loopback | undefined;
  /** Not yet passed on: the sentinel may be among them. */
  readonly #accepted: Socket[] = [];
  #count = 0;
  #isShort = false;

  constructor(
    backlog: Backlog,
    options: DrainOptions,
    enqueue: (conns: Socket[]) => void,
  ) {
    this.#backlog = backlog;
    this.#options = options;
    this.#enqueue = enqueue;
    this.#quickClose = new QuickClose(backlog, this.#sentinels, this.#accepted);
  }

  /** Waits for clients that connect again because they have just been served. */
  async settle(): Promise<void> {
    const end = performance.now() + MAX_SETTLING_MS;
    while (performance.now() < end) {
      if (!await within(QUIET_MS, this.#nextOr())) return;
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
    if (isExclusive) {
      this.#sentinels.target = await targetOf(this.#backlog.addr);
    }
    for (let i = 0; i < LAST_ACCEPTS; i++) {
      if (!this.#sentinels.target || this.#isShort) break;
      await this.empty();
    }
    this.#giveBack();
    return !this.#isShort;
  }

  /** Accepts all that are there now. */
  async empty(): Promise<void> {
    const { capacity, isBusy } = this.#options;
    const sentinel = this.#sentinels.send();
    const lost = new LongPause(STALLED_MS);
    if (!this.#sentinels.target) await this.#openLoopback();
    // If its port is known when it arrives, nothing behind it has to be accepted.
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
      if (this.#sentinels.target && sentinel.state === "unavailable") {
        this.#beShort();
      }
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

  /** Closes while every connection is accepted, if there is such a moment. */
  async closeQuickly(): Promise<void> {
    await this.#quickClose.attempt(async () => {
      await this.empty();
      return !this.#isShort;
    });
  }

  async close(): Promise<void> {
    this.#backlog.close();
    // The pending accept may have resolved with a live connection.
    if (this.#backlog.isPending) await this.#take().catch(() => {});
    await this.#quickClose.over();
    // A sentinel may have been accepted before we know its port.
    const lost = new LongPause(STALLED_MS);
    await Promise.race([this.#sentinels.settled(), lost.ended]);
    lost.end();
    this.#sentinels.giveUp();
    this.#passOn();
    this.#giveBack();
  }

  /** Serves clients with the descriptors that were ours. */
  #beShort(): void {
    this.#isShort = true;
    this.#giveBack();
  }

  #giveBack(): void {
    this.#sentinels.close();
    this.#loopback?.close();
    this.#loopback = undefined;
  }

  /** Goes on without sentinels: what is sent to our port goes elsewhere. */
  async #loseSentinels(): Promise<void> {
    this.#sentinels.target = undefined;
    this.#sentinels.giveUp();
    await this.#openLoopback();
  }

  async #openLoopback(): Promise<void> {
    if (!this.#isShort) this.#loopback ??= await Loopback.open();
  }

  /** Takes the accepted connection. Returns whether there was one. */
  async #take(): Promise<boolean> {
    const conn = await this.#backlog.accept();
    this.#backlog.take();
    if (!conn) return false;
    this.#accepted.push(conn);
    this.#count++;
    return true;
  }

  /** Passes on what has been accepted, once it is known which are our own. */
  #passOn(): void {
    if (this.#sentinels.areBeingSent) return;
    this.#sentinels.takeOutOf(this.#accepted);
    this.#enqueue(this.#accepted.splice(0));
  }

  /** Waits for a connection, for the result of the sentinel, or for silence. */
  async #nextEvent(sentinel: Sentinel, lost: Promise<void>): Promise<Event> {
    const { backoff } = this.#backlog;
    // Silence is no sign of an empty backlog while nothing can be accepted.
    if (backoff) {
      this.#beShort();
      return this.#nextOr(backoff, "retried");
    }
    const { state, settled } = sentinel;
    // Silence before it arrives means nothing.
    if (state === "sent" || state === "sending") {
      const known = state === "sent" ? this.#backlog.backingOff() : settled;
      return Promise.race([
        this.#nextOr(lost, "lost"),
        known.then(() => "news" as const),
      ]);
    }
    if (this.#loopback) return this.#nextOr(this.#loopback.turn(), "quiet");
    return await within(QUIET_MS, this.#nextOr()) ?? "quiet";
  }

  #nextOr(other?: Promise<void>, event: Event = "accepted"): Promise<Event> {
    const accepted = this.#backlog.accept().then(() => "accepted" as const);
    return other ? Promise.race([accepted, other.then(() => event)]) : accepted;
  }
}
