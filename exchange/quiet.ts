/**
 * Faults that end nothing: rejections that nobody awaits, and closing twice. So a
 * client can end nothing but its own exchange.
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

/** Closes what may be closed already. */
export function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Somebody else has closed it: all the same.
  }
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
