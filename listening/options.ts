/**
 * The options of a listener, and their checks before anything is bound.
 *
 * @module
 */

import type { RequestTooLargeError, TimeoutError } from "../exchange/errors.ts";
import { OptionChecks } from "../exchange/option_checks.ts";
import type { ExchangeRecord, RequestStart } from "../exchange/record.ts";

/** TimeLimits and callbacks: the options of every listener. */
export interface ExchangeOptions<Addr extends Deno.Addr = Deno.Addr> {
  /**
   * How large a request may be, in bytes: a whole number from 0, or `Infinity`
   * for no limit.
   *
   * @default {16_777_216}
   */
  maxRequestBytes?: number;
  /**
   * How long an exchange may take as a whole, in milliseconds, from its turn
   * until the server moves on: at least 1, or `Infinity` for no limit. This is
   * how long one client, or one handler, can hold up all the others.
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
   * How long to read and drop what a client still sends after the response, in
   * milliseconds from 0, so that no reset destroys the response
   * ({@link https://www.rfc-editor.org/rfc/rfc9112#section-9.6 | RFC 9112, section 9.6}).
   * The next connection does not wait for it.
   *
   * @default {2_000}
   */
  lingerTimeout?: number;
  /**
   * What ends a request besides the client's FIN, for clients that never
   * half-close; whichever comes first. The server then sends its FIN before the
   * client does.
   *
   * - Text (as UTF-8) or bytes, at least one: the request ends after their first
   *   occurrence, which is part of the request. What follows is dropped.
   * - `{ idle: milliseconds }`: the request ends when nothing has come for so
   *   long, at least 1, from the beginning or since the last byte.
   */
  until?: string | Uint8Array | { idle: number };
  /**
   * How many further connections may be accepted and read while one is handled,
   * from 0 to 65535. The loop still gets one at a time, in the order in which the
   * requests became complete, so that a slow sender delays nobody else. The
   * `deadline` of each counts from its accept. All requests together take up to
   * `(readAhead + 1) * maxRequestBytes`. It excludes `streaming`.
   *
   * @default {0}
   */
  readAhead?: number;
  /**
   * How many bytes of requests may be held at once, with `readAhead`: a whole
   * number from 0, or `Infinity` for no limit. Beyond it nobody is accepted and
   * only the oldest request is read on, until there is room.
   *
   * @default {Infinity}
   */
  maxBufferedBytes?: number;
  /**
   * Whether to hand over a connection before its request is read, for requests
   * that should not be kept in memory. Reading can then fail because of the
   * client: catch that in a `for await` loop, or it ends the loop, which closes
   * the listener. {@linkcode serve} catches it by itself.
   *
   * @default {false}
   */
  streaming?: boolean;
  /**
   * Ends everything at once when it is aborted, as {@linkcode Listener.close}
   * does. If it is already aborted, the iteration ends at once.
   */
  signal?: AbortSignal;
  /**
   * Decides who is let in, before a byte is read. Any result but `true`, even a
   * promise of it, closes the connection with the outcome `"refused"`. If it
   * throws, the iteration ends with that error.
   *
   * @param remoteAddr The address of the client.
   * @returns Whether the client is let in.
   */
  allow?: (remoteAddr: Addr) => boolean;
  /**
   * Returns what to tell a client whose request is too large or whose exchange
   * is too slow, if nothing has been sent to it yet. The text is sent while the
   * next connection is already served. If it throws, the iteration ends with
   * that error.
   *
   * @param error The error of the limit that was exceeded.
   * @returns The text to send, or nothing to just close.
   */
  onRefuse?: (error: RequestTooLargeError | TimeoutError) => string | void;
  /**
   * Called once for each request that is read: when it is complete or, with
   * `streaming: true`, when the first chunk of `readable` is read. It is not
   * awaited. If it throws, the iteration ends with that error once the exchange
   * is over.
   *
   * @param start How the request begins, and which client sent it.
   */
  onRequest?: (start: RequestStart<Addr>) => void;
  /**
   * Called once for each accepted connection, when the server is done with it. It
   * is not awaited. If it throws, the iteration ends with that error.
   *
   * @param record How it went.
   */
  onExchange?: (record: ExchangeRecord<Addr>) => void;
  /**
   * Called when an accept fails because the machine is short of descriptors or
   * memory. It is retried after 5 ms, then after twice as long each time, up to
   * a second; clients wait meanwhile. If it throws, the iteration ends with
   * that error.
   *
   * @param error Why the accept failed.
   */
  onAcceptError?: (error: Error) => void;
}

