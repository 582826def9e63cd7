/**
 * The state of an exchange: its stage, its verdict, its socket, and who waits for
 * a cut.
 *
 * @module
 */

import type {
  IncompleteReadError,
  RequestTooLargeError,
} from "../shared/errors.ts";
import { closeQuietly } from "../shared/quiet.ts";
import type { ExchangeRecord, Outcome, Phase } from "./record.ts";
import type { Socket } from "../shared/socket.ts";
import type { TimeLimits } from "./time_limits.ts";

/**
 * The stage of an exchange. The stages come in this order, and each is left
 * once; `"handshake"` is for TLS only, `"header"` for the header of a proxy,
 * `"reading"` is skipped when the request is streamed, and `"lingering"` is for
 * clients that have not sent their FIN.
 *
 * - `"waiting"`: the request is complete. With `readAhead` it may have to wait
 *   for its turn.
 * - `"closing"`: the FIN is sent, or the exchange was cut short. It lasts until
 *   the server moves on.
 * - `"lingering"`, `"closed"`: the server has moved on.
 */
export type Stage =
  | "accepted"
  | "handshake"
  | "header"
  | "reading"
  | "waiting"
  | "handling"
  | "writing"
  | "closing"
  | "lingering"
  | "closed";

/** The part of a record that describes the end. */
export type Verdict = Pick<ExchangeRecord, "outcome" | "phase" | "error">;

/** What cut an exchange short. */
export interface Cut {
  /** The outcome to record. */
  readonly outcome: Outcome;
  /** What all pending work is rejected with. */
  readonly error: unknown;
}

/** Outcomes that no error explains. */
const faultless: ReadonlySet<Outcome> = new Set(["denied", "health-check"]);

/** The state of one exchange. */
export class State {
  readonly #socket: Socket;
  readonly #limits: TimeLimits;
  #stage: Stage = "accepted";
  #verdict: Verdict | undefined;
  #cut: Cut | undefined;
  #tooLarge: RequestTooLargeError | undefined;
  #incomplete: IncompleteReadError | undefined;
  #unreadable: { error: unknown } | undefined;
  #callbackFault: { error: unknown } | undefined;
  #isClosed = false;
  /** Rejects the work that is pending when the exchange is cut short. */
  #waiting: Set<(error: unknown) => void> | undefined;
  #controller: AbortController | undefined;

