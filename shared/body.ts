/**
 * What may be sent, and how it is turned into bytes.
 *
 * @module
 */

import { turn } from "./pause.ts";
import { typeOf } from "./thrown.ts";
import { isLost } from "./view.ts";

/** One piece of a {@linkcode ResponseBody}: bytes, or text to send as UTF-8. */
export type BodyChunk = string | ArrayBufferLike | ArrayBufferView;

/**
 * What may be sent as a response: nothing, text (sent as UTF-8), bytes, a
 * {@linkcode Blob}, or a stream or (async) iterable of text and bytes.
 *
 * A {@linkcode Response} is not allowed, because there is no status and there
 * are no headers here: send its `body`.
 *
 * @example Usage
 * ```ts
 * import type { ResponseBody } from "@halfclose/server";
 * import { assertEquals } from "@std/assert";
 *
 * const bodies: ResponseBody[] = [
 *   "text",
 *   new Uint8Array([1, 2, 3]),
 *   new Blob(["from a blob"]),
 *   ["in ", "pieces"],
 *   new Response("from a fetch").body,
 * ];
 * assertEquals(bodies.length, 5);
 * ```
 */
export type ResponseBody =
  | BodyChunk
  | Blob
  | ReadableStream<BodyChunk>
  | Iterable<BodyChunk>
  | AsyncIterable<BodyChunk>
  | null
  | undefined;

/**
 * What may be sent as a request: the same as for a response.
 *
 * @example Usage
 * ```ts
 * import type { RequestBody } from "@halfclose/server/client";
 *
 * const body: RequestBody = (function* () {
 *   yield "one line\n";
 *   yield new Uint8Array([0x61, 0x62, 0x63]);
 * })();
 * for (const _chunk of body);
 * ```
 */
export type RequestBody = ResponseBody;

/** A body that is produced while it is sent, chunk by chunk. */
export interface ChunkSource {
  /** Whether all of it exists already, as with a Blob. */
  readonly atHand: boolean;
  /** The next chunk's bytes, or `undefined` at the end. */
  next(): Promise<Uint8Array | undefined>;
  /** Tells the producer to stop. It never throws and waits for nothing. */
  cancel(reason: unknown): void;
}

const encoder = new TextEncoder();
const nothing = new Uint8Array();

/**
 * Turns a body into its bytes if they are at hand, or into a source of chunks
 * if they must still be produced.
 *
 * @param body The body.
 * @returns Its bytes, or a source of chunks.
 * @throws {TypeError} If `body` is not a {@linkcode ResponseBody}.
 */
export function openBody(body: ResponseBody): Uint8Array | ChunkSource {
  if (body === undefined || body === null) return nothing;
  const bytes = bytesOf(body);
  if (bytes) return bytes;
  if (body instanceof Blob) return fromStream(body.stream(), true);
  if (body instanceof ReadableStream) return fromStream(body, false);
  if (typeof body === "object") {
    if (Symbol.asyncIterator in body) {
      return fromIterator(body[Symbol.asyncIterator]());
    }
    if (Symbol.iterator in body) return fromIterator(body[Symbol.iterator]());
  }
  throw new TypeError(
    `Cannot send ${typeOf(body)} as a body: ${adviceFor(body)}`,
  );
}

