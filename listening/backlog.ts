/**
 * The connections of a listener, in the order of their arrival.
 *
 * @module
 */

import { closeQuietly } from "../exchange/quiet.ts";
import { Acceptor, type Source } from "./accepting.ts";
import { drain, type DrainOptions } from "./drain.ts";
import type { CheckedOptions } from "./options.ts";

/** The default of Linux's net.core.somaxconn, which bounds every backlog. */
const MAX_BACKLOG = 4096;

/** What a backlog needs to know of its listener. */
export type BacklogOptions = Pick<
  CheckedOptions,
  "listener" | "path" | "reusePort" | "tcpBacklog" | "onAcceptError"
>;

/** Hands out connections: from the kernel, or while draining from a queue. */
export class Backlog {
  readonly #acceptor: Acceptor;
  readonly #options: DrainOptions;
  /** While draining: accepted connections that wait for their turn. */
  readonly #queue: Deno.Conn[] = [];
  #draining: Promise<void> | undefined;
  #isDrained = false;
  #isClosed = false;
  #failure: { error: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

  /**
   * @param source Where to accept from. It is closed at the end.
   * @param options The options that it was made from.
   */
  constructor(source: Source, options: BacklogOptions) {
    const { listener, path, reusePort, tcpBacklog, onAcceptError } = options;
    const isOurs = listener === undefined && path === undefined;
    this.#acceptor = new Acceptor(source, onAcceptError);
    this.#options = {
      isExclusive: listener === undefined && !reusePort,
      capacity: isOurs ? tcpBacklog : MAX_BACKLOG,
    };
  }

  /**
   * Takes the next connection.
   *
   * @returns The connection, or `undefined` when there will be no more.
   * @throws {unknown} The error of an accept that a retry would not cure, or
   * what the callback threw.
   */
  async next(): Promise<Deno.Conn | undefined> {
    if (!this.#draining) {
      const conn = await this.#acceptor.accept();
      // A drain that began meanwhile adds it to the queue.
      if (!this.#draining) {
        this.#acceptor.take();
        return conn;
      }
    }
    while (!this.#isClosed) {
      const conn = this.#queue.shift();
      if (conn) return conn;
      if (this.#failure) throw this.#failure.error;
      if (this.#isDrained) break;
      await this.#changed.promise;
    }
    return undefined;
  }

  /**
   * Accepts all connections established by now, for `next()` to hand out, and
   * closes the listener without losing one.
   *
   * @returns Resolves when the listener is closed.
   */
  drain(): Promise<void> {
    return this.#draining ??= this.#drain();
  }

  /** Closes the listener, which resets its backlog, and the queue, at once. */
  close(): void {
    this.#isClosed = true;
    this.#acceptor.abort();
    for (const conn of this.#queue) closeQuietly(conn);
  }

  /**
   * The connections that were accepted but not handed out, after `close()`.
   *
   * @returns Those connections, closed.
   */
  async rest(): Promise<Deno.Conn[]> {
    await this.#draining;
    return this.#queue.splice(0);
  }

  async #drain(): Promise<void> {
    try {
      await drain(this.#acceptor, this.#options, (conns) => {
        this.#enqueue(conns);
      });
    } catch (error) {
      this.#failure = { error };
    }
    this.#isDrained = true;
    this.#signalChange();
  }

  #enqueue(conns: Deno.Conn[]): void {
    if (this.#isClosed) { for (const conn of conns) closeQuietly(conn); }
    this.#queue.push(...conns);
    this.#signalChange();
  }

  #signalChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
