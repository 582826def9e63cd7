/**
 * Dropping what a client still sends after its request is of no use.
 *
 * @module
 */

import type { Socket } from "../shared/socket.ts";
import type { TimeLimits } from "./time_limits.ts";

const BUFFER_BYTES = 65_536;

/** Where the dropped bytes of all exchanges go. It is never read. */
let waste: Uint8Array<ArrayBuffer> | undefined;

/** Reads and drops until the client's FIN, so that the client does not block. */
export class Dropping {
  /** Resolves at the FIN, at the end of the budget, or when the socket closes. */
  readonly ended: Promise<void>;
  /** When bytes were dropped last, from `performance.now()`, or 0. */
  lastAt = 0;
  readonly #socket: Socket;
  readonly #limits: TimeLimits;
  readonly #onFin: () => void;
  #budget = Infinity;

  /** @param onFin Called when the client's FIN has been read. */
  constructor(socket: Socket, limits: TimeLimits, onFin: () => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#onFin = onFin;
    this.ended = this.#drop();
  }

  /** Drops at most this many more bytes. */
  dropAtMost(bytes: number): void {
    this.#budget = bytes;
  }

  async #drop(): Promise<void> {
    waste ??= new Uint8Array(BUFFER_BYTES);
    try {
      for (;;) {
        const read = await this.#socket.read(waste);
        if (read === null) break;
        this.#limits.progress();
        this.lastAt = performance.now();
        this.#budget -= read;
        if (this.#budget < 0) return;
      }
      this.#onFin();
    } catch {
      // The server closed the socket, or the writing half will meet the fault.
    }
  }
}
