/**
 * Receipts: the line that `sha256sum` prints for a file says that it was kept.
 *
 * @module
 */

/** What the hash of a request is made with, loaded only where it is needed. */
export async function startHash() {
  const { createHash } = await import("node:crypto");
  return createHash("sha256");
}

/** The receipt for a file, without the end of the line. */
export function receiptFor(name: string, sha256: string): string {
  return `${sha256}  ${name}`;
}

/** Longer replies are no receipts: there is room for any name of a file. */
const MAX_CHARACTERS = 4096;

/** Finds out whether a reply is the receipt for what was sent. */
export class ReceiptCheck {
  /** Whether anything of the input may have been sent. */
  hasBegun = false;
  #sha256: string | undefined;
  #reply = "";
  readonly #decoder = new TextDecoder();

  /** Passes on an input, and hashes it. */
  async *watch<Chunk extends Uint8Array>(
    input: AsyncIterable<Chunk>,
  ): AsyncGenerator<Chunk> {
    this.hasBegun = true;
    const hash = await startHash();
    for await (const chunk of input) {
      hash.update(chunk);
      yield chunk;
    }
    this.#sha256 = hash.digest("hex");
  }

  /** Takes a part of the reply. */
  take(chunk: Uint8Array): void {
    if (this.#reply.length > MAX_CHARACTERS) return;
    this.#reply += this.#decoder.decode(chunk, { stream: true });
  }

  /** Whether the reply is one line, and has the hash of the whole input. */
  get isConfirmed(): boolean {
    if (this.#reply.length > MAX_CHARACTERS) return false;
    const [, sha256] = /^([\da-f]{64}) [ *][^\n]+\n$/.exec(this.#reply) ?? [];
    return sha256 !== undefined && sha256 === this.#sha256;
  }
}
