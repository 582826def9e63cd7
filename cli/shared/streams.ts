/**
 * Streams of bytes, chunk by chunk and line by line.
 *
 * @module
 */

/** The chunks of a stream whose reader can be cancelled meanwhile. */
export async function* chunksOf<Chunk>(
  reader: ReadableStreamDefaultReader<Chunk>,
): AsyncGenerator<Chunk, void, undefined> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/**
 * The lines of a text, which is read no further than they are wanted.
 *
 * @param chunks The text in UTF-8.
 * @param longest How long a line may be before it is split.
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  longest = Infinity,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r?\n/);
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length <= longest) continue;
    yield rest;
    rest = "";
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

/** Writes all of some bytes to what may take only a part at once. */
export async function writeAll(
  to: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await to.write(bytes.subarray(written));
  }
}
