/**
 * The bar that shows on a terminal how much of a large input is sent.
 *
 * @module
 */

import {
  ProgressBar,
  type ProgressBarFormatter,
} from "@std/cli/unstable-progress-bar";

/** The least size of an input that gets a bar. */
const LARGE_BYTES = 1024 ** 2;
/** What a line holds besides the bar: `[00:00] [] [1000.00/1023.00 MiB]`. */
const REST_OF_LINE = 36;
const MAX_BAR_LENGTH = 50;

/** The progress of one input, drawn on standard error if that is a terminal. */
export class Progress {
  readonly #size: number | undefined;
  #bar: ProgressBar | undefined;
  #sent = 0;
  #over = !Deno.stderr.isTerminal();

  /** @param size The size of the input in bytes, if that is known. */
  constructor(size: number | undefined) {
    this.#size = size;
  }

  /** Passes on an input, and counts how much has been taken. */
  async *watch(
    input: ReadableStream<Uint8Array<ArrayBuffer>>,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for await (const chunk of input) {
      if ((this.#size ?? this.#sent) >= LARGE_BYTES) this.#draw();
      yield chunk;
      this.#sent += chunk.length;
    }
  }

  /** Removes the bar for good. */
  async stop(): Promise<void> {
    this.#over = true;
    const bar = this.#bar;
    this.#bar = undefined;
    await bar?.stop();
  }

  #draw(): void {
    if (this.#over) return;
    this.#bar ??= new ProgressBar({
      max: this.#size ?? Infinity,
      barLength: barLength(),
      clear: true,
      ...(this.#size === undefined && { formatter: withoutMax }),
    });
    this.#bar.value = this.#sent;
  }
}

function withoutMax({ styledTime, value }: ProgressBarFormatter): string {
  return `[${styledTime}] [${(value / 1024 ** 2).toFixed(2)} MiB]`;
}

function barLength(): number {
  return Math.min(Math.max(columns() - REST_OF_LINE, 1), MAX_BAR_LENGTH);
}

/** Some terminals do not know their size. */
function columns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}
