/**
 * Reading ahead: connections whose requests are read while another is handled.
 *
 * @module
 */

import type { Exchange } from "../conn.ts";
import type { ConnectionQueue } from "./connection_queue.ts";
import type { Exchanges } from "./exchanges.ts";

/** Reads requests ahead of their turns, and hands them out once complete. */
export class ReadAhead<Addr extends Deno.Addr> {
  readonly #ahead: number;
  readonly #queue: ConnectionQueue;
  readonly #exchanges: Exchanges<Addr>;
  /** Complete, in the order of their completion. */
  readonly #ready: Exchange<Addr>[] = [];
  #reading = 0;
  #isHandling = false;
  #isAccepting = false;
  #isEnded = false;
  #failure: { error: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

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
    this.#fill();
    for (;;) {
      await this.#queue.released;
      if (this.#failure) throw this.#failure.error;
      const exchange = this.#ready.shift();
      if (exchange?.isCut) {
        await this.#exchanges.leave(exchange);
        this.#fill();
      } else if (exchange) {
        this.#isHandling = true;
        this.#fill();
        return exchange;
      } else if (this.#isEnded && this.#reading === 0) return undefined;
      else await this.#changed.promise;
    }
  }

  /**
   * Records those that were read and never handed out. The listener is stopped.
   *
   * @throws {unknown} What a callback threw.
   */
  async end(): Promise<void> {
    while (this.#reading > 0 || this.#isAccepting) await this.#changed.promise;
    for (const exchange of this.#ready.splice(0)) {
      await this.#exchanges.leave(exchange).catch((error) => this.#fail(error));
    }
    if (this.#failure) throw this.#failure.error;
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
      this.#fail(error);
    }
    this.#isAccepting = false;
    this.#signalChange();
  }

  async #read(exchange: Exchange<Addr>): Promise<void> {
    this.#reading++;
    try {
      if (await this.#exchanges.admit(exchange)) this.#ready.push(exchange);
    } catch (error) {
      this.#fail(error);
    }
    this.#reading--;
    this.#fill();
    this.#signalChange();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#isEnded = true;
  }

  #signalChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
