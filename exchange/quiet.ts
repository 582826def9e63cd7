/**
 * Rejections that do not end the process if nobody awaits them: what a client
 * does can then end nothing but its own exchange.
 *
 * @module
 */

import type { BodyChunk } from "./body.ts";

const ignore = () => {};

/** A rejection of `promise` that nobody awaits does not end the process. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

/** A stream whose rejections that nobody awaits do not end the process. */
export class QuietWritableStream extends WritableStream<BodyChunk> {
  readonly #onClose: (closing: Promise<void>) => void;

  /** @param onClose Told of the closing as soon as it is asked for. */
  constructor(
    sink: UnderlyingSink<BodyChunk>,
    onClose: (closing: Promise<void>) => void,
  ) {
    super(sink);
    this.#onClose = onClose;
  }

  override close(): Promise<void> {
    return this.#quietClose(super.close());
  }

  override getWriter(): WritableStreamDefaultWriter<BodyChunk> {
    const writer = super.getWriter();
    const { write, close } = writer;
    writer.write = (chunk) => quietly(write.call(writer, chunk));
    writer.close = () => this.#quietClose(close.call(writer));
    return writer;
  }

  #quietClose(closing: Promise<void>): Promise<void> {
    this.#onClose(closing);
    return quietly(closing);
  }
}
