/**
 * Lines that are written in the background, so that nobody waits for a slow
 * disk, or for a pipe that nobody reads.
 *
 * @module
 */

import { type ByteStream, writeLastWords } from "./last_words.ts";
import { Pause } from "../../shared/pause.ts";
import { endsInTime } from "../shared/patience.ts";

/** So many characters may wait. Lines beyond them are lost, and counted. */
const MAX_WAITING = 8 * 1024 ** 2;
/** How long lines gather, so that many are written together. */
const GATHERING_MS = 10;
/**
 * So many writes come at once before lines gather: what is logged before a
 * handler keeps the event loop busy for long is written by then.
 */
const WRITES_AT_ONCE = 4;

const NEWLINE = 10;

const encoder = new TextEncoder();

/** What to do about lines that cannot be written. */
export interface Losses {
  /** The line that is written in place of so many lines that were lost. */
  describe(lines: number): string;
  /**
   * Called when a write fails, after which nothing is written any more. Without
   * it, the lines are lost, and others are written when that is possible again.
   */
  onFault?(error: unknown): void;
}

/** Writes lines to a stream, in order, one write at a time. */
export class LineQueue {
  readonly #stream: ByteStream;
  /** What to do about lines that cannot be written. */
  losses: Losses;
  #waiting = "";
  /** How many were lost after those that wait. */
  #lost = 0;
  #writing: Promise<void> | undefined;
  /** When the write under way began. */
  #startedAt: number | undefined;
  /** When lines were last gathered, and how many writes there were since. */
  #gatheredAt = -Infinity;
  #writes = 0;
  /** Whether a write has failed in the middle of a line. */
  #isMidLine = false;
  #hasEnded = false;

  /**
   * @param stream Where to write.
   * @param losses What to do about lines that cannot be written.
   */
  constructor(stream: ByteStream, losses: Losses) {
    this.#stream = stream;
    this.losses = losses;
    // A handler may end the process.
    addEventListener("unload", this.writeNow);
  }

  /** Adds a line. It is written soon. */
  add(line: string): void {
    if (this.#hasEnded) return;
    const fits = this.#waiting.length + line.length < MAX_WAITING;
    // Once a line is lost, the next ones must not take its place.
    if (fits && this.#lost === 0) this.#waiting += `${line}\n`;
    else this.#lost++;
    this.#writing ??= this.#write();
  }

  /** Waits until all lines are written. If nobody reads them, not for long. */
  async flush(): Promise<void> {
    await endsInTime(this.#writing);
  }

  /** Flushes, and takes no more lines. */
  async end(): Promise<void> {
    await this.flush();
    this.#hasEnded = true;
    removeEventListener("unload", this.writeNow);
  }

  /**
   * Writes what waits when the process ends at once. If somebody reads it, all is
   * written; if not, this does not hold up the end.
   */
  readonly writeNow = (): void => {
    const { bytes } = this.#take();
    writeLastWords(this.#stream, bytes, this.#startedAt);
    // One that was begun just now does not end any more.
    if (bytes.length > 0) this.#startedAt ??= performance.now();
  };

  async #write(): Promise<void> {
    // Lines that are added in the same turn are written together.
    await Promise.resolve();
    let isDone = true;
    while (isDone && (this.#waiting !== "" || this.#lost > 0)) {
      await this.#gather();
      isDone = await this.#writeBatch();
    }
    this.#writing = undefined;
  }

  async #gather(): Promise<void> {
    const now = performance.now();
    if (now - this.#gatheredAt > GATHERING_MS) {
      this.#gatheredAt = now;
      this.#writes = 0;
    }
    if (this.#writes++ < WRITES_AT_ONCE) return;
    await new Pause(GATHERING_MS).ended;
  }

  /** Returns whether that was possible. */
  async #writeBatch(): Promise<boolean> {
    const wasMidLine = this.#isMidLine;
    const { bytes, lost } = this.#take();
    let written = 0;
    try {
      while (written < bytes.length) {
        this.#startedAt = performance.now();
        written += await this.#writeSome(bytes.subarray(written));
      }
      this.#isMidLine = false;
      return true;
    } catch (error) {
      if (written > 0) this.#isMidLine = bytes[written - 1] !== NEWLINE;
      // The end of a line that was lost before is none that is lost now.
      const start = wasMidLine ? Math.max(written, 1) : written;
      this.#lose(bytes.subarray(start), lost, error);
      return false;
    } finally {
      this.#startedAt = undefined;
    }
  }

  /** Returns how many bytes. It is none if the stream takes none for now. */
  async #writeSome(bytes: Uint8Array): Promise<number> {
    try {
      return await this.#stream.write(bytes);
    } catch (error) {
      // A parent has made the pipe, or the terminal, one that does not block.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await new Pause(GATHERING_MS).ended;
      return 0;
    }
  }

  #take(): { bytes: Uint8Array; lost: number } {
    const lost = this.#lost;
    const text = (this.#isMidLine ? "\n" : "") + this.#waiting +
      (lost > 0 ? `${this.losses.describe(lost)}\n` : "");
    this.#waiting = "";
    this.#lost = 0;
    return { bytes: encoder.encode(text), lost };
  }

  /** The waiting lines are lost, including the one about lost lines. */
  #lose(rest: Uint8Array, lost: number, error: unknown): void {
    const { onFault } = this.losses;
    if (onFault) {
      this.#hasEnded = true;
      this.#waiting = "";
      onFault(error);
      return;
    }
    const lines = rest.reduce((n, byte) => byte === NEWLINE ? n + 1 : n, 0);
    const waiting = this.#waiting.split("\n").length - 1;
    this.#lost += lines - (lost > 0 ? 1 : 0) + lost + waiting;
    this.#waiting = "";
  }
}
