/**
 * The response of an exchange: in one call, or in pieces.
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
import { quietly, QuietWritableStream } from "../shared/quiet.ts";
import type { Closing } from "./closing.ts";
import type { IncomingRequest } from "./request.ts";
import type { State } from "./state.ts";
import { abortError } from "../shared/errors.ts";
import type { WritingHalf } from "./writing.ts";

/**
 * How much may be written before an unread request is dropped: so little that a
 * client need not read it before it goes on sending.
 */
const GREETING_BYTES = 65_536;

/** The response of one exchange. */
export class OutgoingResponse {
  readonly #state: State;
  readonly #request: IncomingRequest;
  readonly #writing: WritingHalf;
  readonly #closing: Closing;
  /** How the response is made, once it has begun. */
  #form: "none" | "in one call" | "in pieces" = "none";
  #responding: Promise<boolean> | undefined;
  #writable: WritableStream<BodyChunk> | undefined;
  #closingWritable: Promise<unknown> | undefined;
  /** How many writes to `writable` were asked for and are not done. */
  #pendingWrites = 0;

  constructor(
    state: State,
    request: IncomingRequest,
    writing: WritingHalf,
    closing: Closing,
  ) {
    this.#state = state;
    this.#request = request;
    this.#writing = writing;
    this.#closing = closing;
  }

  /** Whether a response has been sent or begun. */
  get hasBegun(): boolean {
    return this.#form !== "none";
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
      this.#state.fail(error);
      return quietly(Promise.reject(error));
    }
    const { cut } = this.#state;
    if (cut) {
      if (!(content instanceof Uint8Array)) content.cancel(cut.error);
      return Promise.resolve(false);
    }
    this.#form = "in one call";
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
    if (this.#writing.isFinal || !(isPrepared || this.#form === "in pieces")) {
      return;
    }
    this.#fail(
      new Error(
        "The response was left half written. Close `conn.writable`, and await " +
          "that, before you return or go on with the loop.",
      ),
    );
  }

  /** Cuts the exchange short, as its response cannot be completed. */
  #fail(error: unknown): void {
    this.#state.enter("writing");
    this.#closing.cut("failed", error);
  }

  /** Throws if it is too late for a response. */
  #checkUnanswered(): void {
    if (this.#state.cut) return;
    if (this.hasBegun) {
      throw new TypeError(
        "Cannot respond twice: a response has been sent or begun. Send all of " +
          "it in one call or write to `writable`.",
      );
    }
    if (this.#writing.isFinal) {
      throw new TypeError(
        "Cannot respond: the connection is closed. Await the response before " +
          "you close, return or go on with the loop.",
      );
    }
  }

  /** Throws if something that was written before would be lost. */
  #checkUnwritten(): void {
    if (this.#pendingWrites === 0 || this.#state.cut) return;
    throw new TypeError(
      "Cannot respond: a write to `writable` is pending. Await it, and write " +
        "the rest of the response to `writable`, too.",
    );
  }

  async #respond(content: Uint8Array | ChunkSource): Promise<boolean> {
    try {
      const sent = content instanceof Uint8Array
        ? await this.#writeBytes(content)
        : await this.#writeChunks(content);
      return sent && this.#closing.finish();
    } catch (error) {
      const isFromOutside = this.#state.isFromOutside(error);
      // Nothing is sent yet: allow another response.
      if (this.#writing.bytesWritten > 0) this.#fail(error);
      else {
        this.#form = "none";
        if (!isFromOutside) this.#state.fail(error);
      }
      if (isFromOutside) return false;
      throw error;
    }
  }

  #writeBytes(bytes: Uint8Array): Promise<boolean> {
    this.#request.dropRest();
    return this.#writing.write(bytes);
  }

  /** Writes a chunk that may depend on the request: `false` if the peer is gone. */
  #writeChunk(chunk: Uint8Array): Promise<boolean> {
    const { isWanted, mayBeRead } = this.#request;
    const size = this.#writing.bytesWritten + chunk.length;
    const isNeeded = size <= GREETING_BYTES ? mayBeRead : isWanted;
    if (!isNeeded) this.#request.dropRest();
    return this.#writing.write(chunk);
  }

  /** Writes all chunks of `source`: `false` if the peer is gone. */
  async #writeChunks(source: ChunkSource): Promise<boolean> {
    const isWhole = await sendChunks(
      source,
      (chunk) =>
        source.atHand ? this.#writeBytes(chunk) : this.#writeChunk(chunk),
      (work) => this.#state.raceWithCut(work),
    );
    if (!isWhole) source.cancel(this.#state.cut?.error);
    return isWhole;
  }

  #openWritable(): WritableStream<BodyChunk> {
    const begin = () => {
      if (this.#state.cut) throw this.#state.cut.error;
      if (this.#form === "in pieces") return;
      try {
        this.#checkUnanswered();
      } catch (error) {
        // Perhaps nobody awaits this write, and it is lost.
        this.#state.fail(error);
        throw error;
      }
      this.#form = "in pieces";
      this.#state.enter("writing");
    };
    return new QuietWritableStream({
      write: async (chunk) => {
        begin();
        if (!await this.#writeChunk(chunkBytes(chunk))) {
          throw this.#state.cut?.error;
        }
      },
      close: async () => {
        begin();
        if (!await this.#closing.finish()) throw this.#state.cut?.error;
      },
      abort: (reason = abortError("The response was aborted")) =>
        this.#fail(reason),
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
}
