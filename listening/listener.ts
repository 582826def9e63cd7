/**
 * What `listen()` gives.
 *
 * @module
 */

import type { Conn } from "../conn.ts";

/**
 * A listening socket that yields its connections one at a time.
 *
 * Nothing that a client does can end the iteration or make it throw. Leaving it
 * (`break`, `return`, `throw`) closes the listener **and resets every
 * connection still in its backlog**; {@linkcode Listener.shutdown} serves them.
 */
export interface Listener<Addr extends Deno.Addr = Deno.Addr>
  extends AsyncIterable<Conn<Addr>, void, undefined>, AsyncDisposable {
  /** The address that the listener listens on. */
  readonly addr: Addr;
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
   * refused, and then the iteration ends. This takes one more `deadline` at
   * most; connections not served by then are closed. Without an iteration it
   * does the same as {@linkcode Listener.close}.
   *
   * Do not await it inside the loop: it waits for the loop to end.
   *
   * @returns Resolves when the iteration has ended and all sockets are closed.
   * Calling it again returns the same promise.
   */
  shutdown(): Promise<void>;
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
