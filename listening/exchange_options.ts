/**
 * The limits and the callbacks of a listener, wherever it listens.
 *
 * @module
 */

import type { BodyChunk } from "../shared/body.ts";
import type { RequestTooLargeError, TimeoutError } from "../shared/errors.ts";
import type { ExchangeRecord, RequestStart } from "../exchange/record.ts";

/**
 * Limits and callbacks: the options of {@linkcode listen} and of
 * {@linkcode serve}, wherever they listen.
 *
 * @example Deny strangers, and say why a request is refused
 * ```ts
 * import { serve } from "@halfclose/server";
 *
 * await using server = serve({
 *   hostname: "127.0.0.1",
 *   port: 0,
 *   maxRequestBytes: 1024,
 *   deadline: 5_000,
 *   allow: (addr) => addr.hostname === "127.0.0.1",
 *   onRefuse: (error) => `${error.message}\n`,
 *   onExchange: ({ id, outcome, error }) => console.log(id, outcome, error),
 * }, (conn) => conn.bytes());
 * ```
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export interface ExchangeOptions<Addr extends Deno.Addr = Deno.Addr> {
  /**
   * How large a request may be, in bytes: a whole number from 0, or `Infinity`
   * for no limit. A larger one ends with the outcome `"too-large"`.
   *
   * @default {16_777_216}
   */
  maxRequestBytes?: number;
  /**
   * How long an exchange may take as a whole, in milliseconds, from its turn
   * (with `readAhead` from its accept) until the server moves on: at least 1, or
   * `Infinity` for no limit. This is how long one client, or one handler, can
   * hold up all the others. It also bounds how long a graceful stop takes.
   *
   * @default {60_000}
   */
  deadline?: number;
  /**
   * How long a read or a write may wait for the client without any progress, in
   * milliseconds: at least 1, or `Infinity` for no limit. The time that a
   * handler spends on other work is not counted, unless a stream reads ahead
   * meanwhile, as a `TransformStream` may. The kernel buffers megabytes of a
   * response and reports free space only now and then, so a client that
   * receives a large response at less than about 100 kB/s may need more.
   *
   * @default {15_000}
   */
  idleTimeout?: number;
  /**
   * How long a client may be silent while what it still sends after the response
   * is read and dropped, in milliseconds: at least 0, or `Infinity` for no limit.
   * This lingering close keeps a reset from destroying the response
   * ({@link https://www.rfc-editor.org/rfc/rfc9112#section-9.6 | RFC 9112, section 9.6}).
   * The next connection does not wait for it. At most 64 connections linger at
   * once, each for at most 256 MiB and 30 s, or `lingerTimeout` if that is longer.
   * A stop gives all of them `lingerTimeout` in all.
   *
   * @default {2_000}
   */
  lingerTimeout?: number;
  /**
   * What else may end a request, for clients that never half-close. By default
   * only the client's FIN does. The request ends with what comes first; without
   * the client's FIN, the server is the first to send one.
   *
   * - A delimiter: text (in UTF-8) or bytes, not empty: the request ends
   *   after its first occurrence. The delimiter is part of the request; what
   *   follows it is dropped, and the outcome is `"ok"`.
   * - A function of the head, for requests that tell their length: it gets what
   *   has come so far, and returns how long the whole request is, in bytes from 1,
   *   or `undefined` while that cannot be told. What follows is dropped. It is
   *   called after each read until it has answered, with at most the first
   *   16 384 bytes: a head that is longer is too large, and so is a length beyond
   *   `maxRequestBytes`. The client's FIN before the end is `"truncated"`, unless
   *   nothing has come. `head` is valid during the call only. If the function
   *   throws, or returns anything else, such as a promise, the exchange fails
   *   (`"failed"`). Without `onExchange`, `serve()` writes that to `console.error`.
   * - `{ idle: milliseconds }`, at least 1: the request ends when nothing has
   *   come for that long, from the beginning or since the last byte. A client that
   *   sends nothing has an empty request. More than `idleTimeout` has no effect.
   *
   * On TLS, a request that a delimiter or its length ends is complete, even if the
   * client then cuts the connection without a `close_notify`.
   *
   * @example A request with its length in front
   * ```ts
   * import { request, serve } from "@halfclose/server";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = serve({
   *   hostname: "127.0.0.1",
   *   port: 0,
   *   // Four bytes say how many follow.
   *   until: (head) =>
   *     head.length < 4
   *       ? undefined
   *       : 4 + new DataView(head.buffer).getUint32(0),
   * }, async (conn) => (await conn.bytes()).subarray(4));
   * const reply = await request(server.addr, "\0\0\0\x05hello, and more");
   * assertEquals(await reply.text(), "hello");
   * ```
   */
  until?:
    | string
    | Uint8Array
    | { idle: number }
    | ((head: Uint8Array<ArrayBuffer>) => number | undefined);
  /**
   * How many further connections may be accepted and read while one is handled:
   * a whole number from 0 to 65535. The loop still gets one at a time, in the
   * order in which the requests became complete, so that a slow sender delays
   * nobody else. The `deadline` of each counts from its accept. All requests
   * together take up to `(readAhead + 1) × maxRequestBytes` of memory. It
   * excludes `streaming`.
   *
   * @default {0}
   */
  readAhead?: number;
  /**
   * Whether to hand over a connection before its request is read, for requests
   * that should not be kept in memory, or for responses that do not depend on the
   * request. Reading can then fail because of the client: catch that in a
   * `for await` loop, or it ends the loop, which closes the listener.
   * {@linkcode serve} catches it by itself.
   *
   * @default {false}
   */
  streaming?: boolean;
  /**
   * Whether each connection comes from a proxy and begins with a header of the
   * PROXY protocol, version 1 or 2, of at most 4096 bytes. `remoteAddr` and
   * `localAddr` are then those of the client, and `peerAddr` is the proxy. If the
   * header is malformed or missing, the connection is closed with the outcome
   * `"proxy"`. Health checks end with `"health-check"`, and take no turn. Where the
   * header names no client (`LOCAL`, `UNKNOWN`), the addresses are those of the
   * socket. A checksum (CRC32c) in the header must be right; other fields are
   * skipped. The header counts for the time limits, but not for `maxRequestBytes`
   * and `until`. A client gets the text of `onRefuse` only after it.
   *
   * Anyone who can connect can claim to be any client, so let only the proxy
   * connect, for instance with `allow`. TLS must end at the proxy, so `cert` and
   * `key` are excluded: the header comes before the handshake, where Deno cannot
   * read it. A proxy on a Unix socket may have clients on TCP: if it is `true`
   * there, addresses are of both types.
   *
   * @default {false}
   */
  proxyProtocol?: Deno.NetAddr extends Addr ? boolean : false;
  /**
   * Ends everything at once when it is aborted, as {@linkcode Listener.close}
   * does. If it is already aborted, the iteration ends at once.
   */
  signal?: AbortSignal;
  /**
   * Decides who is let in, before a byte is read. By default everybody is. Any
   * result but `true`, even a promise of it, closes the connection with the
   * outcome `"denied"`. If it throws, or the promise rejects, the iteration ends
   * with that error.
   *
   * With `proxyProtocol` it decides which proxies are trusted. It is not asked
   * again about the client: the handler can turn that away. On `hostname: "::"`
   * an IPv4 client has its IPv4 address, such as `192.0.2.1`.
   *
   * @param peerAddr The address of the client, or with `proxyProtocol` of the
   * proxy.
   * @param id The number of the connection, as its record has it.
   * @returns Whether it is let in.
   */
  allow?: (peerAddr: Addr, id: number) => boolean;
  /**
   * Returns what to tell a client whose request is too large or whose exchange
   * is too slow, if nothing has been sent to it yet. By default its connection is
   * just closed. The text is sent while the next connection is already served.
   * If it throws, or returns something else, such as a promise, the iteration
   * ends with that error once the exchange is over.
   *
   * @param error The error of the limit that was exceeded.
   * @param request How much of the request has come, and what ended it:
   * `bytesRead` is 0 and `end` is missing if the client has sent nothing at all.
   * @returns The text or the bytes to send, or nothing to just close.
   */
  onRefuse?: (
    error: RequestTooLargeError | TimeoutError,
    request: Pick<ExchangeRecord, "bytesRead" | "end">,
  ) => BodyChunk | null | void;
  /**
   * Called once for each request that is read: when it is complete or, with
   * `streaming: true`, when the first chunk of `readable` is read. It is not
   * awaited. If it throws, the iteration ends with that error once the exchange
   * is over; if it returns a promise that rejects, once the turn under way is.
   *
   * @param start How the request begins, and which client sent it.
   */
  onRequest?: (start: RequestStart<Addr>) => void;
  /**
   * Called once for each accepted connection, when the server is done with it. It
   * is not awaited. If it throws, or returns a promise that rejects, the iteration
   * ends with that error.
   *
   * @param record How it went.
   */
  onExchange?: (record: ExchangeRecord<Addr>) => void;
  /**
   * Called when an accept fails, before the pause after which it is tried again:
   * 5 ms, then twice as long each time, up to a second. Mostly the machine is
   * short of descriptors or memory; clients wait meanwhile. A client that left
   * before it was accepted does not cause a call, but 1024 in a row do. If the
   * callback throws, or returns a promise that rejects, the iteration ends with
   * that error.
   *
   * Without it, `listen()` tells nobody, and `serve()` writes to `console.error`.
   *
   * @param error Why the accept failed.
   */
  onAcceptError?: (error: Error) => void;
}
