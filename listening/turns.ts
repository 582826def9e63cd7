/**
 * Whose turn it is: connections are taken and read, some of them ahead of their
 * turns, and handed out one at a time.
 *
 * @module
 */

import type { Exchange } from "../conn.ts";
import { Wakeup } from "../shared/wakeup.ts";
import type { ConnectionQueue } from "./connection_queue.ts";
import type { Exchanges } from "./exchanges.ts";

/** Takes connections, reads their requests, and hands out those complete. */
export class Turns<Addr extends Deno.Addr> {
  readonly #ahead: number;
  readonly #queue: ConnectionQueue;
  readonly #exchanges: Exchanges<Addr>;
  /** Complete, in the order of their completion. */
  readonly #ready: Exchange<Addr>[] = [];
  readonly #change = new Wakeup();
  #reading = 0;
  #isHandling = false;
  #isAccepting = false;
  #isEnded = false;
  #failure: { error: unknown } | undefined;

  /**
   * @param ahead How many may be read, or be complete, while one is handled.
   * @param queue Where connections come from.
   * @param exchanges What begins and records exchanges.
   */
  constructor(
    ahead: number,
    queue: ConnectionQueue,
    exchanges: Exchanges<Addr>,
  ) {
    this.#ahead = ahead;
    this.#queue = queue;
    this.#exchanges = exchanges;
  }

  /**
   * Waits for the next complete request. The exchange before it is over.
   *
   * @returns Its exchange, or `undefined` when there will be no more.
   * @throws {unknown} The error of an accept that no later one will cure, or
   * what a callback threw.
   */
  async next(): Promise<Exchange<Addr> | undefined> {
    this.#isHandling = false;
    for (;;) {
      this.#fill();
      const { released } = this.#queue;
      if (released) await released;
      if (this.#failure) throw this.#failure.error;
      const exchange = this.#ready.shift();
      if (!exchange) {
        if (this.#isEnded && this.#reading === 0) return undefined;
        await this.#change.wait();
      } else if (exchange.state.cut) await this.#exchanges.leave(exchange);
      else {
        this.#isHandling = true;
        return exchange;
      }
    }
  }

  /**
   * Records those that were accepted and never handed out. The listener is
   * stopped.
   *
   * @throws {unknown} What a callback threw.
   */
  async end(): Promise<void> {
    while (this.#reading > 0 || this.#isAccepting) await this.#change.wait();
    const unread = await this.#queue.rest();
    const unserved = unread.map((socket) => this.#exchanges.begin(socket));
    for (const exchange of [...this.#ready.splice(0), ...unserved]) {
      await this.#exchanges.leave(exchange).catch((error) => this.fail(error));
    }
    if (this.#failure) throw this.#failure.error;
  }

  /** Has `next()` throw what a callback has thrown, or an accept. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#isEnded = true;
    this.#change.wake();
  }

  get #hasRoom(): boolean {
    const taken = this.#reading + this.#ready.length +
      (this.#isHandling ? 1 : 0);
    return taken <= this.#ahead;
  }

  #fill(): void {
    if (!this.#isAccepting && !this.#isEnded && this.#hasRoom) this.#accept();
  }

  async #accept(): Promise<void> {
    this.#isAccepting = true;
    try {
      while (!this.#isEnded && this.#hasRoom) {
        const socket = await this.#queue.next();
        if (socket) this.#read(this.#exchanges.begin(socket));
        else this.#isEnded = true;
      }
    } catch (error) {
      this.fail(error);
    }
    this.#isAccepting = false;
    if (this.#isEnded) this.#change.wake();
  }

  /** Lets one in and reads its request. If that fails, it is recorded. */
  async #read(exchange: Exchange<Addr>): Promise<void> {
    this.#reading++;
    let isReady = false;
    try {
      try {
        isReady = this.#exchanges.letsIn(exchange) && await exchange.prepare();
      } finally {
        if (!isReady) await this.#exchanges.leave(exchange);
      }
    } catch (error) {
      this.fail(error);
    }
    this.#reading--;
    if (isReady) this.#ready.push(exchange);
    else this.#fill();
    this.#change.wake();
  }
}
