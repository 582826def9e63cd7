/**
 * Sending a request: its body, and the FIN.
 *
 * @module
 */

import { type ChunkSource, sendBytes, sendChunks } from "../shared/body.ts";
import type { ClientSocket } from "./connecting.ts";

/** The sending of one request. */
export class Sending {
  readonly #socket: ClientSocket;
  #stopped: { error: unknown } | undefined;
  /** Rejects the work that is pending when the sending is stopped. */
  #stopWaiting: ((error: unknown) => void) | undefined;
  #refusal: unknown;

  constructor(socket: ClientSocket) {
    this.#socket = socket;
  }

  /** The error of a server that takes no more of the request, if any. */
  get refusal(): unknown {
    return this.#refusal;
  }

  /** Stops, whatever is under way. The socket is already closed. */
  stop(error: unknown): void {
    this.#stopped = { error };
    this.#stopWaiting?.(error);
  }

  /** Sends the request and the FIN: `false` if not all could be sent. */
  async send(content: Uint8Array | ChunkSource): Promise<boolean> {
    const isWhole = content instanceof Uint8Array
      ? await this.#writeAll(content)
      : await this.#writeChunks(content);
    if (!isWhole) return false;
    return await this.#attempt(() => this.#closeWrite()) ?? false;
  }

  async #writeChunks(source: ChunkSource): Promise<boolean> {
    const isWhole = await sendChunks(
      source,
      (chunk) => this.#writeAll(chunk),
      (work) => this.#raceWithStop(work),
    );
    if (!isWhole) {
      source.cancel(this.#stopped ? this.#stopped.error : this.#refusal);
    }
    return isWhole;
  }

  #writeAll(bytes: Uint8Array): Promise<boolean> {
    return sendBytes(
      bytes,
      (rest) => this.#attempt(() => this.#socket.write(rest)),
      "request",
    );
  }

  async #closeWrite(): Promise<true> {
    await this.#socket.closeWrite();
    return true;
  }

  /**
   * Returns the result of `act`, or `undefined` if the server takes no more.
   * That is not an error yet: the reply may be there, or on its way.
   */
  async #attempt<T>(act: () => Promise<T>): Promise<T | undefined> {
    if (this.#stopped) return undefined;
    try {
      return await act();
    } catch (error) {
      this.#refusal = error;
      return undefined;
    }
  }

  /** Waits for `work`, or rejects as soon as the sending is stopped. */
  #raceWithStop<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#stopWaiting = reject;
      work.then(resolve, reject);
      if (this.#stopped) reject(this.#stopped.error);
    });
  }
}