  constructor(socket: Socket, limits: TimeLimits) {
    this.#socket = socket;
    this.#limits = limits;
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** The stage in coarser terms. */
  get phase(): Phase {
    const stage = this.#stage;
    if (stage === "waiting" || stage === "writing") return stage;
    if (this.isOver) return "handling";
    const isReading = stage !== "handling" || this.#limits.isReading;
    return isReading ? "reading" : "handling";
  }

  /** Moves on to the next stage, unless a cut has led to `"closing"`. */
  enter(stage: Stage): void {
    if (!this.#cut) this.#stage = stage;
  }

  /** Whether nothing more is expected from the client. */
  get isOver(): boolean {
    return this.#stage === "closing" || this.hasMovedOn;
  }

  /** The server moves on. Nothing that happens later counts. */
  moveOn(): void {
    this.#stage = this.#isClosed ? "closed" : "lingering";
  }

  /** Whether the server has moved on. */
  get hasMovedOn(): boolean {
    return this.#stage === "lingering" || this.#stage === "closed";
  }

  /** Whether the socket is closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Closes the socket at once, even while it lingers. After a cut the peer is to
   * see one, where the socket can do that.
   */
  closeSocket(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#stage === "lingering") this.#stage = "closed";
    const isCut = this.#cut && this.#cut.outcome !== "health-check";
    if (isCut && this.#socket.reset) this.#socket.reset();
    else closeQuietly(this.#socket);
  }

  /** The first fault, if there was any. */
  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** The fault of the handler, its response or its use of `Conn`, if any. */
  get failure(): { error?: unknown } | undefined {
    return this.#verdict?.outcome === "failed" ? this.#verdict : undefined;
  }

  /** What a callback of the options threw first. */
  get callbackFault(): { error: unknown } | undefined {
    return this.#callbackFault;
  }

  /** Calls a callback of the options. What it throws waits for the end. */
  guard<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      this.#callbackFault ??= { error };
      return undefined;
    }
  }

  /** What cut the exchange short, if anything did. */
  get cut(): Cut | undefined {
    return this.#cut;
  }

  /** Why no more is read, if the request is too large. */
  get tooLarge(): RequestTooLargeError | undefined {
    return this.#tooLarge;
  }

  /** Why no more is read, if that is no cut. */
  get unreadable(): { error: unknown } | undefined {
    return this.#unreadable;
  }

  /** Whether an error comes from the client, a limit or the end of the server. */
  isFromOutside(error: unknown): boolean {
    const cut = this.#cut;
    return (this.#tooLarge !== undefined && error === this.#tooLarge) ||
      (this.#incomplete !== undefined && error === this.#incomplete) ||
      (cut !== undefined && error === cut.error && cut.outcome !== "failed");
  }

  /** Aborted when the exchange is cut short. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#cut) this.#controller.abort(this.#cut.error);
    }
    return this.#controller.signal;
  }

  /** Records a fault that the exchange may survive. Only the first counts. */
  recordFault(outcome: Outcome, phase: Phase, error: unknown): void {
    const hasError = !faultless.has(outcome);
    this.#verdict ??= { outcome, phase, ...(hasError && { error }) };
  }

  /** Records a fault of the caller's code. */
  fail(error: unknown): void {
    this.recordFault("failed", this.phase, error);
  }

  /** Records that no more of the request is read. It can still be answered. */
  exceed(error: RequestTooLargeError): void {
    this.#tooLarge = error;
    this.#unreadable = { error };
    this.recordFault("too-large", "reading", error);
  }

  /** Records that the caller's code cannot tell where the request ends. */
  failReading(error: unknown): void {
    this.#unreadable = { error };
    this.recordFault("failed", "reading", error);
  }

  /** Records that the request ended too early. It can still be answered. */
  endEarly(error: IncompleteReadError): void {
    this.#incomplete = error;
    this.recordFault("truncated", "reading", error);
  }

  /**
   * Cuts the exchange short. The socket stays open.
   *
   * @returns Whether it was cut: not if it was before, or is over.
   */
  cutShort(outcome: Outcome, phase: Phase, error: unknown): boolean {
    if (this.#cut || this.hasMovedOn) return false;
    this.#cut = { outcome, error };
    this.recordFault(outcome, phase, error);
    this.#stage = "closing";
    for (const reject of this.#waiting ?? []) reject(error);
    this.#waiting = undefined;
    this.#controller?.abort(error);
    return true;
  }

  /** Cuts the exchange short for good: the client is told nothing. */
  abort(outcome: Outcome, error: unknown): void {
    this.cutShort(outcome, this.phase, error);
    this.closeSocket();
  }

  /**
   * Cuts the exchange short because of a fault of the peer.
   *
   * @returns The error to throw: that of the first cut.
   */
  cutByPeer(outcome: Outcome, phase: Phase, error: unknown): unknown {
    if (this.cutShort(outcome, phase, error)) this.closeSocket();
    return this.#cut ? this.#cut.error : error;
  }

  /**
   * Waits for `work`, or rejects as soon as the exchange is cut short. A race
   * with one long-lived promise would leak memory for each chunk.
   */
  raceWithCut<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting ??= new Set();
      waiting.add(reject);
      work.then((value) => {
        waiting.delete(reject);
        resolve(value);
      }, (error) => {
        waiting.delete(reject);
        reject(error);
      });
      if (this.#cut) reject(this.#cut.error);
    });
  }
}
