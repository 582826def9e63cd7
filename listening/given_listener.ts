/**
 * A listener that the caller has opened.
 *
 * @module
 */

import type { Source } from "./accepting.ts";

/** More than a rejection takes to come by, in a row and without I/O. */
const MICROTASKS = 16;

/** Accepts from a listener, and tells if that was closed from the beginning. */
export class GivenListener implements Source {
  readonly #listener: Deno.Listener;
  #isUsed = false;
  #isClosed = false;

  /** @param listener The listener. From now on it is ours. */
  constructor(listener: Deno.Listener) {
    this.#listener = listener;
  }

  get addr(): Deno.Addr {
    return this.#listener.addr;
  }

  /** @throws {TypeError} If it was closed before it was given. */
  async accept(): Promise<Deno.Conn> {
    const accepting = this.#listener.accept();
    if (this.#isUsed) return await accepting;
    this.#isUsed = true;
    const error = await rejectedAtOnce(accepting);
    if (this.#isClosed || !(error instanceof Deno.errors.BadResource)) {
      return await accepting;
    }
    throw new TypeError(
      'Cannot listen: option "listener" is closed. Give one that is open.',
      { cause: error },
    );
  }

  close(): void {
    this.#isClosed = true;
    this.#listener.close();
  }

  ref(): void {
    this.#listener.ref();
  }

  unref(): void {
    this.#listener.unref();
  }
}

/**
 * What a promise rejects with, if it does so before I/O has its turn. Only that
 * tells an accept that cannot begin from one that is ended later.
 */
async function rejectedAtOnce(promise: Promise<unknown>): Promise<unknown> {
  let rejected: unknown;
  promise.catch((error) => rejected = error);
  for (let turn = 0; turn < MICROTASKS; turn++) await undefined;
  return rejected;
}
