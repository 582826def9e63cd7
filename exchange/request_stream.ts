/**
 * The request as a stream of bytes.
 *
 * @module
 */

import { QuietReadableStream } from "../shared/quiet.ts";
import { RequestChunks } from "./request_bytes.ts";

/** Where a stream gets its bytes, and what it calls when it is used. */
export interface StreamSource {
  /**
   * All of the request in pieces if it is complete, or else a borrowed buffer.
   * Both are `undefined` if it can no longer be read.
   */
  readonly pieces: Uint8Array<ArrayBuffer>[] | undefined;
  readonly buffer: Uint8Array<ArrayBuffer> | undefined;
  /** Why it can no longer be read. */
  fault(): unknown;
  /** Called before anything is taken from the stream. */
  onPull(): void;
  /** Reads from the socket: returns the number of bytes, `null` at the end. */
  read(into: Uint8Array<ArrayBuffer>): Promise<number | null>;
  /** Called after a read. It throws if what was read can no longer be used. */
  onRead(room: Uint8Array<ArrayBuffer>, read: number | null): void;
  onCancel(): void;
}

/** The stream of a request. Readers may bring their own buffer. */
export class RequestStream {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  #controller: ReadableByteStreamController | undefined;

  constructor(source: StreamSource) {
    const { pieces, buffer } = source;
    const chunks = buffer && new RequestChunks(buffer);
    this.readable = new QuietReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#controller = controller;
        if (!pieces && !chunks) this.fail(source.fault());
      },
      pull: async (controller) => {
        source.onPull();
        const piece = pieces?.shift();
        if (piece) return controller.enqueue(piece);
        const byob = controller.byobRequest;
        const view = byob?.view as Uint8Array<ArrayBuffer> | undefined;
        const room = pieces ? undefined : view ?? chunks?.room;
        const read = room ? await source.read(room) : null;
        if (room) source.onRead(room, read);
        if (read === null) controller.close();
        else if (!view && chunks) controller.enqueue(chunks.take(read));
        byob?.respond(read ?? 0);
      },
      cancel: () => source.onCancel(),
    }, { highWaterMark: 0 });
  }

  /** Makes all further reads fail with `error`. */
  fail(error: unknown): void {
    this.#controller?.error(error);
  }
}
