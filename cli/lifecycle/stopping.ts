/**
 * How the server stops.
 *
 * @module
 */

import type { Server } from "../../server.ts";
import { startTimer } from "../../shared/timer.ts";
import type { Observers } from "../shared/observer.ts";

/**
 * The way to the end. The first signal may make the server a lame duck: it goes
 * on serving for a while, but says that it is about to stop. Then it drains: it
 * serves its backlog. A further signal ends the lame-duck time, or else cuts.
 */
export class Stopping implements Disposable {
  readonly #lameDuck: number;
  readonly #observers: Observers;
  readonly #cut = new AbortController();
  #drain: () => Promise<void> = () => Promise.resolve();
  #isSignalled = false;
  #isDraining = false;
  /** Runs during the lame-duck time. */
  #timer: ReturnType<typeof startTimer>;
  #status = 0;

  /**
   * @param lameDuck The lame-duck time in milliseconds.
   * @param observers Told that the server stops.
   */
  constructor(lameDuck: number, observers: Observers) {
    this.#lameDuck = lameDuck;
    this.#observers = observers;
  }

  /** The exit status: that of the signal that cut the server, or else 0. */
  get status(): number {
    return this.#status;
  }

  /** Aborted when everything must end at once. */
  get signal(): AbortSignal {
    return this.#cut.signal;
  }

  /**
   * Waits for the end of a server. Its handler may stop it, too: then all are
   * told as well.
   */
  async follow(server: Server): Promise<void> {
    this.#drain = server.shutdown.bind(server);
    server.shutdown = () => this.drain();
    await server.finished;
    // Wait for clients that are still being sent a refusal.
    await this.#drain();
  }

  /** Drains at once, for a reason other than a signal. */
  drain(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isDraining) {
      this.#isDraining = true;
      this.#observers.stopping(0);
    }
    return this.#drain();
  }

  /** Ends everything at once. */
  cut(reason: unknown): void {
    this.#cut.abort(reason);
  }

  /**
   * Heeds a signal. Only SIGTERM makes a lame duck: who presses Ctrl-C, or has
   * closed the terminal, does not wait for a balancer.
   *
   * @param signal The signal.
   * @param status The exit status if it cuts the server.
   */
  heed(signal: Deno.Signal, status: number): void {
    const isFirst = !this.#isSignalled;
    this.#isSignalled = true;
    const isWarning = isFirst && signal === "SIGTERM" && this.#lameDuck > 0;
    if (isWarning && !this.#isDraining) {
      this.#observers.stopping(this.#lameDuck);
      this.#timer = startTimer(() => this.drain(), this.#lameDuck);
    } else if (isFirst || this.#timer !== undefined) {
      this.drain();
    } else {
      this.#status = status;
      this.cut(new Error(`Stopped by another ${signal}`));
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