/** Options of a listener on TCP, or on TLS if `cert` and `key` are given. */
export interface TcpOptions extends ExchangeOptions<Deno.NetAddr> {
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
   * `--unstable-net`.
   *
   * @default {false}
   */
  reusePort?: boolean;
  /**
   * How many connections may wait in the backlog, at least 1.
   *
   * @default {511}
   */
  tcpBacklog?: number;
  /** The certificate chain in PEM, for TLS. It needs `key`. */
  cert?: string;
  /** The private key in PEM, for TLS. It needs `cert`. */
  key?: string;
}

/** Options of a listener on a Unix socket. */
export interface UnixOptions extends ExchangeOptions<Deno.UnixAddr> {
  /**
   * The path of the socket. Nothing may exist there yet: remove the socket that
   * a killed or failed server has left behind. At the end the socket is
   * removed, but not anything that has taken its place.
   *
   * The permissions must include its folder, where it first has another name.
   */
  path: string;
  /**
   * The permission bits of the socket, from the start. Users who may write to
   * it may connect. It has no effect on Windows.
   *
   * @default {0o777 & ~Deno.umask()}
   */
  mode?: number;
}

/** Options of a listener that already exists. */
export interface ListenerOptions<Addr extends Deno.Addr = Deno.Addr>
  extends ExchangeOptions<Addr> {
  /**
   * An open listener. It is taken over: do not accept from it or close it
   * yourself. Closing one of its connections must end its pending reads, as in
   * Deno.
   */
  listener: Deno.Listener<Deno.Conn, Addr>;
}

/**
 * The type of addresses for given options: that of `listener` if there is one,
 * {@linkcode Deno.UnixAddr} with a `path`, or else {@linkcode Deno.NetAddr}.
 */
export type AddrOf<Path, Source> = Source extends
  Deno.Listener<Deno.Conn, infer Addr> ? Addr
  : Path extends string ? Deno.UnixAddr
  : Deno.NetAddr;

/**
 * Options of {@linkcode listen}: where to listen, limits and callbacks.
 *
 * They are those of {@linkcode TcpOptions}, {@linkcode UnixOptions} or
 * {@linkcode ListenerOptions}. `path` and `listener` determine the type of
 * addresses, also in the callbacks.
 */
export type ListenOptions<
  Path extends string | undefined = string | undefined,
  Source extends Deno.Listener | undefined = Deno.Listener | undefined,
> =
  & ExchangeOptions<AddrOf<Path, Source>>
  & { path?: Path; listener?: Source }
  & (
    | Omit<TcpOptions, keyof ExchangeOptions>
      & {
        [Name in "path" | "mode" | "listener"]?: undefined;
      }
    | Omit<UnixOptions, keyof ExchangeOptions>
      & {
        [
          Name in Exclude<keyof TcpOptions, keyof ExchangeOptions> | "listener"
        ]?: undefined;
      }
    | Omit<ListenerOptions, keyof ExchangeOptions>
      & {
        [
          Name in Exclude<
            keyof (TcpOptions & UnixOptions),
            keyof ExchangeOptions
          >
        ]?: undefined;
      }
  );

/** All options by name. */
type AnyOptions =
  & ExchangeOptions
  & Partial<Pick<UnixOptions, "path" | "mode">>
  & Partial<Pick<ListenerOptions, "listener">>
  & Pick<TcpOptions, typeof tcpNames[number]>;

/** Checked options, with all defaults. */
export type CheckedOptions =
  & AnyOptions
  & Required<
    Pick<
      AnyOptions,
      | "hostname"
      | "port"
      | "reusePort"
      | "tcpBacklog"
      | "maxRequestBytes"
      | "deadline"
      | "idleTimeout"
      | "lingerTimeout"
      | "streaming"
      | "readAhead"
    >
  >;

