/**
 * Waiting that gives I/O its turn.
 *
 * @module
 */

import { startTimer } from "./timer.ts";

/** A wait that can be ended early. If it is not, I/O has had its turn. */
export class Pause {
  readonly ended: Promise<void>;
  readonly #end: () => void;
  #timer: ReturnType<typeof startTimer>;
  readonly #immediate: ReturnType<typeof setImmediate>;

  constructor(milliseconds: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    // A timer set by a timer may run before I/O does.
    this.#immediate = setImmediate(() => {
      this.#timer = startTimer(resolve, milliseconds);
    });
  }

  end(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#end();
  }
}

/**
 * A long wait that can be ended early, in steps: while our event loop is blocked,
 * time passes and I/O has no turn, and then a single timer would come first.
 */
export class LongPause {
  readonly ended: Promise<void>;
  #step: Pause | undefined;
  #isOver = false;

  constructor(milliseconds: number) {
    this.ended = this.#wait(milliseconds / STEPS);
  }

  async #wait(milliseconds: number): Promise<void> {
    for (let step = 0; step < STEPS && !this.#isOver; step++) {
      this.#step = new Pause(milliseconds);
      await this.#step.ended;
    }
  }

  end(): void {
    this.#isOver = true;
    this.#step?.end();
  }
}

const STEPS = 10;

/** Waits for the next turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Waits for work, or for so many milliseconds.
 *
 * @param milliseconds How long to wait.
 * @param work The work.
 * @returns Its result, or `undefined` if it took longer.
 */
export async function within<T>(
  milliseconds: number,
  work: Promise<T>,
): Promise<T | undefined> {
  const pause = new Pause(milliseconds);
  const enough = pause.ended.then(() => undefined);
  try {
    return await Promise.race([work, enough]);
  } finally {
    pause.end();
  }
}
