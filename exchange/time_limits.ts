/**
 * The time limits of one exchange: its deadline and its idle timeout.
 *
 * @module
 */

import { TimeoutError } from "../shared/errors.ts";
import type { ExchangeRecord } from "./record.ts";

/** How long a check waits to see if our own event loop was blocked. */
const DOUBT_MS = 10;

/** The time limits, in milliseconds. */
export interface TimeSettings {
  /** How long the whole exchange may take. */
  readonly deadline: number;
  /** How long a read or a write may wait without progress. */
  readonly idleTimeout: number;
}

/** Tracks how long an exchange takes, and how long its peer is silent. */
export class TimeLimits {
  readonly #limits: TimeSettings;
  readonly #started = performance.now();
  /** Pending reads and writes, and since when none has made progress. */
  #reads = 0;
  #writes = 0;
  #silentSince = 0;
  /** Whether a pending read counts as a silence of the client. */
  #countsReads = true;
  /** The start of a silence that an earlier check has found. */
  #doubtedSince = -1;
  /** When the request was complete, if it may have to wait for its turn. */
  #dueAt: number | undefined;
  /** When its turn to be handled came. */
  #turnAt: number | undefined;

  constructor(limits: TimeSettings) {
    this.#limits = limits;
  }

  /** What a record says of times, in milliseconds. */
  times(): Pick<
    ExchangeRecord,
    "startedAt" | "durationMs" | "waitedMs" | "handledMs"
  > {
    const now = performance.now();
    const durationMs = now - this.#started;
    const startedAt = Math.round(Date.now() - durationMs);
    const turnAt = this.#turnAt;
    const waitedUntil = turnAt ?? now;
    const waitedMs = waitedUntil - (this.#dueAt ?? waitedUntil);
    if (turnAt === undefined) return { startedAt, durationMs, waitedMs };
    return { startedAt, durationMs, waitedMs, handledMs: now - turnAt };
  }

  /** The request is complete, and may have to wait for its turn. */
  turnIsDue(): void {
    this.#dueAt = performance.now();
  }

  turnBegins(): void {
    this.#turnAt = performance.now();
  }

  get isReading(): boolean {
    return this.#reads > 0;
  }

  get isWriting(): boolean {
    return this.#writes > 0;
  }

  readBegins(): void {
    this.#waitBegins();
    this.#reads++;
  }

  readEnds(): void {
    this.#reads--;
    this.progress();
  }

  /** From now on only the caller knows whether the client is due. */
  forgiveReads(): void {
    this.#countsReads = false;
  }

  writeBegins(): void {
    this.#waitBegins();
    this.#writes++;
  }

  writeEnds(): void {
    this.#writes--;
    this.progress();
  }

  /** Called when bytes move. Then nothing else pending counts as silent. */
  progress(): void {
    if (this.#reads + this.#writes > 0) this.#silentSince = performance.now();
  }

  /**
   * Checks the limits.
   *
   * @param now The time, from `performance.now()`.
   * @param isOver Whether nothing more is expected from the peer.
   * @param patience How long a silence ends the request, in milliseconds.
   * @param awaited What is waited for, if the request is due.
   * @returns The error of a limit that has passed, `"silence"` if the patience is
   * over, or when to check again.
   */
  check(
    now: number,
    isOver: boolean,
    patience: number,
    awaited: TimeoutError["awaited"],
  ): TimeoutError | "silence" | number {
    const { deadline, idleTimeout } = this.#limits;
    const silence = Math.min(idleTimeout, patience);
    const deadlineAt = this.#started + deadline;
    if (now >= deadlineAt) {
      return new TimeoutError("deadline", deadline, this.#due, awaited);
    }
    const isWaiting = patience === Infinity
      ? this.#isClientDue
      : this.#reads + this.#writes > 0;
    if (isOver || !isWaiting) {
      return Math.min(deadlineAt, now + silence);
    }
    const silentAt = this.#silentSince + silence;
    if (now < silentAt) return Math.min(deadlineAt, silentAt);
    // Timers run before I/O: if our event loop was blocked, what the peer sent
    // meanwhile is only seen after this check.
    if (this.#doubtedSince !== this.#silentSince) {
      this.#doubtedSince = this.#silentSince;
      return Math.min(deadlineAt, now + DOUBT_MS);
    }
    if (silence === patience) return "silence";
    return new TimeoutError("idleTimeout", idleTimeout, this.#due, awaited);
  }

  /** What the client owes, if anything is waited for. */
  get #due(): TimeoutError["due"] {
    if (this.isWriting) return "response";
    return this.isReading ? "request" : undefined;
  }

  /** Whether bytes of the client, or room for ours, are waited for. */
  get #isClientDue(): boolean {
    return this.#writes > 0 || (this.#countsReads && this.#reads > 0);
  }

  /** Silence is counted from the first pending read or write that counts. */
  #waitBegins(): void {
    if (!this.#isClientDue) this.#silentSince = performance.now();
  }
}
