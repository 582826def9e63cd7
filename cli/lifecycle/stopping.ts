/**
 * How the server stops.
 *
 * @module
 */

import { startTimer } from "../../shared/timer.ts";

/** What is done to stop the server. */
export interface StopActions {
  /** Tells everybody that the backlog is served after so many milliseconds. */
  announce(delay: number): void;
  /** Serves the backlog. */
  drain(): void;
  /** Ends everything at once. */
  cut(signal: Deno.Signal): void;
}

/**
 * The way to the end. The first signal may make the server a lame duck: it goes
 * on serving for a while, but says that it is about to stop. Then it drains: it
 * serves its backlog. A further signal ends the lame-duck time, or else cuts.
 */
export class Stopping implements Disposable {
  readonly #lameDuck: number;
  readonly #actions: StopActions;
  #isSignalled = false;
  #isDraining = false;
  /** Runs during the lame-duck time. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #status = 0;

  /**
   * @param lameDuck The lame-duck time in milliseconds.
   * @param actions What is done.
   */
  constructor(lameDuck: number, actions: StopActions) {
    this.#lameDuck = lameDuck;
    this.#actions = actions;
  }

  /** The exit status: that of the signal that cut the server, or else 0. */
  get status(): number {
    return this.#status;
  }

  /** Drains at once, for a reason other than a signal. */
  drain(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#actions.announce(0);
    this.#actions.drain();
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
      this.#actions.announce(this.#lameDuck);
      this.#timer = startTimer(() => this.drain(), this.#lameDuck);
    } else if (isFirst || this.#timer !== undefined) {
      this.drain();
    } else {
      this.#status = status;
      this.#actions.cut(signal);
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
