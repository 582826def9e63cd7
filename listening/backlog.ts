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

/** What there is to know of a listener. */
export type BacklogOptions = Pick<
  CheckedOptions,
  "listener" | "path" | "reusePort" | "tcpBacklog" | "onAcceptError"
>;

/** Hands out connections: from the kernel's queue, once draining from its own. */
export class Backlog {
  readonly #acceptor: Acceptor;
  readonly #options: DrainOptions;
  /** Once draining: what has been accepted and waits for its turn. */
  readonly #queue: Deno.Conn[] = [];
  #draining: Promise<void> | undefined;
  #isDrained = false;
  #isClosed = false;
  #failure: { error: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

  /**
   * @param source Where to accept from. It is closed in the end.
   * @param options What it was made from.
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
   * @throws {unknown} The error of an accept that no later one will cure, or
   * what the callback threw.
   */
  async next(): Promise<Deno.Conn | undefined> {
    if (!this.#draining) {
      const conn = await this.#acceptor.accept();
      // A drain that began meanwhile puts it in line with the others.
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
   * Accepts all that is established by now, for `next()` to hand out, and closes
   * the listener without a loss.
   *
   * @returns Resolves when the listener is closed.
   */
  drain(): Promise<void> {
    return this.#draining ??= this.#drain();
  }

  /** Closes at once: the listener, so that its queue is reset, and what waits. */
  close(): void {
    this.#isClosed = true;
    this.#acceptor.abort();
    for (const conn of this.#queue) closeQuietly(conn);
  }

  /**
   * After `close()`, what was accepted and not handed out.
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
    this.#tellChange();
  }

  #enqueue(conns: Deno.Conn[]): void {
    if (this.#isClosed) { for (const conn of conns) closeQuietly(conn); }
    this.#queue.push(...conns);
    this.#tellChange();
  }

  #tellChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
