/**
 * What a user sees of the answer to a request: the reply and its error.
 *
 * @module
 */

/**
 * The reply to a request, which ends with the server's FIN.
 *
 * Read it to its end, cancel `readable`, or dispose of it: the connection is
 * open until then, or until the time is up. Reading rejects if the reply cannot
 * be had whole, with what cut it short:
 *
 * - {@linkcode ResponseTooLargeError}: it is larger than `maxResponseBytes`;
 * - a {@linkcode DOMException} named `"TimeoutError"`: `timeout` is over;
 * - the reason of the `signal` that was aborted;
 * - what the body of the request has thrown;
 * - {@linkcode Deno.errors.ConnectionReset}: the server tore the connection
 *   down. What came before that can be read from `readable`, all the same;
 * - {@linkcode Deno.errors.UnexpectedEof}: TLS ended without a `close_notify`.
 *
 * A server that dies in mid-reply may leave a FIN behind: on TCP and on Unix
 * sockets that looks like the end of the reply. Who must know needs a length or
 * a checksum in the reply.
 *
 * @example Usage
 * ```ts
 * import { request } from "@halfclose/server/client";
 * import { serve } from "@halfclose/server/server";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = serve(
 *   { hostname: "127.0.0.1", port: 0 },
 *   (conn) => conn.bytes(),
 * );
 * await using reply = await request(server.addr, "hello");
 * assertEquals(await reply.text(), "hello");
 * assertEquals(await reply.sent, true);
 * ```
 */
export interface Reply extends AsyncDisposable {
  /**
   * The reply as a stream of bytes, from which readers may also bring their own
   * buffer. Nothing is read from the socket that is not read here, but for one
   * chunk. Beware: a server that cannot write may not read either, and a large
   * request is then held up for as long as nobody reads its reply.
   *
   * Cancelling it closes the connection at once, also when the request is not
   * sent to its end yet.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Whether the reply has been read, or is being read. */
  readonly bodyUsed: boolean;
  /**
   * Whether the whole request, with its FIN, was handed to the kernel. `false`
   * if the server did not take it to its end, or if it was cut off; a reply that
   * came before that is a reply nevertheless. It rejects with what the body of
   * the request has thrown; a rejection that nobody awaits does no harm.
   *
   * A server may end its reply before the request has ended: the rest of the
   * request is sent then, if the server takes it.
   */
  readonly sent: Promise<boolean>;
  /**
   * Reads the whole reply.
   *
   * @returns Its bytes.
   * @throws {TypeError} If the reply has been read before.
   * @throws {unknown} What cut the reply short, see {@linkcode Reply}.
   */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Reads the whole reply.
   *
   * @returns Its bytes, as a buffer.
   * @throws {TypeError} As {@linkcode Reply.bytes} does, like all the others.
   */
  arrayBuffer(): Promise<ArrayBuffer>;
  /**
   * Reads the whole reply as UTF-8. A byte order mark is dropped, and what is
   * not UTF-8 becomes U+FFFD, as with {@linkcode Body.text}.
   *
   * @returns Its text.
   * @throws {TypeError} As {@linkcode Reply.bytes} does, like all the others.
   */
  text(): Promise<string>;
  /**
   * Reads the whole reply as JSON.
   *
   * @returns The parsed value.
   * @throws {SyntaxError} If it is not JSON.
   * @throws {TypeError} As {@linkcode Reply.bytes} does, like all the others.
   */
  json(): Promise<unknown>;
  /**
   * Lets go of the reply. The connection is closed at once if the reply was not
   * read to its end; if it was, what is left of the request is sent first.
   */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The error of a reply that is larger than `maxResponseBytes`.
 *
 * @example Usage
 * ```ts
 * import { ResponseTooLargeError } from "@halfclose/server/client";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new ResponseTooLargeError(1024);
 * assertEquals(error.maxResponseBytes, 1024);
 * ```
 */
export class ResponseTooLargeError extends RangeError {
  /** The name of the error: `"ResponseTooLargeError"`. */
  override readonly name = "ResponseTooLargeError";
  /** The limit that was passed, in bytes. */
  readonly maxResponseBytes: number;

  /**
   * Makes the error for a limit.
   *
   * @param maxResponseBytes The limit that was passed, in bytes.
   */
  constructor(maxResponseBytes: number) {
    super(
      `The reply is larger than the ${maxResponseBytes} bytes allowed: ` +
        "ask for less, or raise `maxResponseBytes`",
    );
    this.maxResponseBytes = maxResponseBytes;
  }
}
