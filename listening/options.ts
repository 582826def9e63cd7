/**
 * The options of a listener.
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
   *   (`"failed"`).
   * - `{ idle: milliseconds }`, at least 1: the request ends when nothing has
   *   come for that long, from the beginning or since the last byte.
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
   * `"proxy"`. Health checks end with `"health-check"`, and take no turn.
   *
   * Whoever can connect can claim to be any client, so let only the proxy
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
   * again about the client: the handler can turn that away.
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
   * before it was accepted is no reason to call it, but 1024 in a row are. If the
   * callback throws, or returns a promise that rejects, the iteration ends with
   * that error.
   *
   * Without it, `listen()` tells nobody, and `serve()` writes to `console.error`.
   *
   * @param error Why the accept failed.
   */
  onAcceptError?: (error: Error) => void;
}

/**
 * Options of a listener on TCP, or on TLS if `cert` and `key` are given. The
 * limits and callbacks of {@linkcode ExchangeOptions} are among them.
 *
 * @typeParam Addr The type of the addresses.
 */
export interface TcpOptions<Addr extends Deno.Addr = Deno.NetAddr>
  extends ExchangeOptions<Addr> {
  /**
   * The address to listen on.
   *
   * @default {"0.0.0.0"}
   */
  hostname?: string;
  /**
   * The port to listen on, from 0 to 65535. 0 takes a free one, which `addr`
   * then shows.
   *
   * @default {8080}
   */
  port?: number;
  /**
   * Whether other processes may listen on the same port. It needs Deno's flag
   * `--unstable-net`: without it, `true` is a `TypeError`.
   *
   * @default {false}
   */
  reusePort?: boolean;
  /**
   * How many connections may wait in the backlog, at least 1. The kernel may
   * allow fewer (on Linux `net.core.somaxconn`).
   *
   * @default {511}
   */
  tcpBacklog?: number;
  /** The certificate chain in PEM, for TLS. It needs `key`. */
  cert?: string;
  /** The private key in PEM, for TLS. It needs `cert`. */
  key?: string;
  /** Only {@linkcode UnixOptions} have one. */
  path?: undefined;
  /** Only {@linkcode UnixOptions} have one. */
  mode?: undefined;
  /** Only {@linkcode FdOptions} have one. */
  fd?: undefined;
  /** Only {@linkcode ListenerOptions} have one. */
  listener?: undefined;
}

/**
 * Options of a listener on a Unix socket. The limits and callbacks of
 * {@linkcode ExchangeOptions} are among them.
 *
 * @typeParam Addr The type of the addresses.
 */
export interface UnixOptions<Addr extends Deno.Addr = Deno.UnixAddr>
  extends ExchangeOptions<Addr> {
  /**
   * The path of the socket. Nothing may exist there but a socket on which nobody
   * listens, as a killed server leaves one behind: it is replaced. At the end the
   * server removes its socket, but not anything that has taken its place.
   *
   * Deno's permissions to read and write must cover its folder: there the socket
   * is created in a hidden folder that only its user may enter, and then moved.
   */
  path: string;
  /**
   * The permission bits of the socket, from the start. Users who may write to
   * it may connect. It has no effect on Windows.
   *
   * @default {0o777 & ~Deno.umask()}
   */
  mode?: number;
  /** Only {@linkcode FdOptions} have one. */
  fd?: undefined;
  /** Only {@linkcode ListenerOptions} have one. */
  listener?: undefined;
}

/**
 * Options for a `Deno.Listener` that is already open. The limits and callbacks
 * of {@linkcode ExchangeOptions} are among them.
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export interface ListenerOptions<Addr extends Deno.Addr = Deno.Addr>
  extends ExchangeOptions<Addr> {
  /**
   * An open listener. It is taken over: do not accept from it or close it
   * yourself. If it is closed already, the iteration fails. Closing one of its
   * connections must end its pending reads, as in Deno.
   */
  listener: Deno.Listener<Deno.Conn, Addr>;
  /** Only {@linkcode FdOptions} have one. */
  fd?: undefined;
  /** Only {@linkcode UnixOptions} have one. */
  path?: undefined;
}

/**
 * Options for a listening socket that the process has inherited, TCP or Unix. The
 * limits and callbacks of {@linkcode ExchangeOptions} are among them.
 *
 * @typeParam Addr The type of the addresses.
 */
export interface FdOptions<
  Addr extends Deno.Addr = Deno.NetAddr | Deno.UnixAddr,
> extends ExchangeOptions<Addr> {
  /**
   * The number of the descriptor of the socket, from 0: 3 is the first one from
   * systemd. A socket that is only bound begins to listen. No permission guards
   * it.
   *
   * Whoever keeps the socket open, such as systemd, keeps its backlog: when the
   * server stops, clients wait there for the next process, and nobody is refused
   * or reset.
   *
   * It is accepted from with `node:net`, which differs in this: connections wait
   * accepted in this process and not in the backlog, as many as come; a response
   * that is cut ends with a reset on TCP, so that the client knows; the path of a
   * Unix socket is not known (`null`); and there is no TLS, which a proxy can end.
   * When descriptors have lacked, it takes up to a second until clients are accepted
   * again.
   */
  fd: number;
  /** Only {@linkcode UnixOptions} have one. */
  path?: undefined;
  /** Only {@linkcode ListenerOptions} have one. */
  listener?: undefined;
}

/**
 * Options of {@linkcode listen}: where to listen, limits and callbacks.
 *
 * They are one of {@linkcode TcpOptions} (with `cert` and `key` for TLS),
 * {@linkcode UnixOptions} (with a `path`), {@linkcode FdOptions} (with an `fd`) and
 * {@linkcode ListenerOptions} (with a `listener`); options of two of them exclude each other. Each has the limits and
 * callbacks of {@linkcode ExchangeOptions}, and the callbacks are called with the
 * options as `this`. Each option is read once, by its name, wherever it comes
 * from.
 *
 * @example Usage
 * ```ts
 * import type { ListenOptions } from "@halfclose/server";
 *
 * const options: ListenOptions[] = [
 *   { port: 9100, maxRequestBytes: 1_048_576 },
 *   { path: "/run/control.sock", mode: 0o600, until: "\n" },
 * ];
 * ```
 */
export type ListenOptions =
  | TcpOptions<Deno.NetAddr | Deno.UnixAddr>
  | UnixOptions<Deno.NetAddr | Deno.UnixAddr>
  | FdOptions
  | ListenerOptions<Deno.NetAddr | Deno.UnixAddr>;
