/**
 * The reply to a request, and the error of one that is too large.
 *
 * @module
 */

/**
 * The reply to a request, which ends with the server's FIN.
 *
 * Read it to its end, cancel `readable`, or dispose of it: the connection stays
 * open until then, or until `timeout` has passed. If the reply is incomplete,
 * reading rejects with what cut it short:
 *
 * - {@linkcode ReplyTooLargeError}: it is larger than `maxReplyBytes`;
 * - {@linkcode TimeoutError}: `timeout` has passed;
 * - the reason of the `signal` that was aborted;
 * - what the body of the request threw;
 * - {@linkcode Deno.errors.ConnectionReset}: the server reset the connection.
 *   What came before can still be read from `readable`;
 * - {@linkcode Deno.errors.UnexpectedEof}: TLS ended without a `close_notify`.
 *
 * A server that dies in the middle of a reply may still send a FIN: on TCP and
 * on Unix sockets that looks like the end of the reply. If that matters, put a
 * length or a checksum into the reply.
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
   * The reply as a byte stream; readers may bring their own buffer. Only one
   * chunk is read ahead from the socket. Beware: a server that cannot write may
   * not read either, and a large request is then held up for as long as nobody
   * reads its reply.
   *
   * Cancelling it closes the connection at once. If the request is not completely
   * sent yet, the server sees a reset.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Whether the reply has been read, or is being read. */
  readonly bodyUsed: boolean;
  /**
   * Whether the whole request, with its FIN, was handed to the kernel. `false`
   * if the server did not take all of it, or if it was cut; a reply that came
   * before is still valid. `true` says nothing of the server: it may have read
   * none of it yet, and only the reply can tell whether it keeps it. It rejects with
   * what the body of the request threw; a rejection that nobody awaits does no harm.
   *
   * A server may end its reply before the request has ended: the rest of the
   * request is still sent then, if the server takes it.
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
   * @throws {TypeError} As with {@linkcode Reply.bytes}, like the other errors.
   */
  arrayBuffer(): Promise<ArrayBuffer>;
  /**
   * Reads the whole reply as UTF-8. A byte order mark is dropped, and invalid
   * UTF-8 becomes U+FFFD, as with {@linkcode Body.text}.
   *
   * @returns Its text.
   * @throws {TypeError} As with {@linkcode Reply.bytes}, like the other errors.
   */
  text(): Promise<string>;
  /**
   * Reads the whole reply as JSON.
   *
   * @returns The parsed value.
   * @throws {SyntaxError} If it is not JSON.
   * @throws {TypeError} As with {@linkcode Reply.bytes}, like the other errors.
   */
  json(): Promise<unknown>;
  /**
   * Discards the reply. The connection is closed at once if the reply was not
   * read to its end; otherwise the rest of the request is sent first.
   */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The error of a reply that is larger than `maxReplyBytes`.
 *
 * @example Usage
 * ```ts
 * import { ReplyTooLargeError } from "@halfclose/server/client";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new ReplyTooLargeError(1024);
 * assertEquals(error.maxReplyBytes, 1024);
 * ```
 */
export class ReplyTooLargeError extends RangeError {
  /** The name of the error: `"ReplyTooLargeError"`. */
  override readonly name = "ReplyTooLargeError";
  /** The limit that was exceeded, in bytes. */
  readonly maxReplyBytes: number;

  /**
   * Creates the error for a limit.
   *
   * @param maxReplyBytes The limit that was exceeded, in bytes.
   */
  constructor(maxReplyBytes: number) {
    super(
      `The reply is larger than the ${maxReplyBytes} bytes allowed. ` +
        "Ask for less, or raise `maxReplyBytes`.",
    );
    this.maxReplyBytes = maxReplyBytes;
  }
}