const tcpNames = [
  "hostname",
  "port",
  "reusePort",
  "tcpBacklog",
  "cert",
  "key",
] as const;

/**
 * Checks options and fills in the defaults.
 *
 * @param options The options as given.
 * @returns The options with defaults.
 * @throws {TypeError} If an option is of the wrong type, or two exclude each
 * other.
 * @throws {RangeError} If a number is out of range.
 */
export function checkOptions(options: object): CheckedOptions {
  const checks = new OptionChecks("listen", options);
  const given: AnyOptions = options;
  checkWhere(given, checks);
  checks.type("string", ["hostname", "path", "cert", "key"]);
  checks.type("boolean", ["streaming", "reusePort"]);
  checks.type("function", [
    "allow",
    "onRefuse",
    "onRequest",
    "onExchange",
    "onAcceptError",
  ]);
  checks.signal("signal");
  checkUntil(given.until, checks);
  checks.integer("port", 0, 65_535);
  checks.integer("tcpBacklog", 1, 2 ** 31 - 1);
  checks.integer("mode", 0, 0o777);
  checks.integer("maxRequestBytes", 0, Infinity);
  checks.integer("readAhead", 0, 65_535);
  checks.integer("maxBufferedBytes", 0, Infinity);
  checks.time("deadline", 1);
  checks.time("idleTimeout", 1);
  checks.time("lingerTimeout", 0);
  if (given.readAhead && given.streaming) {
    throw checks.fault(
      'options "readAhead" and "streaming" exclude each other, a streamed ' +
        "request is read by its handler",
    );
  }
  if (checks.has("maxBufferedBytes") && !given.readAhead) {
    throw checks.fault(
      'option "maxBufferedBytes" needs "readAhead", without it `maxRequestBytes` ' +
        "is the limit",
    );
  }
  // Without the flag, Deno ends the whole process when asked for this. The
  // function exists only with the flag.
  if (given.reusePort && !("listenDatagram" in Deno)) {
    throw checks.fault(
      'option "reusePort" needs Deno to run with `--unstable-net`',
    );
  }
  return {
    ...given,
    hostname: given.hostname ?? "0.0.0.0",
    port: given.port ?? 8080,
    reusePort: given.reusePort ?? false,
    tcpBacklog: given.tcpBacklog ?? 511,
    maxRequestBytes: given.maxRequestBytes ?? 16_777_216,
    deadline: given.deadline ?? 60_000,
    idleTimeout: given.idleTimeout ?? 15_000,
    lingerTimeout: given.lingerTimeout ?? 2_000,
    streaming: given.streaming ?? false,
    readAhead: given.readAhead ?? 0,
  };
}

/** Checks that `until` can end a request. */
function checkUntil(until: unknown, checks: OptionChecks): void {
  if (until === undefined) return;
  if (typeof until === "string" || until instanceof Uint8Array) {
    if (until.length > 0) return;
    throw checks.fault('option "until" must not be empty, name a delimiter');
  }
  const { idle } = Object(until) as { idle?: unknown };
  if (typeof idle !== "number") {
    throw checks.wrong("until", "a string, a Uint8Array or { idle: number }");
  }
  new OptionChecks("listen", { "until.idle": idle }).time("until.idle", 1);
}

/** Checks that the options name exactly one place to listen. */
function checkWhere(options: AnyOptions, checks: OptionChecks): void {
  for (const place of ["listener", "path"] as const) {
    if (!checks.has(place)) continue;
    const other = checks.has("path") && place === "listener"
      ? "path"
      : tcpNames.find((name) => checks.has(name));
    if (other) throw checks.exclusive(place, other);
  }
  checks.pair("cert", "key");
  if (checks.has("mode") && !checks.has("path")) {
    throw checks.fault(
      'option "mode" needs "path", only a Unix socket has one',
    );
  }
  checks.path("path");
  if (
    checks.has("listener") && typeof options.listener?.accept !== "function"
  ) {
    throw checks.wrong("listener", "a Deno.Listener");
  }
}
