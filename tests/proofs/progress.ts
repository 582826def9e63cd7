/** Says how far it is: in place on a terminal, now and then elsewhere. */
export class Progress {
  readonly #terminal = Deno.stderr.isTerminal();
  #shown = -Infinity;

  show(line: string): void {
    const now = performance.now();
    if (!this.#terminal && now - this.#shown < 15_000) return;
    this.#shown = now;
    this.#write(this.#terminal ? `\r\x1b[K${line}` : `${line}\n`);
  }

  /** Leaves the line to others. */
  end(): void {
    if (this.#terminal) this.#write("\r\x1b[K");
  }

  #write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  }
}
