/**
 * Makes faults harmless: rejections that nobody awaits, and closing twice. So a
 * client can end only its own exchange.
 *
 * @module
 */

import type { BodyChunk } from "./body.ts";

const ignore = () => {};

/** Keeps the process alive if `promise` rejects and nobody awaits it. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

/** Closes a resource that may already be closed. */
export function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It was already closed.
  }
}

/** The one constructor of streams of bytes: a class cannot extend an overload. */
const ByteStream: new (
  source: UnderlyingByteSource,
  strategy: { highWaterMark: number },
) => ReadableStream<Uint8Array<ArrayBuffer>> = ReadableStream;

/** A stream of bytes whose unawaited reads do not end the process. */
export class QuietReadableStream extends ByteStream {
  override getReader(options: { mode: "byob" }): ReadableStreamBYOBReader;
  override getReader(
    options?: { mode?: undefined },
  ): ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  override getReader(options?: object): object {
    const reader: { read(...args: unknown[]): Promise<unknown> } = super
      .getReader(options as { mode: "byob" });
    const { read } = reader;
    reader.read = (...args) => quietly(read.apply(reader, args));
    return reader;
  }
}

/** Is told what is asked of a stream, at once: the stream may begin it later. */
export interface WritableRequests {
  onWrite(writing: Promise<void>): void;
  onClose(closing: Promise<void>): void;
}

/** A stream whose unawaited rejections do not end the process. */
export class QuietWritableStream extends WritableStream<BodyChunk> {
  readonly #requests: WritableRequests;

  constructor(sink: UnderlyingSink<BodyChunk>, requests: WritableRequests) {
    super(sink);
    this.#requests = requests;
  }

  override close(): Promise<void> {
    return this.#quietClose(super.close());
  }

  override getWriter(): WritableStreamDefaultWriter<BodyChunk> {
    const writer = super.getWriter();
    const { write, close } = writer;
    writer.write = (chunk) => {
      const writing = quietly(write.call(writer, chunk));
      this.#requests.onWrite(writing);
      return writing;
    };
    writer.close = () => this.#quietClose(close.call(writer));
    return writer;
  }

  #quietClose(closing: Promise<void>): Promise<void> {
    this.#requests.onClose(closing);
    return quietly(closing);
  }
}
