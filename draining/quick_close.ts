/**
 * The last moment of a drain: accepts the latest connections, and closes before
 * another one comes.
 *
 * @module
 */

import { turn } from "../shared/pause.ts";
import type { Socket } from "../shared/socket.ts";
import type { Backlog } from "./backlog.ts";
import type { Sentinels } from "./sentinel.ts";

// Measured with 80 stops under 500 clients a second: 3 of them reset a client, and
// 14 without this close.

/** How many connections may come just before the close and still be accepted. */
export const LAST_ACCEPTS = 4;
/** More than that may have come if it took longer to accept them. */
const QUICK_MS = 3;
/**
 * How long the last of these accepts may take, as another client may come meanwhile.
 * Each further try may take twice as long: not every machine is that fast.
 */
const LAST_MS = 0.07;
/** How long to try to be quick: a busy machine may be slow again and again. */
const MAX_TRYING_MS = 200;

/**
 * Closes a listener at once after an accept. A pending accept would keep the
 * socket open after it is closed, and clients that connect meanwhile would be reset.
 * So each accept finds at least a sentinel, and ends at once.
 */
export class QuickClose {
  readonly #backlog: Backlog;
  readonly #sentinels: Sentinels;
  readonly #accepted: Socket[];
  readonly #accepts: Promise<void>[] = [];
  /** How many of the accepts are not over. */
  #pending = 0;

  /** @param accepted Where to put connections. */
  constructor(
    backlog: Backlog,
    sentinels: Sentinels,
    accepted: Socket[],
  ) {
    this.#backlog = backlog;
    this.#sentinels = sentinels;
    this.#accepted = accepted;
  }

  /**
   * Tries to close while all that came are accepted.
   *
   * @param empty Accepts all that are there. Returns whether to go on.
   */
  async attempt(empty: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + MAX_TRYING_MS;
    let longest = LAST_MS;
    while (performance.now() < end && !this.#backlog.isClosed) {
      const due = performance.now() + QUICK_MS;
      if (!await empty()) return;
      // The runtime lets no more than 128 operations succeed in one turn.
      await turn();
      if (this.#closeIfQuick(due, longest)) return;
      longest *= 2;
      await turn();
      // An accept that has not found its sentinel keeps the socket open.
      if (this.#pending > 0) return;
    }
  }

  /** Resolves when all accepts are over. The listener is closed. */
  async over(): Promise<void> {
    await Promise.all(this.#accepts);
  }

  /**
   * Accepts those who came since, and closes at once.
   *
   * @param due If it is later than that, more may have come than are accepted.
   * @param longest How long the last accept may take, in milliseconds.
   * @returns Whether no other try would help: it is closed, or no sentinel can be
   * sent. If it took so long that somebody may have come behind the last one,
   * another try may.
   */
  #closeIfQuick(due: number, longest: number): boolean {
    if (!this.#sentinels.target || this.#backlog.isClosed) return true;
    let began = 0;
    for (let i = 0; i < LAST_ACCEPTS; i++) {
      began = performance.now();
      this.#sentinels.send();
      this.#accept();
    }
    const now = performance.now();
    if (now > due || now - began > longest) return false;
    this.#backlog.close();
    return true;
  }

  #accept(): void {
    this.#pending++;
    const over = (conn?: Socket) => {
      this.#pending--;
      if (conn) this.#accepted.push(conn);
    };
    this.#accepts.push(this.#backlog.acceptOnce().then(over, () => over()));
  }
}
