/**
 * The writing half of an exchange: the response, and the FIN after it.
 *
 * @module
 */

import {
  type BodyChunk,
  chunkBytes,
  type ChunkSource,
  openBody,
  type ResponseBody,
  sendChunks,
} from "../shared/body.ts";
import type { Socket } from "./socket.ts";
import { abortError, type State } from "./state.ts";
import type { TimeLimits } from "./time_limits.ts";
import { quietly, QuietWritableStream } from "../shared/quiet.ts";

/** What the writing half needs from the whole exchange. */
export interface Whole {
  /** Whether an error comes from the client, a limit or the server's end. */
  isFromOutside(error: unknown): boolean;
  /** Records a fault of the handler. */
  fail(error: unknown): void;
  /**
   * Called before each write.
   *
   * @param isAtHand Whether the bytes do not depend on what the client still
   * sends.
   * @param isGreeting Whether these are the first bytes, so few that the client
   * need not read them before it goes on sending.
   */
  beforeWrite(isAtHand: boolean, isGreeting: boolean): void;
  /** Sends the FIN and closes: `false` if the peer is gone. */
  finish(): Promise<boolean>;
}

/** How much may be written before an unread request is dropped. */
const GREETING_BYTES = 65_536;

/** The response of one exchange. */
export class WritingHalf {
  /** How many bytes of the response the kernel has taken. */
  bytesWritten = 0;

  readonly #socket: Socket;
  readonly #state: State;
  readonly #limits: TimeLimits;
  readonly #whole: Whole;
  /** How the response is made, once it has begun. */
  #response: "none" | "in one call" | "in pieces" = "none";
  #responding: Promise<boolean> | undefined;
  #writable: WritableStream<BodyChunk> | undefined;
  #closingWritable: Promise<unknown> | undefined;
  /** How many writes to `writable` were asked for and are not done. */
  #pendingWrites = 0;
  #isFinal = false;

  constructor(
    socket: Socket,
    state: State,
    limits: TimeLimits,
    whole: Whole,
  ) {
    this.#socket = socket;
    this.#state = state;
    this.#limits = limits;
    this.#whole = whole;
  }

  /** Whether a response has been sent or begun. */
  get hasBegun(): boolean {
    return this.#response !== "none";
  }

  /** Whether nothing was sent to the client, and nothing is being sent. */
  get isUntouched(): boolean {
    return this.bytesWritten === 0 && !this.#limits.isWriting && !this.#isFinal;
  }

  get writable(): WritableStream<BodyChunk> {
    return this.#writable ??= this.#openWritable();
  }

  /** Sends a response, and ends the exchange: `false` if the peer is gone. */
  respond(body: ResponseBody): Promise<boolean> {
    let content: Uint8Array | ChunkSource;
    try {
      this.#checkUnanswered();
      this.#checkUnwritten();
      content = openBody(body);
    } catch (error) {
      this.#whole.fail(error);
      return quietly(Promise.reject(error));
    }
    const { cut } = this.#state;
    if (cut) {
      if (!(content instanceof Uint8Array)) content.cancel(cut.error);
      return Promise.resolve(false);
    }
    this.#response = "in one call";
    this.#state.enter("writing");
    return this.#responding = quietly(this.#respond(content));
  }

