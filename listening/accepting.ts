/**
 * Accepts one connection after another, despite faults of peers and a shortage
 * of descriptors.
 *
 * @module
 */

import type { Backlog } from "../draining/backlog.ts";
import { Pause } from "../shared/pause.ts";
import { closeQuietly } from "../shared/quiet.ts";
import type { Socket } from "../shared/socket.ts";
import { Wakeup } from "../shared/wakeup.ts";

const MIN_BACKOFF_MS = 5;
const MAX_BACKOFF_MS = 1000;

/**
 * How many peers that leave too early are passed over without a pause. More of
 * them in a row get the shortest pause only, as a longer one would let them hold
 * up those who stay.
 */
const MAX_IN_A_ROW = 16;

/** So many of them in a row are more than peers that leave: that is told. */
const TOLD_IN_A_ROW = 1024;

/** A peer that has left before it was accepted. macOS says EINVAL then. */
const peerCodes = ["ECONNABORTED", "ECONNRESET", "EINVAL", "ENOTCONN"];

/**
 * A listener that is broken. All other errors are temporary: Deno gives no code to
 * many of them, and each system has others.
 */
const brokenCodes = ["EBADF", "ENOTSOCK"];

/** The source of connections: the part of `Deno.Listener` that is needed. */
export interface Source
  extends Pick<Deno.Listener, "addr" | "close" | "ref" | "unref"> {
  /** As `Deno.Listener.accept()`. */
  accept(): Promise<Socket>;
  /**
   * Accepts no more, and resets nobody. Only a socket that somebody else keeps
   * open can be left: who connects now waits there for the next process.
   *
   * @returns Those that were accepted and not taken.
   */
  leave?(): Socket[];
  /** How many it has accepted that were not taken. Most leave them to the kernel. */
  readonly queued?: number;
  /** Lets nobody else connect, and keeps the backlog. Only some can do this. */
  hide?(): void;
}

/** Accepts from a listener, and retries after temporary errors. */
export class Acceptor implements Backlog {
  readonly #listener: Source;
  readonly #onAcceptError: ((error: Error) => void) | undefined;
  /**
   * The one pending accept: a second one would reject with `Busy`. It stays
   * until its connection is taken, so that no connection is lost between
   * several callers that wait for it.
   */
  #pending: Promise<Socket | undefined> | undefined;
  #backoff: Pause | undefined;
  readonly #backingOff = new Wakeup();
  #isClosed = false;

  /**
   * @param listener Where to accept from.
   * @param onAcceptError Called before each pause after an accept that failed.
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

  get isPending(): boolean {
    return this.#pending !== undefined;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  backingOff(): Promise<void> {
    return this.#backingOff.wait();
  }

  /** How many were accepted before their time. */
  get queued(): number {
    return this.#listener.queued ?? 0;
  }

  get backoff(): Promise<void> | undefined {
    return this.#backoff?.ended;
  }

  /** @throws {unknown} The error of a listener that is broken, or of the callback. */
  accept(): Promise<Socket | undefined> {
    return this.#pending ??= this.#accept();
  }

  acceptOnce(): Promise<Socket> {
    return this.#listener.accept();
  }

  take(): void {
    this.#pending = undefined;
  }

  /** Whether it can be left without a gap. */
  get canLeave(): boolean {
    return this.#listener.leave !== undefined;
  }

  /** Accepts no more, and gives all that were accepted. */
  async leave(): Promise<Socket[]> {
    const rest = this.#listener.leave?.() ?? [];
    const first = this.isPending ? await this.accept() : undefined;
    this.take();
    return first ? [first, ...rest] : rest;
  }

  hide(): void {
    this.#listener.hide?.();
  }

  close(): void {
    closeQuietly(this.#listener);
    this.#backoff?.end();
  }

  /** Gives up a pending accept, and closes the listener. */
  abort(): void {
    this.#isClosed = true;
    this.close();
  }

  async #accept(): Promise<Socket | undefined> {
    let backoff = MIN_BACKOFF_MS;
    let left = 0;
    while (!this.#isClosed) {
      try {
        // Each connection that was accepted has a record, even if we are closed by now.
        return await this.#listener.accept();
      } catch (error) {
        if (isClosed(error)) return undefined;
        if (!(error instanceof Error) || isBroken(error)) throw error;
        const hasLeft = isOfPeer(error);
        left = hasLeft ? left + 1 : 0;
        if (left % MAX_IN_A_ROW !== 0) continue;
        if (left % TOLD_IN_A_ROW === 0) this.#onAcceptError?.(error);
        this.#backoff = new Pause(backoff);
        this.#backingOff.wake();
        await this.#backoff.ended;
        this.#backoff = undefined;
        if (!hasLeft) backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
      }
    }
    return undefined;
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted;
}

/** Whether no accept will ever succeed. */
function isBroken(error: Error): boolean {
  const code = codeOf(error);
  // Without a code it is the program's own, such as a listener that is none.
  return brokenCodes.includes(code) ||
    (error instanceof TypeError && code === "");
}

/** Whether the peer has left before it was accepted, or cannot be named. */
function isOfPeer(error: Error): boolean {
  return error instanceof Deno.errors.InvalidData || // a Unix path not in UTF-8
    peerCodes.includes(codeOf(error));
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
