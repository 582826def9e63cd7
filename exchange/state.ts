/**
 * The state of an exchange: its stage, its verdict, and what a cut rejects.
 *
 * @module
 */

import type { ExchangeRecord, Outcome, Phase } from "./record.ts";

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
const faultless: ReadonlySet<Outcome> = new Set(["refused", "health-check"]);

/** The state of one exchange. */
export class State {
  readonly #whole: { closeAfterCut(): void };
  #stage: Stage = "accepted";
  #verdict: Verdict | undefined;
  #cut: Cut | undefined;
  #callbackFault: { error: unknown } | undefined;
  /** Rejects the work that is pending when the exchange is cut short. */
  #waiting: Set<(error: unknown) => void> | undefined;
  #controller: AbortController | undefined;

  /** @param whole The exchange. After a cut it is closed before work is rejected. */
  constructor(whole: { closeAfterCut(): void }) {
    this.#whole = whole;
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** Moves on to the next stage, unless a cut has led to `"closing"`. */
  enter(stage: Stage): void {
    if (!this.#cut) this.#stage = stage;
  }

  /** The server moves on. Nothing that happens later counts. */
  moveOn(isClosed: boolean): void {
    this.#stage = isClosed ? "closed" : "lingering";
  }

  /** The socket is closed, and does not linger any more. */
  stopLingering(): void {
    if (this.#stage === "lingering") this.#stage = "closed";
  }

  /** Whether the server has moved on. */
  get hasMovedOn(): boolean {
    return this.#stage === "lingering" || this.#stage === "closed";
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

  /** Whether `error` cut the exchange, and is no fault of the handler. */
  isCutBy(error: unknown): boolean {
    const cut = this.#cut;
    return cut !== undefined && cut.error === error && cut.outcome !== "failed";
  }

  /** What cut the exchange short, if anything did. */
  get cut(): Cut | undefined {
    return this.#cut;
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

  /** Cuts the exchange short, unless it was cut before or is over. */
  cutShort(outcome: Outcome, phase: Phase, error: unknown): void {
    if (this.#cut || this.hasMovedOn) return;
    this.#cut = { outcome, error };
    this.recordFault(outcome, phase, error);
    this.#whole.closeAfterCut();
    this.#stage = "closing";
    for (const reject of this.#waiting ?? []) reject(error);
    this.#waiting = undefined;
    this.#controller?.abort(error);
  }

  /**
   * Cuts the exchange short because of a fault of the peer.
   *
   * @returns The error to throw: that of the first cut.
   */
  cutByPeer(outcome: Outcome, phase: Phase, error: unknown): unknown {
    this.cutShort(outcome, phase, error);
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

/** The reason of an abort that was given none. */
export function abortError(message: string): DOMException {
  return new DOMException(message, "AbortError");
}
