/**
 * The options of a listener: where it listens.
 *
 * @module
 */

import type { ExchangeOptions } from "./exchange_options.ts";

export type { ExchangeOptions };

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
   * Whether other processes may listen on the same port. It needs Linux, and
   * Deno's flag `--unstable-net`: without them, `true` is a `TypeError`.
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
   * The path of the socket. Nothing may exist there except a dead socket, as a
   * killed server leaves one behind: it is replaced. At the end the
   * server removes its socket, but not anything that has taken its place.
   *
   * Deno's permissions to read and write must cover its folder: there the socket
   * is created in a hidden folder that only its user may enter, and then moved.
   * Of servers that start at the same path at once, one listens: each locks the
   * folder while it looks. Where the folder cannot be read or locked, a socket that
   * is left behind is not replaced.
   *
   * A path may have 107 bytes and its folder 97, on macOS 103 and 93. Abstract
   * sockets, which other programs write as `@name`, are not possible. Clients
   * usually have no address: the `path` of their `remoteAddr` is `null`.
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
   * A process that keeps the socket open, such as systemd, keeps its backlog: when
   * the server stops, clients wait there for the next process, and none is reset.
   *
   * It is accepted from with `node:net`, which differs in this: connections wait
   * accepted in this process and not in the backlog, as many as come; a response
   * that is cut ends with a reset on TCP, so that the client knows; the path of a
   * Unix socket is not known (`null`); and there is no TLS, which a proxy can end.
   * When descriptors have lacked, it takes up to a second until clients are accepted
   * again. Programs that are started with `Deno.Command` do not inherit the socket.
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
 * {@linkcode ListenerOptions} (with a `listener`); options of two of them exclude
 * each other. Each has the limits and callbacks of {@linkcode ExchangeOptions}, and
 * the callbacks are called with the options as `this`. Each option is read once, by
 * its name, wherever it comes from: it may be inherited, a getter or the member of a
 * class. A field that is no option is a `TypeError`; other members may have any name
 * that does not look like a misspelled option.
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
