/**
 * The backlog that is drained.
 *
 * @module
 */

import type { Socket } from "../shared/socket.ts";

/** A listener, and the kernel's backlog of connections behind it. */
export interface Backlog {
  readonly addr: Deno.Addr;
  /** Whether an accept is pending, or its connection has yet to be taken. */
  readonly isPending: boolean;
  /** Whether it was given up. */
  readonly isClosed: boolean;
  /** During a backoff: resolves when the accept is tried again. */
  readonly backoff: Promise<void> | undefined;
  /** Resolves when the next backoff begins. */
  backingOff(): Promise<void>;
  /**
   * Waits for the next connection. Returns the same one until it is taken.
   *
   * @returns The connection, or `undefined` if the listener is closed.
   * @throws {unknown} The error of a listener that is broken.
   */
  accept(): Promise<Socket | undefined>;
  /**
   * Accepts once, whatever comes of it. No other accept may be pending.
   *
   * @returns The connection.
   * @throws {unknown} Why there is none.
   */
  acceptOnce(): Promise<Socket>;
  /** Takes the accepted connection, so that the next one can be accepted. */
  take(): void;
  /** Lets nobody else connect, where the system can do this. */
  hide(): void;
  /** Closes the listener, which resets the connections in its backlog. */
  close(): void;
}
