/**
 * One connection, as a handler sees it.
 *
 * @module
 */

import type { BodyChunk, ResponseBody } from "../shared/body.ts";
import type { RequestReader } from "./request_interface.ts";

/**
 * One connection, whose request ends with the client's FIN and whose response
 * ends with ours.
 *
 * {@linkcode listen} reads the request to its end before it hands over the
 * connection, so no fault of the client can make reading fail here. With
 * `streaming: true` the request is read while it is used, and reading rejects
 * with the fault of the client.
 *
 * The members for reading the request come from {@linkcode RequestReader}:
 * `text()`, `bytes()`, `arrayBuffer()`, `json()`, `read()`, `readUntil()`,
 * `readExactly()`, `readable` and `bodyUsed`. `await using` calls {@linkcode Conn.close} at the end of the block.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * await using listener = listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await Deno.connect({ port: listener.addr.port });
 * await client.write(new TextEncoder().encode("hello"));
 * await client.closeWrite();
 *
 * for await (const conn of listener) {
 *   const request = await conn.text();
 *   await conn.respond(request.toUpperCase());
 *   break;
 * }
 * ```
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export interface Conn<Addr extends Deno.Addr = Deno.Addr>
  extends RequestReader, AsyncDisposable {
  /** The number of the connection, counted from 1 for each listener. */
  readonly id: number;
  /** The address of the client; with `proxyProtocol`, as the proxy tells it. */
  readonly remoteAddr: Addr;
  /**
   * The address that the client connected to; with `proxyProtocol`, as the proxy
   * tells it.
   */
  readonly localAddr: Addr;
  /**
   * The address at the other end of the socket: that of the proxy with
   * `proxyProtocol`, and else the same as `remoteAddr`.
   */
  readonly peerAddr: Addr;
  /**
   * Aborted when the exchange is cut short: because a time limit has passed, the
   * server was closed, {@linkcode Conn.abort} was called, or the client is gone.
   * That the client is gone shows only while the request is read or the response
   * is written. A request that is too large aborts nothing, because it can still
   * be answered.
   */
  readonly signal: AbortSignal;
  /** How many bytes of the request have been read so far. */
  readonly bytesRead: number;
  /** How many bytes of the response the kernel has taken so far. */
  readonly bytesWritten: number;
  /**
   * A stream to write the response in pieces: bytes, or text that is sent as
   * UTF-8. With `streaming: true` the request can be read until 64 KiB are
   * written; if nobody has begun to read it by then, it is dropped. Closing the stream
   * sends the FIN and ends the exchange. If the handler returns
   * or the loop moves on before that, the connection is cut, and the outcome is
   * `"failed"`. Writes reject if the client is gone: catch that in a `for await`
   * loop, or it ends the loop. A rejection that nobody awaits does no harm.
   *
   * @example Usage
   * ```ts ignore
   * const writer = conn.writable.getWriter();
   * for (const name of names) await writer.write(`${name}\n`);
   * await writer.close();
   * ```
   */
  readonly writable: WritableStream<BodyChunk>;
  /**
   * Writes the response with backpressure, sends a FIN and closes. What the
   * client still sends is dropped meanwhile, so that a client that writes
   * everything before it reads does not block.
   *
   * @param body What to send. Nothing by default.
   * @returns `true` if all of it was handed to the kernel, even if the client is
   * gone by then. `false` if a write has shown that the client is gone, or a limit
   * cut it short.
   * @throws {TypeError} If there has been a response already, the connection
   * was closed, or `body` is not a {@linkcode ResponseBody}.
   * @throws {unknown} What `body` throws while it is read, unless the client
   * caused it. The cut response looks complete to the client, except on an
   * inherited TCP socket.
   *
   * @example Usage
   * ```ts ignore
   * const file = await Deno.open("report.pdf");
   * const isTaken = await conn.respond(file.readable);
   * if (!isTaken) console.error(`${conn.id} has not taken all of it`);
   * ```
   */
  respond(body?: ResponseBody): Promise<boolean>;
  /**
   * Waits for a response under way, sends a FIN and closes. Unread data from
   * the client is dropped for at most `lingerTimeout` (lingering close,
   * {@link https://www.rfc-editor.org/rfc/rfc9112#section-9.6 | RFC 9112, section 9.6}).
   * Closing twice does no harm.
   *
   * @returns Resolves when the FIN is sent, without waiting for the lingering.
   */
  close(): Promise<void>;
  /**
   * Closes at once, whatever is under way. The client cannot tell a cut
   * response from a complete one, because Deno can only send a FIN; on an
   * inherited TCP socket it sees a reset.
   *
   * @param reason The reason. An `AbortError` by default.
   */
  abort(reason?: unknown): void;
}
