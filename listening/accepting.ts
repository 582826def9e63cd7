/**
 * Accepts one connection after another, despite faults of peers and a shortage
 * of descriptors.
 *
 * @module
 */

import { closeQuietly } from "../exchange/quiet.ts";
import { Pause } from "./pause.ts";

const MIN_BACKOFF_MS = 5;
const MAX_BACKOFF_MS = 1000;

/** Errors that the peer or the network causes, see accept(2). */
const peerCodes: ReadonlySet<string> = new Set([
  "EAGAIN",
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENONET",
  "ENOPROTOOPT",
  "ENOTCONN",
  "EOPNOTSUPP",
  "EPERM",
  "EPROTO",
  "ETIMEDOUT",
]);

/** Errors of a machine that is short of some resource for a while. */
const transientCodes: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ENOSR",
]);

/** The source of connections: the part of `Deno.Listener` that is needed. */
export interface Source
  extends Pick<Deno.Listener, "addr" | "accept" | "close" | "ref" | "unref"> {
  /** Lets nobody else connect, and keeps the backlog. Only some can do this. */
  hide?(): void;
}

/** Accepts from a listener, and retries after temporary errors. */
export class Acceptor {
  readonly #listener: Source;
  readonly #onAcceptError: ((error: Error) => void) | undefined;
  /**
   * The one pending accept: a second one would reject with `Busy`. It stays
   * until its connection is taken, so that no connection is lost between
   * several callers that wait for it.
   */
  #pending: Promise<Deno.Conn | undefined> | undefined;
  #backoff: Pause | undefined;
  #isClosed = false;

  /**
   * @param listener Where to accept from.
   * @param onAcceptError Called when an accept fails and will be retried.
   */
  constructor(
    listener: Source,
    onAcceptError: ((error: Error) => void) | undefined,
  ) {
    this.#listener = listener;
    this.#onAcceptError = onAcceptError;
  }

  get addr(): Deno.Addr {
    return this.#listener.addr;
  }

  /** Whether an accept is pending, or its connection has yet to be taken. */
  get isPending(): boolean {
    return this.#pending !== undefined;
  }

  /** Whether `abort()` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** During a backoff: resolves when the accept is retried. */
  get backoff(): Promise<void> | undefined {
    return this.#backoff?.ended;
  }

  /**
   * Waits for the next connection. Returns the same one until it is taken.
   *
   * @returns The connection, or `undefined` if the listener is closed.
   * @throws {unknown} The error of an accept that a retry would not cure, or
   * what the callback threw.
   */
  accept(): Promise<Deno.Conn | undefined> {
    return this.#pending ??= this.#accept();
  }

  /** Takes the accepted connection, so that the next one can be accepted. */
  take(): void {
    this.#pending = undefined;
  }

  /** Lets nobody else connect, where the system can do this. */
  hide(): void {
    this.#listener.hide?.();
  }

  /**
   * Has the engine compile what closes a listener, without closing it: the first
   * call takes longer than those that follow.
   */
  rehearseClose(): void {
    closeQuietly(Object.create(Object.getPrototypeOf(this.#listener)));
  }

  /** Closes the listener, which resets the connections in its backlog. */
  close(): void {
    closeQuietly(this.#listener);
  }

  /** Gives up a pending accept, and closes the listener. */
  abort(): void {
    this.#isClosed = true;
    this.#backoff?.end();
    this.close();
  }

  async #accept(): Promise<Deno.Conn | undefined> {
    let backoff = MIN_BACKOFF_MS;
    while (!this.#isClosed) {
      try {
        const conn = await this.#listener.accept();
        if (!this.#isClosed) return conn;
        conn.close();
      } catch (error) {
        if (isClosed(error)) return undefined;
        if (isPeerFault(error)) continue;
        if (!isTransient(error)) throw error;
        this.#onAcceptError?.(error);
        this.#backoff = new Pause(backoff);
        await this.#backoff.ended;
        this.#backoff = undefined;
        backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
      }
    }
    return undefined;
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted;
}

function isPeerFault(error: unknown): boolean {
  return error instanceof Deno.errors.InvalidData || // a Unix path not in UTF-8
    peerCodes.has(codeOf(error));
}

function isTransient(error: unknown): error is Error {
  return transientCodes.has(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
