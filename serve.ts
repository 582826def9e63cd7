/**
 * Serving: a handler for one connection at a time, each standing alone.
 *
 * @module
 */

import type { ResponseBody } from "./exchange/body.ts";
import type { Conn } from "./conn.ts";
import type { Exchange } from "./exchange.ts";
import { IterativeListener } from "./listen.ts";
import {
  checkOptions,
  type ListenerOptions,
  type ListenOptions,
  type TcpOptions,
  type UnixOptions,
} from "./listening/options.ts";

/**
 * What answers an exchange: it returns the response, or nothing if it has
 * responded already or there is nothing to say. A promise of `conn.respond()` is
 * no response: await it.
 */
export type Handler<Addr extends Deno.Addr = Deno.Addr> = (
  conn: Conn<Addr>,
) => ResponseBody | void | Promise<ResponseBody | void>;

/** Options that {@linkcode serve} takes beside those of {@linkcode listen}. */
export interface ServeCallbacks<Addr extends Deno.Addr = Deno.Addr> {
  /**
   * Called when the server listens. Nothing is printed without it.
   *
   * @param addr The address that is listened on.
   */
  onListen?: (addr: Addr) => void;
  /**
   * Called with what the handler, or the body that it gave, threw. By default it
   * is written with `console.error`.
   *
   * @param error What was thrown.
   * @param conn The connection that was being handled.
   * @returns What to send instead, if nothing has been sent yet.
   */
  onError?: (
    error: unknown,
    conn: Conn<Addr>,
  ) => ResponseBody | void | Promise<ResponseBody | void>;
}

/** Options of {@linkcode serve} on TCP, or on TLS if `cert` and `key` are given. */
export type ServeTcpOptions = TcpOptions & ServeCallbacks<Deno.NetAddr>;
/** Options of {@linkcode serve} on a Unix socket. */
export type ServeUnixOptions = UnixOptions & ServeCallbacks<Deno.UnixAddr>;
/** Options of {@linkcode serve} on a listener that somebody else has made. */
export type ServeListenerOptions<Addr extends Deno.Addr = Deno.Addr> =
  & ListenerOptions<Addr>
  & ServeCallbacks<Addr>;
/** Options of {@linkcode serve}, wherever it is to listen. */
export type ServeOptions = ListenOptions & ServeCallbacks;

/** A handler among the options, for those who pass everything in one object. */
export interface WithHandler<Addr extends Deno.Addr = Deno.Addr> {
  /** What answers each exchange. */
  handler: Handler<Addr>;
}

/** A server that runs. Its shape is that of `Deno.HttpServer`. */
export interface Server<Addr extends Deno.Addr = Deno.Addr>
  extends AsyncDisposable {
  /** The address that is listened on. */
  readonly addr: Addr;
  /**
   * Resolves when the server has stopped. Rejects if no more connections can be
   * accepted, or with what a callback threw.
   */
  readonly finished: Promise<void>;
  /**
   * Stops without a loss, as {@linkcode Listener.shutdown} does.
   *
   * @returns Resolves when the server has stopped.
   */
  shutdown(): Promise<void>;
  /** Lets waiting for connections keep the process alive, as it does at first. */
  ref(): void;
  /** Lets the process end while it waits for connections. */
  unref(): void;
}

/**
 * Serves on a Unix socket.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server";
 *
 * const path = await Deno.makeTempDir() + "/control.sock";
 * await using server = serve({ path }, () => "hello");
 * ```
 *
 * @param options Where to listen, the limits, and what to call.
 * @param handler What answers each exchange.
 * @returns The server, which runs already.
 */
export function serve(
  options: ServeUnixOptions,
  handler: Handler<Deno.UnixAddr>,
): Server<Deno.UnixAddr>;
/**
 * Serves on a listener that somebody else has made.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server";
 *
 * const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * await using server = serve({ listener }, () => "hello");
 * ```
 *
 * @param options The listener, the limits, and what to call.
 * @param handler What answers each exchange.
 * @returns The server, which runs already.
 */
export function serve<Addr extends Deno.Addr>(
  options: ServeListenerOptions<Addr>,
  handler: Handler<Addr>,
): Server<Addr>;
/**
 * Serves: a handler is called for one connection at a time, and what it returns
 * is sent.
 *
 * Every exchange stands alone: what a handler throws goes to `onError`, and the
 * server goes on. A handler that outlives the `deadline` is abandoned: its
 * `conn.signal` is aborted and the server moves on, so that from then on it may
 * overlap with the next one; what it still returns is dropped.
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
 * @param options Where to listen, the limits, and what to call.
 * @param handler What answers each exchange.
 * @returns The server, which runs already.
 * @throws {TypeError} If an option is of the wrong type, or two exclude each other.
 * @throws {RangeError} If a number is out of its range.
 * @throws {Deno.errors.AddrInUse} If something listens there already.
 * @throws {Deno.errors.NotCapable} If a permission is missing.
 */
export function serve(
  options: ServeTcpOptions,
  handler: Handler<Deno.NetAddr>,
): Server<Deno.NetAddr>;
/**
 * Serves on a Unix socket, with the handler among the options.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server";
 *
 * const path = await Deno.makeTempDir() + "/control.sock";
 * await using server = serve({ path, handler: () => "hello" });
 * ```
 *
 * @param options Where to listen, the limits, what to call, and the handler.
 * @returns The server, which runs already.
 */
