/**
 * The ways to read the request of a connection.
 *
 * @module
 */

/**
 * The request of a connection. It can be read once, in one of three ways: whole,
 * as a stream, or piece by piece with {@linkcode RequestReader.read},
 * {@linkcode RequestReader.readUntil} and {@linkcode RequestReader.readExactly}.
 *
 * @example Read a request of any size into one buffer
 * ```ts
 * import { request, serve } from "@halfclose/server";
 * import { assertEquals } from "@std/assert";
 *
 * const buffer = new Uint8Array(65_536);
 * await using server = serve(
 *   { hostname: "127.0.0.1", port: 0, streaming: true },
 *   async (conn) => {
 *     let total = 0;
 *     for (;;) {
 *       const length = await conn.read(buffer);
 *       if (length === null) return `${total} bytes`;
 *       total += length;
 *     }
 *   },
 * );
 * const reply = await request(server.addr, "hello");
 * assertEquals(await reply.text(), "5 bytes");
 * ```
 */
export interface RequestReader {
  /**
   * The request as a byte stream; readers may bring their own buffer. It ends
   * with the client's FIN
   * ({@link https://www.rfc-editor.org/rfc/rfc9293#section-3.6 | RFC 9293, section 3.6})
   * and leaves the sending half open. Cancelling it stops the reading; what the
   * client still sends is then dropped while the response is sent.
   *
   * This is not Deno's stream, which closes the whole socket at the end of
   * file, so that no response can be sent
   * ({@link https://github.com/denoland/deno/issues/22258 | denoland/deno#22258},
   * {@link https://github.com/denoland/deno/issues/27510 | denoland/deno#27510}).
   *
   * With `streaming: true` it reads from the socket and keeps nothing. If the
   * response is a stream or an iterable that uses the request, take `readable`
   * before its first chunk is sent. A request not taken by then is read and
   * dropped, so that a client that sends everything before it reads does not
   * block.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Whether the request has been read, is being read, or was dropped. */
  readonly bodyUsed: boolean;
  /**
   * Reads the whole request.
   *
   * @returns Its bytes, in a buffer of their own.
   * @throws {TypeError} If the request has been read before, or the exchange
   * has moved on.
   * @throws {RequestTooLargeError} Only with `streaming: true`: if it is larger
   * than `maxRequestBytes`.
   * @throws {TimeoutError} If a time limit has passed. A complete request can
   * still be read until the server moves on.
   * @throws {Deno.errors.ConnectionReset} Only with `streaming: true`: if the
   * client resets the connection. Other errors of Deno are possible.
   */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Reads the whole request.
   *
   * @returns Its bytes, as a buffer.
   * @throws {TypeError} As with {@linkcode RequestReader.bytes}, like the other
   * errors.
   */
  arrayBuffer(): Promise<ArrayBuffer>;
  /**
   * Reads the whole request as UTF-8. A byte order mark is dropped, and invalid
   * UTF-8 becomes U+FFFD, as with {@linkcode Body.text}.
   *
   * @returns Its text.
   * @throws {TypeError} As with {@linkcode RequestReader.bytes}, like the other errors.
   */
  text(): Promise<string>;
  /**
   * Reads the whole request as JSON.
   *
   * @returns The parsed value.
   * @throws {SyntaxError} If it is not JSON.
   * @throws {TypeError} As with {@linkcode RequestReader.bytes}, like the other errors.
   */
  json(): Promise<unknown>;
  /**
   * Reads the next bytes of the request into a buffer of the caller's, as
   * `Deno.Conn.read()` does. Call it until it resolves to `null`. This is the
   * fastest way through a large request, with `streaming: true`. The buffer is in
   * use until the promise settles: await it before you respond, and before you
   * use the buffer again.
   *
   * @param buffer Where to read to.
   * @returns How many bytes were read, or `null` at the end of the request.
   * @throws {TypeError} If `buffer` is no Uint8Array, has no room, or its memory
   * was transferred or has shrunk, before the call or during it: the outcome is
   * `"failed"` then. Also if the request has been read in another way, a read is
   * pending, or the exchange has moved on. Other errors: as with {@linkcode RequestReader.bytes}.
   */
  read(buffer: Uint8Array): Promise<number | null>;
  /**
   * Reads up to a delimiter, such as the end of a line: for dialogues, with
   * `streaming: true`. It claims the request when it is called, as `read()` and
   * `readExactly()` do, and these three may be mixed. Bytes that come after the
   * delimiter are kept for the next call.
   *
   * @param delimiter Text (in UTF-8) or bytes, not empty.
   * @returns What came, with the delimiter, in a buffer of its own; `null` if the
   * request has ended and nothing is left.
   * @throws {IncompleteReadError} If the request ends before the delimiter; its
   * `partial` is what came. The outcome is `"truncated"` then.
   * @throws {RequestTooLargeError} If there is no delimiter within 65 536 bytes (its
   * `part` is `"line"`), or the request is larger than `maxRequestBytes`.
   * @throws {TypeError} If `delimiter` is wrong: the outcome is `"failed"` then. Also
   * if the request has been read in another way, a read is pending, or the exchange
   * has moved on. Other errors: as with {@linkcode RequestReader.bytes}.
   *
   * @example Greet, and answer line by line
   * ```ts
   * import { request, serve } from "@halfclose/server";
   * import { assertEquals } from "@std/assert";
   *
   * const decoder = new TextDecoder();
   * await using server = serve(
   *   { hostname: "127.0.0.1", port: 0, streaming: true },
   *   async function* (conn) {
   *     yield "hello, who is there?\n";
   *     const name = await conn.readUntil("\n");
   *     if (name) yield `welcome, ${decoder.decode(name)}`;
   *   },
   * );
   * const reply = await request(server.addr, "Ada\n");
   * assertEquals(await reply.text(), "hello, who is there?\nwelcome, Ada\n");
   * ```
   */
  readUntil(
    delimiter: string | Uint8Array,
  ): Promise<Uint8Array<ArrayBuffer> | null>;
  /**
   * Reads so many bytes, no less and no more: for dialogues in which a line, or a
   * head, tells how many follow.
   *
   * @param size How many: a whole number from 0.
   * @returns The bytes, in a buffer of their own; `null` if the request has ended
   * and nothing is left.
   * @throws {IncompleteReadError} If the request ends before; its `partial` is what
   * came. The outcome is `"truncated"` then.
   * @throws {RequestTooLargeError} If the request is larger than `maxRequestBytes`:
   * at once, if `size` alone is.
   * @throws {RangeError} If `size` is wrong: the outcome is `"failed"` then. Other
   * errors: as with {@linkcode RequestReader.readUntil}.
   *
   * @example A line, and as many bytes as it says
   * ```ts
   * import { request, serve } from "@halfclose/server";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = serve(
   *   { hostname: "127.0.0.1", port: 0, streaming: true },
   *   async (conn) => {
   *     const line = await conn.readUntil("\n");
   *     const size = parseInt(new TextDecoder().decode(line ?? undefined));
   *     return await conn.readExactly(size);
   *   },
   * );
   * const reply = await request(server.addr, "5\nhello, and more");
   * assertEquals(await reply.text(), "hello");
   * ```
   */
  readExactly(size: number): Promise<Uint8Array<ArrayBuffer> | null>;
}