  /** Waits until a response or a close under way is done or has failed. */
  async settled(): Promise<void> {
    if (this.#responding) await this.#responding.catch(() => {});
    if (this.#closingWritable) await this.#closingWritable;
  }

  /** Cuts the exchange short if a response in pieces was not closed. */
  cutIfHalfWritten(): void {
    const isPrepared = !this.hasBegun &&
      (this.#writable?.locked === true || this.#pendingWrites > 0);
    if (this.#isFinal || !(isPrepared || this.#response === "in pieces")) {
      return;
    }
    this.#state.cutShort(
      "failed",
      "writing",
      new Error(
        "The response was left half written: close `conn.writable`, and await " +
          "that, before you return or go on with the loop",
      ),
    );
  }

  /** Marks the response as complete: closing the socket will send the FIN. */
  endByClosing(): void {
    this.#isFinal = true;
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

  /** Tells a client why it is refused, and sends the FIN. */
  async sendRefusal(refusal: Uint8Array): Promise<void> {
    this.#response = "in one call";
    this.#isFinal = true;
    for (let sent = 0; sent < refusal.length;) {
      sent += await this.#socket.write(refusal.subarray(sent));
    }
    await this.#socket.closeWrite();
  }

  /** Throws if it is too late for a response. */
  #checkUnanswered(): void {
    if (this.#state.cut) return;
    if (this.hasBegun) {
      throw new TypeError(
        "Cannot respond twice: a response has been sent or begun, send all of " +
          "it in one call or write to `writable`",
      );
    }
    if (this.#isFinal) {
      throw new TypeError(
        "Cannot respond, the connection is closed: await the response before " +
          "you close, return or go on with the loop",
      );
    }
  }

  /** Throws if something that was written before would be lost. */
  #checkUnwritten(): void {
    if (this.#pendingWrites === 0 || this.#state.cut) return;
    throw new TypeError(
      "Cannot respond, a write to `writable` is pending: await it, and write " +
        "the rest of the response to `writable`, too",
    );
  }

  async #respond(content: Uint8Array | ChunkSource): Promise<boolean> {
    try {
      const sent = content instanceof Uint8Array
        ? await this.#writeBytes(content)
        : await this.#writeChunks(content);
      return sent && await this.#whole.finish();
    } catch (error) {
      const isFromOutside = this.#whole.isFromOutside(error);
      // A body that reads the request fails with it: allow another response.
      if (isFromOutside && this.bytesWritten === 0) this.#response = "none";
      else this.#state.cutShort("failed", "writing", error);
      if (isFromOutside) return false;
      throw error;
    }
  }

  #writeBytes(bytes: Uint8Array): Promise<boolean> {
    this.#whole.beforeWrite(true, false);
    return this.#writeAll(bytes);
  }

  /** Writes a chunk of a response: `false` if the peer is gone. */
  #writeChunk(chunk: Uint8Array, isAtHand: boolean): Promise<boolean> {
    const isGreeting = this.bytesWritten + chunk.length <= GREETING_BYTES;
    this.#whole.beforeWrite(isAtHand, isGreeting);
    return this.#writeAll(chunk);
  }

  /** Writes all chunks of `source`: `false` if the peer is gone. */
  async #writeChunks(source: ChunkSource): Promise<boolean> {
    const isWhole = await sendChunks(
      source,
      (chunk) => this.#writeChunk(chunk, source.atHand),
      (work) => this.#state.raceWithCut(work),
    );
    if (!isWhole) source.cancel(this.#state.cut?.error);
    return isWhole;
  }

  #openWritable(): WritableStream<BodyChunk> {
    const begin = () => {
      if (this.#state.cut) throw this.#state.cut.error;
      if (this.#response === "in pieces") return;
      try {
        this.#checkUnanswered();
      } catch (error) {
        // Perhaps nobody awaits this write, and it is lost.
        this.#whole.fail(error);
        throw error;
      }
      this.#response = "in pieces";
      this.#state.enter("writing");
    };
    return new QuietWritableStream({
      write: async (chunk) => {
        begin();
        if (!await this.#writeChunk(chunkBytes(chunk), false)) {
          throw this.#state.cut?.error;
        }
      },
      close: async () => {
        begin();
        if (!await this.#whole.finish()) throw this.#state.cut?.error;
      },
      abort: (reason = abortError("The response was aborted")) =>
        this.#state.cutShort("failed", "writing", reason),
    }, {
      onWrite: (writing) => {
        this.#pendingWrites++;
        const settle = () => void this.#pendingWrites--;
        writing.then(settle, settle);
      },
      onClose: (closing) => {
        const closings = [this.#closingWritable, closing];
        this.#closingWritable = Promise.allSettled(closings);
      },
    });
  }

  /** Writes all of `bytes`: `false` if the peer is gone. */
  async #writeAll(bytes: Uint8Array): Promise<boolean> {
    const size = bytes.length;
    let written = size;
    for (let sent = 0; sent < size; sent += written) {
      if (written === 0 || bytes.length !== size) {
        throw new TypeError(
          "Cannot write the response: its buffer was detached meanwhile, send a copy",
        );
      }
      this.#limits.writeBegins();
      try {
        written = await this.#socket.write(
          sent === 0 ? bytes : bytes.subarray(sent),
        );
      } catch (error) {
        this.#state.cutByPeer("reset", "writing", error);
        return false;
      } finally {
        this.#limits.writeEnds();
      }
      this.bytesWritten += written;
      if (this.#state.cut) return false;
    }
    return !this.#state.cut;
  }
}
