/**
 * What can be asked of `serve()` beside what `listen()` takes.
 *
 * @module
 */

import type { Conn } from "../conn.ts";
import type { ResponseBody } from "../exchange/body.ts";
import { OptionChecks } from "../exchange/option_checks.ts";
import type { AddrOf, ListenOptions } from "../listening/options.ts";

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
   * Stops without a loss, as {@linkcode Listener.shutdown} does. Do not await it
   * within a handler, which it would wait for.
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
 * What answers an exchange: it returns the response, or nothing if it has
 * responded already or there is nothing to say. A promise of `conn.respond()` is
 * no response: await it.
 *
 * It is also given the server, so that it can stop it:
 *
 * ```ts
 * import type { Handler } from "@halfclose/server";
 *
 * const handler: Handler = async (conn, server) => {
 *   if (await conn.text() === "stop") server.shutdown();
 *   return "ok";
 * };
 * ```
 */
export type Handler<Addr extends Deno.Addr = Deno.Addr> = (
  conn: Conn<Addr>,
  server: Server<Addr>,
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

/** Options of {@linkcode serve}, wherever it is to listen. */
export type ServeOptions<
  Path extends string | undefined = string | undefined,
  Source extends Deno.Listener | undefined = Deno.Listener | undefined,
> = ListenOptions<Path, Source> & ServeCallbacks<AddrOf<Path, Source>>;

/**
 * What a module exports by default that answers for the command-line tool: a
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
 * // and then: export default module;
 * ```
 */
export type HandlerModule = Handler | (ServeOptions & { handler: Handler });

/**
 * Checks the callbacks of `serve()`, and that there is a handler.
 *
 * @param options What was asked for.
 * @param handler What is to answer.
 * @throws {TypeError} If one of them is of the wrong type.
 */
export function checkServing(options: object, handler: unknown): void {
  const checks = new OptionChecks("serve", options);
  checks.type("function", ["onListen", "onError"]);
  if (typeof handler === "function") return;
  throw checks.fault(
    "a handler is needed that takes a connection, received " +
      Deno.inspect(handler),
  );
}
