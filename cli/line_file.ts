/**
 * A file that lines are added to while nobody waits for the disk.
 *
 * @module
 */

import { endsInTime } from "./patience.ts";

/** So many lines may wait for the disk. Any more are lost, and counted. */
const MAX_WAITING = 100_000;

const encoder = new TextEncoder();

/** Adds lines to a file, in order, in the background. */
export class LineFile {
  readonly #file: Deno.FsFile;
  readonly #onFault: (error: unknown) => void;
  readonly #lossOf: (lines: number) => string;
  readonly #waiting: string[] = [];
  #lost = 0;
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  /**
   * @param file An open file. It is closed at the end.
   * @param onFault Called when it cannot be written. It gets no more lines.
   * @param lossOf What to write in place of so many lines that were lost.
   */
  constructor(
    file: Deno.FsFile,
    onFault: (error: unknown) => void,
    lossOf: (lines: number) => string,
  ) {
    this.#file = file;
    this.#onFault = onFault;
    this.#lossOf = lossOf;
    // A handler may end the process.
    addEventListener("unload", this.#onUnload);
  }

  /** Adds a line. It is written soon. */
  add(line: string): void {
    if (this.#hasFailed) return;
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(line);
    else this.#lost++;
    this.#writing ??= this.#write();
  }

  /**
   * Waits until all lines are written, and closes the file. If it is a pipe that
   * nobody reads, this does not hold up the end.
   */
  async close(): Promise<void> {
    await endsInTime(this.#writing);
    removeEventListener("unload", this.#onUnload);
    this.#file.close();
  }

  async #write(): Promise<void> {
    // Lines that are added in the same turn are written together.
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0) {
        const bytes = this.#take();
        for (let written = 0; written < bytes.length;) {
          written += await this.#file.write(bytes.subarray(written));
        }
      }
    } catch (error) {
      this.#hasFailed = true;
      this.#waiting.length = 0;
      this.#onFault(error);
    }
    this.#writing = undefined;
  }

  #take(): Uint8Array {
    const lines = this.#waiting.splice(0);
    if (this.#lost > 0) lines.push(this.#lossOf(this.#lost));
    this.#lost = 0;
    return encoder.encode(lines.map((line) => `${line}\n`).join(""));
  }

  readonly #onUnload = (): void => {
    try {
      this.#file.writeSync(this.#take());
    } catch {
      // Nobody can be told any more.
    }
  };
}
