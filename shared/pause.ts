/**
 * Waiting that gives I/O its turn.
 *
 * @module
 */

/** A wait that can be ended early. If it is not, I/O has had its turn. */
export class Pause {
  readonly ended: Promise<void>;
  readonly #end: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #immediate: ReturnType<typeof setImmediate>;

  constructor(milliseconds: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    // A timer set by a timer may run before I/O does.
    this.#immediate = setImmediate(() => {
      this.#timer = setTimeout(resolve, milliseconds);
    });
  }

  end(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#end();
  }
}