export function serve(
  options: ServeUnixOptions & WithHandler<Deno.UnixAddr>,
): Server<Deno.UnixAddr>;
/**
 * Serves on a listener that somebody else has made, with the handler among the
 * options.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server";
 *
 * const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * await using server = serve({ listener, handler: () => "hello" });
 * ```
 *
 * @param options The listener, the limits, what to call, and the handler.
 * @returns The server, which runs already.
 */
export function serve<Addr extends Deno.Addr>(
  options: ServeListenerOptions<Addr> & WithHandler<Addr>,
): Server<Addr>;
/**
 * Serves, with the handler among the options.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server";
 *
 * await using server = serve({
 *   hostname: "127.0.0.1",
 *   port: 0,
 *   handler: () => "hello",
 * });
 * ```
 *
 * @param options Where to listen, the limits, what to call, and the handler.
 * @returns The server, which runs already.
 */
export function serve(
  options: ServeTcpOptions & WithHandler<Deno.NetAddr>,
): Server<Deno.NetAddr>;
/**
 * Serves wherever the options say.
 *
 * @example Usage
 * ```ts
 * import { serve, type ServeOptions } from "@halfclose/server";
 *
 * const options: ServeOptions = { hostname: "127.0.0.1", port: 0 };
 * await using server = serve(options, () => "hello");
 * ```
 *
 * @param options Where to listen, the limits, and what to call.
 * @param handler What answers each exchange.
 * @returns The server, which runs already.
 */
export function serve(options: ServeOptions, handler: Handler): Server;
/**
 * Serves wherever the options say, with the handler among them.
 *
 * @example Usage
 * ```ts
 * import { serve, type ServeOptions } from "@halfclose/server";
 *
 * const options: ServeOptions = { hostname: "127.0.0.1", port: 0 };
 * await using server = serve({ ...options, handler: () => "hello" });
 * ```
 *
 * @param options Where to listen, the limits, what to call, and the handler.
 * @returns The server, which runs already.
 */
export function serve(options: ServeOptions & WithHandler): Server;
/**
 * Serves on `0.0.0.0:8080` with the default limits.
 *
 * @example Usage
 * ```ts ignore
 * import { serve } from "@halfclose/server";
 *
 * serve(async (conn) => (await conn.text()).toUpperCase());
 * ```
 *
 * @param handler What answers each exchange.
 * @returns The server, which runs already.
 */
export function serve(handler: Handler<Deno.NetAddr>): Server<Deno.NetAddr>;
export function serve(
  first: object,
  second?: Handler<never>,
): Server {
  const options = (typeof first === "function" ? { handler: first } : first) as
    & ServeOptions
    & Partial<WithHandler>;
  const handler = second ?? options.handler;
  if (typeof handler !== "function") {
    throw new TypeError(
      "Cannot serve: a handler is needed that takes a connection, received " +
        Deno.inspect(handler),
    );
  }
  return new IterativeServer(options, handler as Handler);
}

class IterativeServer implements Server {
  readonly finished: Promise<void>;
  readonly #listener: IterativeListener;
  readonly #handler: Handler;
  readonly #onError: NonNullable<ServeCallbacks["onError"]>;

  constructor(options: ServeOptions, handler: Handler) {
    const checked = checkOptions(options);
    const { onListen, onError } = options;
    this.#handler = handler;
    this.#onError = onError ?? ((error) => console.error(error));
    this.#listener = new IterativeListener(checked);
    try {
      onListen?.(this.addr);
    } catch (error) {
      this.#listener.close();
      throw error;
    }
    this.finished = this.#run();
  }

  get addr(): Deno.Addr {
    return this.#listener.addr;
  }

  shutdown(): Promise<void> {
    return this.#listener.shutdown();
  }

  ref(): void {
    this.#listener.ref();
  }

  unref(): void {
    this.#listener.unref();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #run(): Promise<void> {
    for await (const exchange of this.#listener) await this.#handle(exchange);
  }

  async #handle(exchange: Exchange<Deno.Addr>): Promise<void> {
    const answer = call(this.#handler, exchange);
    try {
      const body = await exchange.untilCut(answer);
      if (body !== undefined && body !== null) await exchange.respond(body);
      else if (exchange.failure === undefined) await exchange.close();
      // What was not awaited may have failed all the same, by now or meanwhile.
      if (exchange.failure !== undefined) throw exchange.failure;
    } catch (error) {
      if (!exchange.isOthersFault(error)) {
        await this.#report(error, exchange);
        return;
      }
      // Cut short: the handler, if it still runs, may yet have its say.
      answer.then((late) => {
        if (late) exchange.respond(late);
      }, (late) => {
        if (!exchange.isOthersFault(late)) this.#report(late, exchange);
      });
    }
  }

  async #report(error: unknown, exchange: Exchange<Deno.Addr>): Promise<void> {
    exchange.fail(error);
    try {
      const reporting = call(this.#onError, error, exchange);
      reporting.catch((fault) =>
        console.error("onError() threw", fault, "when it was told of", error)
      );
      const body = await exchange.untilCut(reporting);
      if (exchange.answered || body === undefined || body === null) return;
      await exchange.respond(body).catch((fault) => console.error(fault));
    } catch {
      // There is nobody left to tell.
    }
  }
}

/** Calls `callback` so that all it may do wrong ends in a rejection. */
async function call<Args extends unknown[], Result>(
  callback: (...args: Args) => Result,
  ...args: Args
): Promise<Awaited<Result>> {
  return await callback(...args);
}
