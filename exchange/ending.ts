/**
 * How an exchange ends: its stage, its verdict, and who is told of a cut.
 *
 * @module
 */

import type { ExchangeRecord, Outcome, Phase } from "./record.ts";

/**
 * Where an exchange is. The stages come in this order, and each is left once;
 * `"handshake"` is for TLS only, `"reading"` is left out when the request is
 * streamed, and `"lingering"` is for clients that have not sent their FIN.
 *
 * - `"closing"`: the FIN is sent, or the exchange was cut short. It lasts until
 *   the server moves on.
 * - `"lingering"`, `"closed"`: the server has moved on.
 */
export type Stage =
  | "accepted"
  | "handshake"
  | "reading"
  | "handling"
  | "writing"
  | "closing"
  | "lingering"
  | "closed";

/** What a record says of the end. */
export type Verdict = Pick<ExchangeRecord, "outcome" | "phase" | "error">;

/** What cut an exchange short. */
export interface Cut {
  /** The outcome that it stands for. */
  readonly outcome: Outcome;
  /** What everything that waits is rejected with. */
  readonly error: unknown;
}

/** The end of one exchange. */
export class Ending {
  readonly #whole: { closeAfterCut(): void };
  #stage: Stage = "accepted";
  #verdict: Verdict | undefined;
  #cut: Cut | undefined;
  /** What to reject when the exchange is cut short. */
  #waiting: Set<(error: unknown) => void> | undefined;
  #controller: AbortController | undefined;

  /** @param whole The exchange: it is closed before anybody is told of a cut. */
  constructor(whole: { closeAfterCut(): void }) {
    this.#whole = whole;
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** Passes on to the next stage, unless a cut has led to `"closing"`. */
  enter(stage: Stage): void {
    if (!this.#cut) this.#stage = stage;
  }

  /** The server moves on. What happens later is of no account. */
  moveOn(isClosed: boolean): void {
    this.#stage = isClosed ? "closed" : "lingering";
  }

  /** The socket is closed: it does not linger any more. */
  stopLingering(): void {
    if (this.#stage === "lingering") this.#stage = "closed";
  }

  /** Whether the server has moved on. */
  get hasMovedOn(): boolean {
    return this.#stage === "lingering" || this.#stage === "closed";
  }

  /** The first fault of all, if there was any. */
  get verdict(): Verdict | undefined {
    return this.#verdict;
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

  /** Notes a fault that the exchange may survive. Only the first one counts. */
  recordFault(outcome: Outcome, phase: Phase, error: unknown): void {
    this.#verdict ??= { outcome, phase, ...(error !== undefined && { error }) };
  }

  /** Cuts the exchange short, unless that has happened or it is over. */
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
   * Cuts the exchange short for a fault of the peer.
   *
   * @returns The error to throw: that of the first cut.
   */
  cutByPeer(outcome: Outcome, phase: Phase, error: unknown): unknown {
    this.cutShort(outcome, phase, error);
    return this.#cut ? this.#cut.error : error;
  }

  /**
   * Waits for `work`, or rejects as soon as the exchange is cut short. A race
   * with one long-lived promise would keep something for every chunk.
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

/** The reason of those who abort without giving one. */
export function abortError(message: string): DOMException {
  return new DOMException(message, "AbortError");
}
