/**
 * What `listen()` gives.
 *
 * @module
 */

import type { Conn } from "../conn.ts";

/**
 * A listening socket that yields its connections one at a time, as
 * {@linkcode listen} returns it.
 *
 * Nothing that a client does can end the iteration or make it throw. Leaving it
 * (`break`, `return`, `throw`) closes the listener **and resets every
 * connection still in its backlog**; {@linkcode Listener.shutdown} serves them.
 * `await using` calls that at the end of the block.
 *
 * @example Stop gracefully on Ctrl-C
 * ```ts ignore
 * import { listen } from "@halfclose/server";
 *
 * const listener = listen({ port: 8080 });
 * Deno.addSignalListener("SIGINT", () => listener.shutdown());
 * for await (const conn of listener) {
 *   await conn.respond(await conn.bytes());
 * }
 * ```
 *
 * @typeParam Addr The type of the addresses: {@linkcode Deno.NetAddr} on TCP,
 * {@linkcode Deno.UnixAddr} on a Unix socket.
 */
export interface Listener<Addr extends Deno.Addr = Deno.Addr>
  extends AsyncIterable<Conn<Addr>, void, undefined>, AsyncDisposable {
  /** The address that the listener listens on. */
  readonly addr: Addr;
  /**
   * How many connections are accepted whose exchange is not over: 0 or 1, or up
   * to `readAhead` more. Those in the backlog do not count, nor do those that
   * linger.
   */
  readonly inHand: number;
  /**
   * How many connections are accepted before their turn, and wait in this process:
   * on an inherited socket (`fd`), and while a stop serves the backlog. At other
   * times they wait in the kernel, which does not tell.
   */
  readonly queued: number;
  /**
   * How many connections linger: their exchange is over, and what their clients
   * still send is dropped, for at most `lingerTimeout`. They hold up nobody.
   */
  readonly lingering: number;
  /**
   * Starts to take connections. There can be only one iteration. It throws if
   * no more connections can be accepted, or if a callback throws.
   *
   * @returns The connections, one at a time.
   * @throws {TypeError} If it was called before.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Conn<Addr>, void, undefined>;
  /**
   * Stops gracefully: connections established by now are served, later ones are
   * refused (or, rarely, reset), and then the iteration ends. This takes one more
   * `deadline` at most; connections not served by then are closed without a
   * response. Without an iteration it does the same as {@linkcode Listener.close}.
   *
   * Do not await it inside the loop, or in a handler: it waits for them to end.
   *
   * @returns Resolves when the iteration has ended and all sockets are closed.
   * Calling it again returns the same promise.
   */
  shutdown(): Promise<void>;
  /**
   * Changes the certificate for new connections, without a stop. The listener
   * must have been opened with `cert`, `key` and `reusePort`: Deno cannot change
   * the certificate of an open socket, so a second socket is opened on the same
   * port, and then the first one is closed. Clients that have connected to the
   * first one are accepted before that, and see the old certificate.
   *
   * A client that connects to the first socket at the very moment of its close
   * is reset, unless the kernel hands it over: Linux 5.14 or later does with
   * `sysctl net.ipv4.tcp_migrate_req=1`.
   *
   * If it rejects, the listener goes on with the old certificate.
   *
   * @example Usage
   * ```ts ignore
   * import { serve } from "@halfclose/server";
   *
   * const certificate = () => ({
   *   cert: Deno.readTextFileSync("cert.pem"),
   *   key: Deno.readTextFileSync("key.pem"),
   * });
   * const server = serve(
   *   { port: 8443, reusePort: true, ...certificate() },
   *   (conn) => conn.bytes(),
   * );
   * Deno.addSignalListener("SIGHUP", () => server.setCertificate(certificate()));
   * ```
   *
   * @param certificate The chain of the new certificate and its key, in PEM.
   * @returns Resolves when the first socket is closed: all later connections
   * see the new certificate.
   * @throws {TypeError} If the listener has no `reusePort` or no TLS, or the
   * certificate is of the wrong type.
   * @throws {Deno.errors.InvalidData} If `cert` or `key` contains no PEM.
   * @throws {DOMException} Named `"AbortError"`: if the listener is stopping.
   */
  setCertificate(
    certificate: { readonly cert: string; readonly key: string },
  ): Promise<void>;
  /**
   * Stops at once: the backlog is reset, the exchange under way and lingering
   * connections are cut, and the iteration ends. It waits for nothing.
   */
  close(): void;
  /** Keeps the process alive while it waits for connections: the default. */
  ref(): void;
  /**
   * Lets the process end while it waits for connections. Deno ignores this for
   * TLS.
   */
  unref(): void;
}
