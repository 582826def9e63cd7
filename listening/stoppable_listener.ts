/**
 * What a listener is apart from its loop: how it begins, goes on and stops.
 *
 * @module
 */

import type { Exchange } from "../conn.ts";
import { abortError } from "../shared/errors.ts";
import { within } from "../shared/pause.ts";
import { writeToConsole } from "../shared/thrown.ts";
import type { Source } from "./accepting.ts";
import { bind } from "./bind.ts";
import { withRejections } from "./callbacks.ts";
import { type Certificate, withCertificate } from "./certificate.ts";
import type { CheckedOptions } from "./checked_options.ts";
import { ConnectionQueue } from "./connection_queue.ts";
import { Exchanges } from "./exchanges.ts";
import type { Listener } from "./listener.ts";
import { Turns } from "./turns.ts";

/** How long `shutdown()` waits for a loop after its exchange was cut. */
const GRACE_MS = 100;

/** A listener, for a loop that takes one exchange after another. */
export class StoppableListener<Addr extends Deno.Addr>
  implements Omit<Listener<Addr>, typeof Symbol.asyncIterator> {
  readonly #options: CheckedOptions;
  #source: Source;
  readonly #queue: ConnectionQueue;
  readonly #exchanges: Exchanges<Addr>;
  readonly #turns: Turns<Addr>;
  #isRunning = false;
  #hasEnded = false;
  #shuttingDown: Promise<void> | undefined;
  readonly #ended = Promise.withResolvers<void>();

  constructor(given: CheckedOptions) {
    const options = withRejections(given, (error) => this.fail(error));
    const { signal, readAhead } = options;
    this.#options = options;
    this.#source = bind(options);
    const isBusy = () => this.inHand + this.lingering > 0;
    this.#queue = new ConnectionQueue(this.#source, options, isBusy);
    this.#exchanges = new Exchanges(options, this.addr);
    this.#turns = new Turns(readAhead, this.#queue, this.#exchanges);
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort);
  }

  // What the loop calls.

  /** Waits for the next exchange whose turn has come, if there is any more. */
  next(): Promise<Exchange<Addr> | undefined> {
    this.#isRunning = true;
    return this.#turns.next();
  }

  /** Moves on from an exchange that is closed or lingers. */
  record(exchange: Exchange<Addr>): void {
    this.#exchanges.record(exchange);
  }

  /**
   * Ends the loop with the error of a callback, whose promise has rejected. After
   * the end only the console can be told.
   */
  fail(error: unknown): void {
    if (this.#hasEnded) writeToConsole(error);
    else this.#turns.fail(error);
  }

  /** The loop ends: records what was accepted but not served. */
  async end(): Promise<void> {
    this.#stop(abortError("The loop was left"));
    try {
      await this.#turns.end();
    } finally {
      this.#hasEnded = true;
      this.#ended.resolve();
      this.#exchanges.lingering.closed().then(() => this.#forgetSignal());
    }
  }

  // The public part, documented with `Listener`.

  get addr(): Addr {
    return this.#source.addr as Addr;
  }

  get inHand(): number {
    return this.#exchanges.inHand;
  }

  get queued(): number {
    return this.#queue.queued;
  }

  get lingering(): number {
    return this.#exchanges.lingering.size;
  }

  shutdown(): Promise<void> {
    return this.#shuttingDown ??= this.#shutDown();
  }

  async setCertificate(certificate: Certificate): Promise<void> {
    const options = withCertificate(this.#options, certificate);
    const { port } = this.addr as unknown as Deno.NetAddr;
    const isOver = this.#shuttingDown || this.#exchanges.isStopped;
    if (isOver) throw abortError("The server is stopping");
    this.#source = bind({ ...options, port });
    await this.#queue.replace(this.#source);
  }

  close(): void {
    this.#abort(abortError("The server was closed"));
  }

  ref(): void {
    this.#source.ref();
    this.#exchanges.ref();
  }

  unref(): void {
    this.#source.unref();
    this.#exchanges.unref();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** Serves the backlog, for one more `deadline` at most. */
  async #shutDown(): Promise<void> {
    if (!this.#isRunning) this.close();
    if (!this.#exchanges.isStopped) this.#queue.drain();
    const { deadline, lingerTimeout } = this.#options;
    const end = performance.now() + deadline;
    const ended = this.#ended.promise.then(() => true);
    if (this.#isRunning && !await within(deadline, ended)) {
      this.close();
      await within(GRACE_MS, ended);
    }
    const rest = Math.max(end - performance.now(), 0);
    await this.#exchanges.lingering.closed(Math.min(lingerTimeout, rest));
  }

  readonly #onAbort = (): void => this.#abort(this.#options.signal?.reason);

  #forgetSignal(): void {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  /** Ends everything at once, including lingering connections. */
  #abort(reason: unknown): void {
    this.#stop(reason);
    this.#exchanges.lingering.close();
  }

  #stop(reason: unknown): void {
    if (this.#exchanges.isStopped) return;
    if (!this.#isRunning) this.#forgetSignal();
    this.#queue.close();
    this.#exchanges.stop(reason);
    // There is no loop that would record those who were accepted nevertheless.
    if (!this.#isRunning) this.end().catch((error) => this.fail(error));
  }
}
