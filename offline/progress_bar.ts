/**
 * A stand-in for `@std/cli/unstable-progress-bar`.
 *
 * @module
 */

/** What a formatter is told. */
export interface ProgressBarFormatter {
  /** The time since the start: `mm:ss`. */
  styledTime: string;
  /** The value and the maximum in one unit: `0.40/97.66 KiB`. */
  styledData: string;
  /** The bar: `###-------`. */
  progressBar: string;
  /** The time since the start in milliseconds. */
  time: number;
  /** The value. */
  value: number;
  /** The maximum. */
  max: number;
}

/** What a bar may be given. */
export interface ProgressBarOptions {
  /** Where it is drawn. */
  writable?: WritableStream<Uint8Array>;
  /** The value to begin with. */
  value?: number;
  /** The value at the end. */
  max: number;
  /** How many characters the bar takes. */
  barLength?: number;
  /** Whether it vanishes in the end. */
  clear?: boolean;
  /** Makes the line. */
  formatter?: (formatter: ProgressBarFormatter) => string;
  /** How often it is drawn, in milliseconds. */
  interval?: number;
}

const WIPE = "\r\x1b[K";
const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/** A bar that is drawn anew every second. */
export class ProgressBar {
  value: number;
  max: number;
  readonly #barLength: number;
  readonly #clear: boolean;
  readonly #format: (formatter: ProgressBarFormatter) => string;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #startedAt = Date.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #stopped = false;

  constructor(options: ProgressBarOptions) {
    this.value = options.value ?? 0;
    this.max = options.max;
    this.#barLength = options.barLength ?? 50;
    this.#clear = options.clear ?? false;
    this.#format = options.formatter ??
      ((bar) => `[${bar.styledTime}] [${bar.progressBar}] [${bar.styledData}]`);
    this.#writer = (options.writable ?? Deno.stderr.writable).getWriter();
    this.#timer = setInterval(() => this.#draw(), options.interval ?? 1000);
    this.#draw();
  }

  /** Draws it for the last time, or wipes it away. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timer);
    if (this.#clear) await this.#write(WIPE);
    else {
      await this.#draw();
      await this.#write("\n");
    }
    this.#writer.releaseLock();
  }

  #draw(): Promise<void> {
    const { value, max } = this;
    const time = Date.now() - this.#startedAt;
    const filled = Math.trunc(
      Math.min(Math.max(value / max, 0), 1) * this.#barLength,
    );
    const line = this.#format({
      styledTime: clock(time),
      get styledData() {
        return inOneUnit(value, max);
      },
      progressBar: "#".repeat(filled).padEnd(this.#barLength, "-"),
      time,
      value,
      max,
    });
    return this.#write(WIPE + line);
  }

  async #write(text: string): Promise<void> {
    try {
      await this.#writer.write(new TextEncoder().encode(text));
    } catch {
      // A bar that nobody sees does no harm.
    }
  }
}

function clock(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  return [seconds / 60, seconds % 60]
    .map((part) => String(Math.trunc(part)).padStart(2, "0"))
    .join(":");
}

/** Both in the largest unit that the maximum fills, at least in KiB. */
function inOneUnit(value: number, max: number): string {
  let scale = 1024;
  let unit = 0;
  while (max >= scale * 1024 && unit < UNITS.length - 1) {
    scale *= 1024;
    unit++;
  }
  return `${(value / scale).toFixed(2)}/${(max / scale).toFixed(2)} ${
    UNITS[unit]
  }`;
}
