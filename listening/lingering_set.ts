/**
 * Lingering connections, which do not hold up the next exchange.
 *
 * @module
 */

import { startTimer } from "../shared/timer.ts";

/** How many sockets may linger at once. The oldest is closed for a new one. */
const MAX_LINGERING = 64;

/** A connection that outlives its exchange. */
export interface Lingering {
  /** Resolves when it is closed. */
  readonly lingering: Promise<void> | undefined;
  /** What closes it at once. */
  readonly state: { closeSocket(): void };
}

/** The lingering connections of a listener, bounded in number. */
export class LingeringSet {
  readonly #set = new Set<Lingering>();

  get size(): number {
    return this.#set.size;
  }

  /** Lets a connection linger. */
  add(one: Lingering): void {
    this.#set.add(one);
    one.lingering?.finally(() => this.#set.delete(one));
    if (this.#set.size <= MAX_LINGERING) return;
    const [oldest] = this.#set;
    oldest?.state.closeSocket();
  }

  /** Closes all of them at once. */
  close(): void {
    for (const one of this.#set) one.state.closeSocket();
  }

  /**
   * Waits until the connections that linger now are closed.
   *
   * @param milliseconds Closes them after that time.
   */
  async closed(milliseconds = Infinity): Promise<void> {
    const timer = startTimer(() => this.close(), milliseconds);
    await Promise.all(Array.from(this.#set, ({ lingering }) => lingering));
    clearTimeout(timer);
  }
}
