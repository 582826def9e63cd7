/**
 * An iterative server: it serves one connection at a time. It reads each
 * request to the client's FIN, answers it and closes before it takes the next
 * one.
 *
 * This entry point contains the server only. It imports no other package.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server/server";
 *
 * const server = serve(
 *   { hostname: "127.0.0.1", port: 0 },
 *   async (conn) => (await conn.text()).toUpperCase(),
 * );
 * await server.shutdown();
 * ```
 *
 * @module
 */

import type { Exchange } from "./conn.ts";
import { heed } from "./listening/callbacks.ts";
import { checkListenOptions } from "./listening/checked_options.ts";
import { StoppableListener } from "./listening/stoppable_listener.ts";
import type { Listener } from "./listening/listener.ts";
import type {
  FdOptions,
  ListenerOptions,
  ListenOptions,
  TcpOptions,
  UnixOptions,
} from "./listening/options.ts";
import { handle, type Handling } from "./serving/handling.ts";
import {
  checkServing,
  type Handler,
  type ServeCallbacks,
  type ServeOptions,
  type Server,
  type Serving,
} from "./serving/options.ts";
import { writeToConsole } from "./shared/thrown.ts";

export type { Conn } from "./conn.ts";
export type { BodyChunk, ResponseBody } from "./shared/body.ts";
export {
  IncompleteReadError,
  RequestTooLargeError,
  TimeoutError,
} from "./shared/errors.ts";
export type {
  ExchangeRecord,
  Outcome,
  RequestStart,
} from "./exchange/record.ts";
export type { RequestReader } from "./exchange/request_interface.ts";
export type { Listener } from "./listening/listener.ts";
export type {
  ExchangeOptions,
  FdOptions,
  ListenerOptions,
  ListenOptions,
  TcpOptions,
  UnixOptions,
} from "./listening/options.ts";
export type {
  Handler,
  HandlerModule,
  ServeCallbacks,
  ServeOptions,
  Server,
} from "./serving/options.ts";

/**
 * Listens, and yields connections one at a time.
 *
 * {@linkcode serve} runs the loop for you, and keeps exchanges separate.
 *
 * Each request is read to its end, within the limits, before its connection is
 * yielded. A client that resets, stalls, sends too much or cuts TLS short is
 * recorded and never reaches the loop, so no client can end the iteration. When
 * the loop asks for the next connection, the previous one is closed if it is
 * still open, after any response under way.
 *
 * It needs the permission `--allow-net`; a Unix socket also needs
 * `--allow-read` and `--allow-write`.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * const listener = listen({ hostname: "127.0.0.1", port: 0 });
 * const client = await Deno.connect({ port: listener.addr.port });
 * await client.write(new TextEncoder().encode("hello"));
 * await client.closeWrite();
 *
 * for await (const conn of listener) {
 *   // Complete: the client has sent its FIN.
 *   const request = await conn.text();
 *   // Written, our FIN sent, and closed.
 *   await conn.respond(request.toUpperCase());
 *   break;
 * }
 * client.close();
 * ```
 *
 * @param options Where to listen, and the limits. `0.0.0.0:8080` by default.
 * @returns The listener, which is already listening.
 * @throws {TypeError} If an option is of the wrong type or does not exist, or two
 * exclude each other.
 * @throws {RangeError} If a number is out of range.
 * @throws {Deno.errors.NotSupported} If this Deno is older than 2.9.5.
 * @throws {Deno.errors.AddrInUse} If the address is in use, or `path` exists
 * and is no dead socket.
 * @throws {Deno.errors.NotFound} If the folder of `path` does not exist.
 * @throws {Deno.errors.InvalidData} If `cert` or `key` contains no PEM.
 * @throws {Deno.errors.NotCapable} If a permission is missing.
 */
export function listen(options?: TcpOptions): Listener<Deno.NetAddr>;
/**
 * Listens on a Unix socket.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * const path = await Deno.makeTempDir() + "/control.sock";
 * await using control = listen({ path });
 * ```
 *
 * @param options The `path`, and the limits.
 * @returns The listener, which is already listening.
 */
export function listen(options: UnixOptions): Listener<Deno.UnixAddr>;
/**
 * Takes over a listener that is already open.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * await using other = listen({ listener });
 * ```
 *
 * @param options The `listener`, and the limits.
 * @returns The listener.
 */
export function listen<Addr extends Deno.Addr>(
  options: ListenerOptions<Addr>,
): Listener<Addr>;
/**
 * Takes over a listening socket that the process has inherited, such as one from
 * systemd, which outlives it.
 *
 * @example Usage
 * ```ts ignore
 * import { listen } from "@halfclose/server";
 *
 * await using listener = listen({ fd: 3 });
 * ```
 *
 * @param options The `fd`, and the limits.
 * @returns The listener.
 * @throws {Deno.errors.BadResource} If the descriptor is no socket that can listen.
 */
export function listen(
  options: FdOptions,
): Listener<Deno.NetAddr | Deno.UnixAddr>;
/**
 * Listens where the options say.
 *
 * @param options Where to listen, and the limits.
 * @returns The listener, which is already listening.
 */
export function listen(
  options: ListenOptions,
): Listener<Deno.NetAddr | Deno.UnixAddr>;
export function listen(options: object = {}): Listener {
  return new IterativeListener(checkListenOptions(options));
}

