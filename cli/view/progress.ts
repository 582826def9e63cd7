/**
 * The bar that shows on a terminal how much of a large input is sent.
 *
 * @module
 */

import { sizeOfTerminal, writeTo } from "./terminal.ts";

/** The least size of an input that gets a bar. */
const LARGE_BYTES = 1024 ** 2;
const INTERVAL_MS = 1_000;
/** What a line holds besides the bar: `[00:00] [] [1023.00/1023.00 MiB]`. */
const REST_OF_LINE = 36;
const MAX_BAR_LENGTH = 50;
const WIPE = "\r\x1b[K";
const UNITS = ["MiB", "GiB", "TiB", "PiB"];

/** The progress of one input, drawn on standard error if that is a terminal. */
export class Progress {
  readonly #size: number | undefined;
  #sent = 0;
  #isOver = !Deno.stderr.isTerminal();
  #startedAt = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The writing under way: a terminal that is stopped takes nothing. */
  #writing: Promise<void> | undefined;

  /** @param size The size of the input in bytes, if that is known. */
  constructor(size: number | undefined) {
    this.#size = size;
  }

  /** Passes on an input, and counts how much has been taken. */
  async *watch(
    input: AsyncIterable<Uint8Array<ArrayBuffer>>,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for await (const chunk of input) {
      if ((this.#size ?? this.#sent) >= LARGE_BYTES) this.#start();
      yield chunk;
      this.#sent += chunk.length;
    }
  }

  /** Removes the bar for good. */
  async stop(): Promise<void> {
    const isDrawn = this.#timer !== undefined && !this.#isOver;
    this.#isOver = true;
    clearInterval(this.#timer);
    if (!isDrawn) return;
    await this.#writing;
    await writeTo(Deno.stderr, WIPE);
  }

  #start(): void {
    if (this.#isOver || this.#timer !== undefined) return;
    this.#startedAt = performance.now();
    this.#timer = setInterval(() => this.#draw(), INTERVAL_MS);
    this.#draw();
  }

  #draw(): void {
    this.#writing ??= writeTo(Deno.stderr, WIPE + this.#line())
      .finally(() => this.#writing = undefined);
  }

  #line(): string {
    const time = clock(performance.now() - this.#startedAt);
    if (this.#size === undefined) {
      return `[${time}] [${(this.#sent / LARGE_BYTES).toFixed(2)} MiB]`;
    }
    // A file may grow while it is sent.
    const share = Math.min(this.#sent / this.#size, 1);
    const length = barLength();
    const bar = "#".repeat(share * length).padEnd(length, "-");
    return `[${time}] [${bar}] [${inOneUnit(this.#sent, this.#size)}]`;
  }
}

/** A time as `mm:ss`. */
function clock(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  return [seconds / 60, seconds % 60]
    .map((part) => `${Math.trunc(part)}`.padStart(2, "0"))
    .join(":");
}

/** Both in the largest unit that the size fills: `0.40/97.66 MiB`. */
function inOneUnit(sent: number, size: number): string {
  const filled = Math.floor(Math.log2(size / LARGE_BYTES) / 10);
  const unit = Math.min(Math.max(filled, 0), UNITS.length - 1);
  const scale = LARGE_BYTES * 1024 ** unit;
  const [first, second] = [sent, size].map((n) => (n / scale).toFixed(2));
  return `${first}/${second} ${UNITS[unit]}`;
}

function barLength(): number {
  const { columns } = sizeOfTerminal();
  return Math.min(Math.max(columns - REST_OF_LINE, 1), MAX_BAR_LENGTH);
}
