/**
 * The writing half of an exchange: bytes to the socket, and the FIN after them.
 *
 * @module
 */

import { sendBytes } from "../shared/body.ts";
import type { Socket } from "../shared/socket.ts";
import type { State } from "./state.ts";
import type { TimeLimits } from "./time_limits.ts";

/** Writes to the client of one exchange. */
export class WritingHalf {
  /** How many bytes of the response the kernel has taken. */
  bytesWritten = 0;

  readonly #socket: Socket;
  readonly #state: State;
  readonly #limits: TimeLimits;
  #isFinal = false;

  constructor(socket: Socket, state: State, limits: TimeLimits) {
    this.#socket = socket;
    this.#state = state;
    this.#limits = limits;
  }

  /** Whether nothing more can be written: the FIN is sent, or about to be. */
  get isFinal(): boolean {
    return this.#isFinal;
  }

  /** Whether nothing was sent to the client, and nothing is being sent. */
  get isUntouched(): boolean {
    return this.bytesWritten === 0 && !this.#limits.isWriting && !this.#isFinal;
  }

  /** Writes all of `bytes`: `false` if the peer is gone. */
  write(bytes: Uint8Array): Promise<boolean> {
    return sendBytes(bytes, (rest) => this.#writeSome(rest), "response");
  }

  /** Writes some of `bytes`: `undefined` if the peer is gone. */
  async #writeSome(bytes: Uint8Array): Promise<number | undefined> {
    this.#limits.writeBegins();
    let written: number;
    try {
      written = await this.#socket.write(bytes);
    } catch (error) {
      this.#state.cutByPeer("reset", "writing", error);
      return undefined;
    } finally {
      this.#limits.writeEnds();
    }
    this.bytesWritten += written;
    return this.#state.cut ? undefined : written;
  }

  /** Sends the FIN: `false` if the peer is gone. */
  async sendFin(): Promise<boolean> {
    this.#isFinal = true;
    this.#limits.writeBegins();
    try {
      await this.#socket.closeWrite();
    } catch (error) {
      this.#state.cutByPeer("reset", "writing", error);
      return false;
    } finally {
      this.#limits.writeEnds();
    }
    return !this.#state.cut;
  }

  /** Sends no FIN, as closing the socket will. */
  endByClosing(): void {
    this.#isFinal = true;
  }

  /** Tells a client why it is refused, and sends the FIN. */
  async sendRefusal(refusal: Uint8Array): Promise<void> {
    this.#isFinal = true;
    for (let sent = 0; sent < refusal.length;) {
      sent += await this.#socket.write(refusal.subarray(sent));
    }
    await this.#socket.closeWrite();
  }
}
