/**
 * Waking those who wait for a change.
 *
 * @module
 */

/** Wakes all who wait for the next change. */
export class Wakeup {
  #waiting: PromiseWithResolvers<void> | undefined;

  /** Resolves at the next `wake()`. */
  wait(): Promise<void> {
    return (this.#waiting ??= Promise.withResolvers()).promise;
  }

  wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}
