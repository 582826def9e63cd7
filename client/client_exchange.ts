/**
 * Sends a request and reads its reply, both at the same time.
 *
 * @module
 */

import type { ChunkSource } from "../shared/body.ts";
import { abortError } from "../shared/errors.ts";
import { parseJson } from "../shared/printable.ts";
import { closeQuietly, quietly } from "../shared/quiet.ts";
import type { ClientSocket } from "./connecting.ts";
import { type Reply, ReplyTooLargeError } from "./reply.ts";
import { Sending } from "./sending.ts";

const READ_BUFFER_BYTES = 65_536;

/** One exchange, as the client sees it; users see {@linkcode Reply}. */
export class ClientExchange implements Reply {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly sent: Promise<boolean>;
  /** Resolves when the first byte of the reply, or its end, has arrived. */
  readonly begun: Promise<void>;

  readonly #socket: ClientSocket;
  readonly #maxReplyBytes: number;
  readonly #response: Response;
  readonly #sending: Sending;
  readonly #onClose: () => void;
  readonly #buffer = new Uint8Array(READ_BUFFER_BYTES);
  readonly #beginning = Promise.withResolvers<void>();
  #controller: ReadableByteStreamController | undefined;
  #bytesRead = 0;
  #replyEnded = false;
  #sendingEnded = false;
  /** Whether the whole request, with its FIN, was sent. */
  #isSent = false;
  /** What cut the exchange short, on our side or while reading. */
  #cut: { error: unknown } | undefined;

  constructor(
    socket: ClientSocket,
    content: Uint8Array | ChunkSource,
    maxReplyBytes: number,
    onClose: () => void,
  ) {
    this.#socket = socket;
    this.#onClose = onClose;
    this.#maxReplyBytes = maxReplyBytes;
    this.begun = this.#beginning.promise;
    this.readable = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#controller = controller;
      },
      pull: async (controller) => {
        const pulled = this.#pull(controller);
        this.#beginning.resolve(pulled);
        await pulled;
      },
      cancel: () => this.cut(discarded()),
    }, {
      // Read one chunk ahead: the first is read before anybody asks for it.
      highWaterMark: 1,
    });
    this.#response = new Response(this.readable);
    this.#sending = new Sending(socket);
    this.sent = quietly(this.#send(content));
  }

  get bodyUsed(): boolean {
    return this.#response.bodyUsed;
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#consume(() => this.#response.bytes());
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#consume(() => this.#response.arrayBuffer());
  }

  text(): Promise<string> {
    return this.#consume(() => this.#response.text());
  }

  json(): Promise<unknown> {
    return this.#consume(() => this.#response.text()).then(parseJson);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#replyEnded) this.cut(discarded());
    await this.sent.catch(() => {});
  }

  /** Ends the exchange at once, whatever is under way. */
  cut(error: unknown): void {
    if (this.#cut) return;
    this.#cut = { error };
    this.#close();
    // The first read may not have begun.
    this.#beginning.reject(error);
    this.#controller?.error(error);
    this.#sending.stop(error);
  }

  #consume<T>(read: () => Promise<T>): Promise<T> {
    if (!this.bodyUsed && !this.readable.locked) return read();
    return Promise.reject(
      new TypeError(
        "Cannot read the reply twice: it has been read or is being read. Keep " +
          "what the first reading gives.",
      ),
    );
  }

  /** Sends the request and the FIN: `false` if not all could be sent. */
  async #send(content: Uint8Array | ChunkSource): Promise<boolean> {
    try {
      this.#isSent = await this.#sending.send(content);
      return this.#isSent;
    } catch (error) {
      if (this.#cut) return false;
      this.cut(error);
      throw error;
    } finally {
      this.#sendingEnded = true;
      this.#closeIfDone();
    }
  }

  async #pull(controller: ReadableByteStreamController): Promise<void> {
    try {
      const read = await this.#read();
      if (read !== null) {
        controller.enqueue(this.#buffer.slice(0, read));
        return;
      }
      this.#replyEnded = true;
      controller.close();
      controller.byobRequest?.respond(0);
      this.#closeIfDone();
    } catch (error) {
      this.cut(error);
      throw error;
    }
  }

  async #read(): Promise<number | null> {
    let read: number | null;
    try {
      read = await this.#socket.read(this.#buffer);
    } catch (error) {
      throw this.#cut ? this.#cut.error : this.#replyFault(error);
    }
    if (this.#cut) throw this.#cut.error;
    if (read === null) {
      this.#checkEnd();
      return null;
    }
    this.#bytesRead += read;
    if (this.#bytesRead > this.#maxReplyBytes) {
      throw new ReplyTooLargeError(this.#maxReplyBytes);
    }
    return read;
  }

  /**
   * The kernel reports a reset only once. If a write got it, reading just ends,
   * as after a FIN; but after a real FIN the write fails with `BrokenPipe`. This
   * is for Unix sockets: others tell it by themselves.
   */
  #checkEnd(): void {
    const { refusal } = this.#sending;
    const isReset = refusal instanceof Deno.errors.ConnectionReset;
    if (isReset && !this.#socket.reset) {
      throw this.#replyFault(refusal);
    }
  }

  /** The error of a reply that the server has cut short. */
  #replyFault(error: unknown): unknown {
    const after = `after ${this.#bytesRead} bytes of its reply`;
    if (error instanceof Deno.errors.ConnectionReset) {
      return new Deno.errors.ConnectionReset(
        `The server reset the connection ${after}`,
        { cause: error },
      );
    }
    if (error instanceof Deno.errors.UnexpectedEof) {
      return new Deno.errors.UnexpectedEof(
        `The server ended TLS without a close_notify ${after}: the reply may ` +
          "have been cut",
        { cause: error },
      );
    }
    return error;
  }

  /** Closes the socket when the reply and the sending have ended. */
  #closeIfDone(): void {
    if (this.#replyEnded && this.#sendingEnded) this.#close();
  }

  /** A request that is not complete must not look so to the server. */
  #close(): void {
    if (!this.#isSent && this.#socket.reset) this.#socket.reset();
    else closeQuietly(this.#socket);
    this.#onClose();
  }
}

function discarded(): DOMException {
  return abortError("The reply was discarded before its end");
}