/** The listener that {@linkcode listen} returns and {@linkcode serve} uses. */
class IterativeListener<Addr extends Deno.Addr> extends StoppableListener<Addr>
  implements Listener<Addr> {
  #iterator: AsyncGenerator<Exchange<Addr>, void, undefined> | undefined;
  #isInLoopBody = false;

  /** The loop: one exchange after another, each to its end. */
  async *#iterate(): AsyncGenerator<Exchange<Addr>, void, undefined> {
    try {
      for (;;) {
        // take the next, let it in, read it to its end
        const exchange = await this.next();
        if (!exchange) return;
        try {
          this.#isInLoopBody = true;
          exchange.takeTurn();
          yield exchange; // hand it over
        } finally {
          this.#isInLoopBody = false;
          if (!exchange.state.isClosed) await exchange.close(); // close it
          this.record(exchange); // record it
        }
      }
    } finally {
      await this.end();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Exchange<Addr>, void, undefined> {
    if (this.#iterator) {
      throw new TypeError(
        "Cannot iterate over a listener twice: its connections come one at a " +
          "time. Listen again or handle them in the one loop.",
      );
    }
    const iterator = this.#iterate();
    const { return: leave, throw: fail } = iterator;
    // A generator that has not begun, or that waits, would not notice this.
    iterator.return = (value) => {
      if (!this.#isInLoopBody) this.close();
      return leave.call(iterator, value);
    };
    iterator.throw = (error) => {
      if (!this.#isInLoopBody) this.close();
      return fail.call(iterator, error);
    };
    return this.#iterator = iterator;
  }
}

/** The server that {@linkcode serve} returns. */
class IterativeServer extends IterativeListener<Deno.Addr> implements Server {
  readonly finished: Promise<void>;

  constructor({ listening, handler, onListen, onError }: Serving) {
    super(listening);
    try {
      heed(onListen?.(this.addr), (error) => this.fail(error));
    } catch (error) {
      this.close();
      throw error;
    }
    this.finished = this.#run({
      handler: (conn) => handler(conn, this),
      onError: onError ?? ((error) => writeToConsole(error)),
    });
  }

  async #run(handling: Handling<Deno.Addr>): Promise<void> {
    for await (const exchange of this) await handle(exchange, handling);
  }
}

/**
 * Calls a handler for one connection at a time, and sends what it returns.
 *
 * Exchanges are isolated: what a handler throws goes to `onError`, and the
 * server goes on. A handler that outlives the `deadline` is abandoned: its
 * `conn.signal` is aborted and the server moves on. It may then overlap with
 * the next handler; what it still returns is dropped.
 *
 * It needs the same permissions as {@linkcode listen}.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server";
 *
 * const server = serve(
 *   { hostname: "127.0.0.1", port: 0 },
 *   async (conn) => (await conn.text()).toUpperCase(),
 * );
 * await server.shutdown();
 * ```
 *
 * @param options Where to listen, the limits, and the callbacks.
 * @param handler Answers each exchange.
 * @returns The server, which is already running.
 * @throws {TypeError} If an option is of the wrong type or does not exist, two
 * exclude each other, or the handler is not a function. Other errors: as with {@linkcode listen}.
 */
export function serve(
  options: TcpOptions & ServeCallbacks<Deno.NetAddr>,
  handler: Handler<Deno.NetAddr>,
): Server<Deno.NetAddr>;
/** Serves on a Unix socket. */
export function serve(
  options: UnixOptions & ServeCallbacks<Deno.UnixAddr>,
  handler: Handler<Deno.UnixAddr>,
): Server<Deno.UnixAddr>;
/** Serves with a listener that is already open. */
export function serve<Addr extends Deno.Addr>(
  options: ListenerOptions<Addr> & ServeCallbacks<Addr>,
  handler: Handler<Addr>,
): Server<Addr>;
/** Serves on a listening socket that the process has inherited. */
export function serve(
  options: FdOptions & ServeCallbacks<Deno.NetAddr | Deno.UnixAddr>,
  handler: Handler<Deno.NetAddr | Deno.UnixAddr>,
): Server<Deno.NetAddr | Deno.UnixAddr>;
/** Serves where the options say. */
export function serve(
  options: ServeOptions,
  handler: Handler<Deno.NetAddr | Deno.UnixAddr>,
): Server<Deno.NetAddr | Deno.UnixAddr>;
/** Serves with the handler among the options. */
export function serve(
  options: TcpOptions & ServeCallbacks<Deno.NetAddr> & {
    handler: Handler<Deno.NetAddr>;
  },
): Server<Deno.NetAddr>;
/** Serves on a Unix socket, with the handler among the options. */
export function serve(
  options: UnixOptions & ServeCallbacks<Deno.UnixAddr> & {
    handler: Handler<Deno.UnixAddr>;
  },
): Server<Deno.UnixAddr>;
/** Serves with a listener that is already open, and the handler among the options. */
export function serve<Addr extends Deno.Addr>(
  options: ListenerOptions<Addr> & ServeCallbacks<Addr> & {
    handler: Handler<Addr>;
  },
): Server<Addr>;
/** Serves on an inherited socket, with the handler among the options. */
export function serve(
  options: FdOptions & ServeCallbacks<Deno.NetAddr | Deno.UnixAddr> & {
    handler: Handler<Deno.NetAddr | Deno.UnixAddr>;
  },
): Server<Deno.NetAddr | Deno.UnixAddr>;
/** Serves where the options say, with the handler among them. */
export function serve(
  options: ServeOptions & { handler: Handler<Deno.NetAddr | Deno.UnixAddr> },
): Server<Deno.NetAddr | Deno.UnixAddr>;
/** Serves on `0.0.0.0:8080` with the default limits. */
export function serve(handler: Handler<Deno.NetAddr>): Server<Deno.NetAddr>;
export function serve(
  options: object,
  handler?: Handler<never>,
): Server {
  return new IterativeServer(checkServing(options, handler));
}
