/**
 * The connections of a listener, in the order of their arrival.
 *
 * @module
 */

import { drain, type DrainOptions } from "../draining/drain.ts";
import { closeQuietly } from "../shared/quiet.ts";
import type { Socket } from "../shared/socket.ts";
import { Wakeup } from "../shared/wakeup.ts";
import { Acceptor, type Source } from "./accepting.ts";
import type { CheckedOptions } from "./checked_options.ts";

/** The default of Linux's net.core.somaxconn, which bounds every backlog. */
const MAX_BACKLOG = 4096;

/** How long nobody has a turn, at most, while the backlog is drained. */
const MAX_HOLD_MS = 500;

/** Hands out connections: from the kernel, or while draining from a queue. */
export class ConnectionQueue {
  #acceptor: Acceptor;
  /** The listeners that will take its place, already open. */
  readonly #successors = new Set<Acceptor>();
  readonly #onAcceptError: (error: Error) => void;
  readonly #options: DrainOptions;
  /** Accepted while draining: connections that wait for their turn. */
  readonly #queue: Socket[] = [];
  /** The drains under way: one of them after the other. */
  #drains = 0;
  #lastDrain: Promise<void> | undefined;
  #finalDrain: Promise<void> | undefined;
  /** While nobody may have a turn: resolves at the end of that. */
  #held: PromiseWithResolvers<void> | undefined;
  #isDrained = false;
  #isClosed = false;
  #failure: { error: unknown } | undefined;
  readonly #change = new Wakeup();

  /**
   * @param source Where to accept from. It is closed at the end.
   * @param options The options that it was made from.
   * @param isBusy Whether any connection that was handed out is still open.
   */
  constructor(source: Source, options: CheckedOptions, isBusy: () => boolean) {
    const { listener, path, reusePort, tcpBacklog, onAcceptError } = options;
    const isOurs = listener === undefined && path === undefined;
    this.#onAcceptError = (error) => {
      // Only at the end of a turn somebody else may be accepted.
      this.#release();
      onAcceptError?.(error);
    };
    this.#acceptor = new Acceptor(source, this.#onAcceptError);
    this.#options = {
      isBusy: () => this.#queue.length > 0 || isBusy(),
      isExclusive: listener === undefined && !reusePort,
      capacity: isOurs ? tcpBacklog : MAX_BACKLOG,
    };
  }

  /** How many were accepted and not handed out. */
  get queued(): number {
    return this.#queue.length + this.#acceptor.queued;
  }

  /**
   * Takes the next connection.
   *
   * @returns The connection, or `undefined` when there will be no more.
   * @throws {unknown} The error of a broken listener, or what the callback threw.
   */
  async next(): Promise<Socket | undefined> {
    while (!this.#isClosed) {
      if (this.#held) {
        await this.#held.promise;
        continue;
      }
      const conn = this.#queue.shift();
      if (conn) return conn;
      if (this.#failure) throw this.#failure.error;
      if (this.#isDrained) break;
      if (this.#drains > 0) {
        await this.#change.wait();
        continue;
      }
      const acceptor = this.#acceptor;
      const accepted = await acceptor.accept();
      // A drain that began meanwhile adds it to the queue.
      if (this.#drains > 0 || acceptor !== this.#acceptor) continue;
      acceptor.take();
      return accepted;
    }
    return undefined;
  }

  /**
   * While the backlog is drained nobody may have a turn, for a moment: clients
   * that wait for their replies before they connect again come no more then, and
   * the backlog can be seen to be empty.
   *
   * @returns Resolves at the end of that, or `undefined` at any other time.
   */
  get released(): Promise<void> | undefined {
    return this.#held?.promise;
  }

  /**
   * Accepts all connections established by now, for `next()` to hand out, and
   * closes the listener without losing one.
   *
   * @returns Resolves when the listener is closed.
   */
  drain(): Promise<void> {
    return this.#finalDrain ??= this.#drain();
  }

  /**
   * Drains the listener, as `drain()` does, while another one is already open
   * in its place, and goes on with that one.
   *
   * @param source Where to accept from then. It is closed at the end.
   * @returns Resolves when the former listener is closed.
   */
  async replace(source: Source): Promise<void> {
    const successor = new Acceptor(source, this.#onAcceptError);
    if (this.#isClosed || this.#finalDrain) return successor.close();
    this.#successors.add(successor);
    await this.#drain(successor);
  }

  /** Closes the listener, which resets its backlog, and the queue, at once. */
  close(): void {
    this.#isClosed = true;
    this.#release();
    this.#acceptor.abort();
    for (const successor of this.#successors) successor.abort();
    for (const conn of this.#queue) closeQuietly(conn);
  }

  /**
   * The connections that were accepted but not handed out, after `close()`.
   *
   * @returns Those connections, closed.
   */
  async rest(): Promise<Socket[]> {
    await this.#lastDrain;
    return [...this.#queue.splice(0), ...await this.#acceptor.leave()];
  }

  /** Drains the listener, and goes on with another one if there is one. */
  #drain(successor?: Acceptor): Promise<void> {
    this.#drains++;
    return this.#lastDrain = this.#drainAfter(this.#lastDrain, successor);
  }

  async #drainAfter(
    others: Promise<void> | undefined,
    successor: Acceptor | undefined,
  ): Promise<void> {
    if (others) await others;
    if (this.#acceptor.canLeave) {
      this.#enqueue(await this.#acceptor.leave());
      return this.#drained(successor);
    }
    this.#held = Promise.withResolvers();
    const timer = setTimeout(() => this.#release(), MAX_HOLD_MS);
    try {
      await drain(this.#acceptor, this.#options, (conns) => {
        this.#enqueue(conns);
      });
    } catch (error) {
      this.#failure = { error };
    }
    clearTimeout(timer);
    this.#drained(successor);
  }

  #drained(successor: Acceptor | undefined): void {
    if (successor) {
      this.#acceptor = successor;
      this.#successors.delete(successor);
    } else this.#isDrained = true;
    this.#drains--;
    this.#release();
    this.#change.wake();
  }

  #release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  #enqueue(conns: Socket[]): void {
    if (this.#isClosed) { for (const conn of conns) closeQuietly(conn); }
    this.#queue.push(...conns);
    this.#change.wake();
  }
}
