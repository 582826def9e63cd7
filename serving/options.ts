/**
 * The options of `serve()` besides those of `listen()`.
 *
 * @module
 */

import type { Conn } from "../conn.ts";
import type { ExchangeRecord } from "../exchange/record.ts";
import type { ResponseBody } from "../shared/body.ts";
import { isCallable, OptionReader } from "../shared/option_reader.ts";
import { inspected, writeToConsole } from "../shared/thrown.ts";
import {
  type AnyListenOptions,
  type CheckedOptions,
  checkOptions,
  readListenOptions,
} from "../listening/checked_options.ts";
import type { Listener } from "../listening/listener.ts";
import type { ListenOptions } from "../listening/options.ts";

/**
 * A running server, as {@linkcode serve} returns it: a {@linkcode Listener} whose
 * connections go to the handler, and that says when it has `finished`. It has the
 * shape of `Deno.HttpServer`. `await using` calls `shutdown()` at the end of the
 * block; `close()` stops the server at once.
 *
 * The other members are those of {@linkcode Listener}: `addr`, `shutdown()`,
 * `close()`, `setCertificate()`, `ref()`, `unref()`, `inHand`, `queued` and
 * `lingering`.
 *
 * @example Stop gracefully on Ctrl-C
 * ```ts ignore
 * import { serve } from "@halfclose/server";
 *
 * const server = serve({ port: 8080 }, (conn) => conn.bytes());
 * Deno.addSignalListener("SIGINT", () => server.shutdown());
 * await server.finished;
 * ```
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export interface Server<Addr extends Deno.Addr = Deno.Addr>
  extends Omit<Listener<Addr>, typeof Symbol.asyncIterator> {
  /**
   * Resolves when the server has stopped. Rejects if no more connections can be
   * accepted, or if a callback throws.
   */
  readonly finished: Promise<void>;
}

/**
 * Answers an exchange: it returns the response, or nothing if it has already
 * responded or has nothing to send. What `conn.respond()` resolves to may be
 * returned: a boolean is ignored.
 *
 * Its second argument is the server, so that a handler can stop its own server.
 *
 * @example Stop on request
 * ```ts
 * import type { Handler } from "@halfclose/server";
 *
 * const handler: Handler = async (conn, server) => {
 *   if (await conn.text() === "stop") server.shutdown(); // not awaited
 *   return "ok";
 * };
 * ```
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export type Handler<Addr extends Deno.Addr = Deno.Addr> = (
  conn: Conn<Addr>,
  server: Server<Addr>,
) => ResponseBody | boolean | void | Promise<ResponseBody | boolean | void>;

/**
 * Options of {@linkcode serve} besides those of {@linkcode listen}.
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export interface ServeCallbacks<Addr extends Deno.Addr = Deno.Addr> {
  /**
   * Called when the server listens. By default nothing is printed. If it throws,
   * so does `serve()`; if it returns a promise that rejects, so does `finished`.
   *
   * @param addr The address that the server listens on.
   */
  onListen?: (addr: Addr) => void;
  /**
   * Called with what the handler, or the body that it returned, threw, also if the
   * handler had responded before or was abandoned (but not with the error of the
   * limit that ended it). By default it is written with `console.error`, and so is
   * what `onError` itself throws.
   *
   * @param error What was thrown.
   * @param conn The connection that was being handled.
   * @returns What to send instead, if nothing has been sent yet. By default the
   * connection is just closed.
   */
  onError?: (
    error: unknown,
    conn: Conn<Addr>,
  ) => ResponseBody | boolean | void | Promise<ResponseBody | boolean | void>;
}

/**
 * Options of {@linkcode serve}: those of {@linkcode ListenOptions} and of
 * {@linkcode ServeCallbacks}.
 *
 * @example Usage
 * ```ts
 * import type { ServeOptions } from "@halfclose/server";
 *
 * const options: ServeOptions = {
 *   port: 9100,
 *   maxRequestBytes: 1_048_576,
 *   deadline: 10_000,
 *   onError: () => "sorry\n",
 * };
 * ```
 */
export type ServeOptions =
  & ListenOptions
  & ServeCallbacks<Deno.NetAddr | Deno.UnixAddr>;

/**
 * The default export of a module that answers for the command-line tool: a
 * handler, or an object with options of {@linkcode serve} and a `handler`.
 *
 * @example Usage
 * ```ts
 * import type { HandlerModule } from "@halfclose/server";
 *
 * const module = {
 *   port: 9000,
 *   maxRequestBytes: 1024,
 *   handler: async (conn) => (await conn.text()).toUpperCase(),
 * } satisfies HandlerModule;
 * // The file ends with: export default module;
 * ```
 */
export type HandlerModule = Handler | (ServeOptions & { handler: Handler });

/** All options by name. */
type AnyServeOptions =
  & AnyListenOptions
  & ServeCallbacks
  & { handler?: Handler };

/**
 * Reads options of `serve()`, and checks each by itself.
 *
 * @param doing What fails if they are wrong, to follow "Cannot".
 * @param given The options as given.
 * @returns The options; `undefined` for those that were not given.
 * @throws {TypeError} If one is of the wrong type.
 * @throws {RangeError} If a number is out of range.
 */
export function readServeOptions(doing: string, given: object) {
  const options = new OptionReader<AnyServeOptions>(doing, given);
  return { ...readCallbacks(options), ...readListenOptions(options) };
}

/** What `serve()` is to do. */
export interface Serving extends ServeCallbacks {
  /** Answers each exchange. */
  readonly handler: Handler;
  /** Where to listen, and the limits. */
  readonly listening: CheckedOptions;
}

/**
 * Checks what `serve()` is given.
 *
 * @param given The options as given, or the handler alone.
 * @param handler The handler, unless that is among the options. It comes first.
 * @returns The handler and the options, with defaults.
 * @throws {TypeError} If an option is of the wrong type, two exclude each other,
 * or there is no handler.
 * @throws {RangeError} If a number is out of range.
 */
export function checkServing(given: object, handler: unknown): Serving {
  const isHandler = typeof given === "function" && handler === undefined;
  const options = new OptionReader<AnyServeOptions>(
    "serve",
    isHandler ? { handler: given } : given,
  );
  if (handler !== undefined) options.isGivenElsewhere("handler");
  const { onListen, onError, ...own } = readCallbacks(options);
  const listening = checkOptions(options);
  const answering = handler === undefined ? own.handler : handler;
  if (!isCallable(answering)) {
    throw options.fault(
      "a handler is needed that takes a connection, received " +
        inspected(answering),
    );
  }
  return {
    handler: answering as Handler,
    // Otherwise nobody would know why clients wait.
    listening: {
      ...listening,
      onAcceptError: listening.onAcceptError ?? writeToConsole,
      onExchange: listening.onExchange ??
        (typeof listening.until === "function" ? tellWhatFailed : undefined),
    },
    ...(onListen && { onListen }),
    ...(onError && { onError }),
  };
}

/** No handler is called, and so no `onError`, if `until` fails before. */
function tellWhatFailed({ outcome, handledMs, error }: ExchangeRecord): void {
  if (outcome === "failed" && handledMs === undefined) writeToConsole(error);
}

function readCallbacks(options: OptionReader<AnyServeOptions>) {
  return {
    onListen: options.callback("onListen"),
    onError: options.callback("onError"),
    handler: options.callback("handler"),
  };
}