/** The bytes of a chunk, `undefined` if it is none. Views are not copied. */
export function bytesOf(chunk: unknown): Uint8Array | undefined {
  if (typeof chunk === "string") return encoder.encode(chunk);
  if (ArrayBuffer.isView(chunk)) {
    if (isLost(chunk)) throw lostBuffer();
    return chunk instanceof Uint8Array
      ? chunk
      : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (chunk instanceof ArrayBuffer) {
    if (chunk.detached) throw lostBuffer();
    return new Uint8Array(chunk);
  }
  if (chunk instanceof SharedArrayBuffer) return new Uint8Array(chunk);
  return undefined;
}

/** What is lost looks empty: sending nothing would hide the error. */
function lostBuffer(): TypeError {
  return new TypeError(
    "Cannot send a buffer that was detached, or has shrunk to less than its " +
      "view: it was transferred or resized. Send a copy of it.",
  );
}

/**
 * The bytes of one chunk. Views are not copied.
 *
 * @param chunk The chunk.
 * @returns Its bytes.
 * @throws {TypeError} If `chunk` is not a {@linkcode BodyChunk}.
 */
export function chunkBytes(chunk: unknown): Uint8Array {
  const bytes = bytesOf(chunk);
  if (bytes) return bytes;
  throw new TypeError(
    `Cannot send ${typeOf(chunk)} as a chunk of a body: chunks are strings, ` +
      "ArrayBuffers or views of them",
  );
}

/**
 * Sends all of some bytes, in as many writes as that takes.
 *
 * @param bytes The bytes.
 * @param write Writes some of what it is given, and returns how much: `undefined`
 * if no more is taken.
 * @param what What they are of, for the message of an error.
 * @returns Whether all were sent.
 * @throws {TypeError} If their buffer is detached meanwhile.
 */
export async function sendBytes(
  bytes: Uint8Array,
  write: (rest: Uint8Array) => Promise<number | undefined>,
  what: "request" | "response",
): Promise<boolean> {
  const size = bytes.length;
  let written: number | undefined = size;
  for (let sent = 0; sent < size; sent += written) {
    if (written === 0 || bytes.length !== size) {
      throw new TypeError(
        `Cannot send the ${what}: its buffer was detached meanwhile. Send a copy.`,
      );
    }
    written = await write(sent === 0 ? bytes : bytes.subarray(sent));
    if (written === undefined) return false;
  }
  return true;
}

/**
 * Sends the chunks of a source one by one. An error cancels the source.
 *
 * @param source The source.
 * @param send Sends one chunk, and returns whether to go on.
 * @param raceWithCut Waits for a chunk, or rejects when the exchange is cut.
 * @returns Whether all were sent. If not, the caller must cancel `source`.
 */
export async function sendChunks(
  source: ChunkSource,
  send: (chunk: Uint8Array) => Promise<boolean>,
  raceWithCut: <T>(work: Promise<T>) => Promise<T>,
): Promise<boolean> {
  try {
    for (;;) {
      const chunk = await raceWithCut(source.next());
      if (chunk === undefined) return true;
      // An empty chunk writes nothing: without this, no timer could fire.
      if (chunk.length === 0) await turn();
      if (!await send(chunk)) return false;
    }
  } catch (error) {
    source.cancel(error);
    throw error;
  }
}

function fromStream(
  stream: ReadableStream<BodyChunk>,
  atHand: boolean,
): ChunkSource {
  const reader = stream.getReader();
  return {
    atHand,
    async next() {
      const { done, value } = await reader.read();
      return done ? undefined : chunkBytes(value);
    },
    async cancel(reason) {
      try {
        await reader.cancel(reason);
      } catch {
        // Nobody can be told any more.
      }
    },
  };
}

function fromIterator(
  iterator: Iterator<BodyChunk> | AsyncIterator<BodyChunk>,
): ChunkSource {
  return {
    atHand: false,
    async next() {
      const { done, value } = await iterator.next();
      return done ? undefined : chunkBytes(value);
    },
    async cancel() {
      try {
        await iterator.return?.();
      } catch {
        // Nobody can be told any more.
      }
    },
  };
}

function adviceFor(body: unknown): string {
  if (body instanceof Response) {
    return "there is no status and there are no headers here. Send `response.body`.";
  }
  if (body instanceof Promise) return "it is not there yet. Await it first.";
  return "it is no text or bytes. Send a string, an ArrayBuffer or a view of " +
    "one, a Blob, a ReadableStream or an (async) iterable of strings and bytes.";
}
