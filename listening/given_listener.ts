/**
 * A listener that the caller has opened.
 *
 * @module
 */

import type { Source } from "./accepting.ts";

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

  /** @throws {TypeError} If it has been closed before it was used. */
  async accept(): Promise<Deno.Conn> {
    try {
      return await this.#listener.accept();
    } catch (error) {
      // Deno has no other sign of it.
      const wasClosed = !this.#isUsed && !this.#isClosed &&
        error instanceof Deno.errors.BadResource;
      if (!wasClosed) throw error;
      throw new TypeError(
        'Cannot listen: option "listener" is closed, give one that is open and ' +
          "leave it open",
        { cause: error },
      );
    } finally {
      this.#isUsed = true;
    }
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
