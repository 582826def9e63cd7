/**
 * A screen that is redrawn in place, on a terminal at standard output.
 *
 * @module
 */

import { writeLastWords } from "../log/last_words.ts";
import { endsInTime } from "../shared/patience.ts";
import { sizeOfTerminal, writeTo } from "./terminal.ts";

/** How often it is redrawn, in milliseconds, if nothing happens. */
const IDLE_MS = 250;
/** The least time between two drawings, however much happens. */
const BUSY_MS = 100;

// The alternate screen, without a cursor, and without wrapping: a line that is
// too wide, as characters of double width may make it, must not spill.
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const ERASE_LINE = "\x1b[2K";

/** A terminal taken over, until it is given back. */
export class Screen {
  readonly #render: (columns: number, rows: number) => string[];
  #isOpen = false;
  /** Whether the terminal was taken over, or is about to be. */
  #hasEntered = false;
  /** The drawing under way. */
  #drawing: Promise<void> | undefined;
  #drawnAt = -Infinity;
  #due = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param render Gives the lines for a size, which are no wider than that. */
  constructor(render: (columns: number, rows: number) => string[]) {
    this.#render = render;
  }

  /** Takes over the terminal, and draws. */
  open(): void {
    this.#isOpen = true;
    this.drawSoon();
  }

  /** Something has changed. */
  drawSoon(): void {
    this.#drawAt(this.#drawnAt + BUSY_MS);
  }

  /**
   * Gives the terminal back as it was.
   *
   * @returns Whether that was possible: if somebody has stopped the terminal, no
   * write to it ends.
   */
  async close(): Promise<boolean> {
    this.#stop();
    const isLeft = await endsInTime(this.#leave());
    this.#isOpen = false;
    return isLeft;
  }

  /** Gives the terminal back when the process ends at once. */
  closeNow(): void {
    this.#stop();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (!this.#hasEntered) return;
    const startedAt = this.#drawing && this.#drawnAt;
    writeLastWords(Deno.stdout, new TextEncoder().encode(LEAVE), startedAt);
  }

  async #leave(): Promise<void> {
    await this.#drawing;
    if (this.#isOpen && this.#hasEntered) await writeTo(Deno.stdout, LEAVE);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    // Nothing is earlier.
    this.#due = -Infinity;
  }

  #drawAt(time: number): void {
    if (!this.#isOpen || time >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = time;
    const delay = Math.max(time - performance.now(), 0);
    this.#timer = setTimeout(() => this.#draw(), delay);
    Deno.unrefTimer(this.#timer);
  }

  /** Draws without waiting for the terminal: somebody may have stopped it. */
  #draw(): void {
    this.#due = Infinity;
    this.#drawnAt = performance.now();
    this.#drawing ??= this.#write().finally(() => this.#drawing = undefined);
    this.#drawAt(this.#drawnAt + IDLE_MS);
  }

  async #write(): Promise<void> {
    const { columns, rows } = sizeOfTerminal();
    const lines = this.#render(columns, rows);
    while (lines.length < rows) lines.push("");
    const frame = lines.map((line) => ERASE_LINE + line).join("\r\n");
    const enter = this.#hasEntered ? "" : ENTER;
    this.#hasEntered = true;
    await writeTo(Deno.stdout, enter + HOME + frame + HOME);
  }
}
