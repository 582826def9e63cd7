/**
 * Writing when a handler ends the process at once.
 *
 * @module
 */

/** A write that takes longer has a reader that stalls. */
const STALLED_MS = 100;
/** What a write takes whose reader does not stall, with much to spare. */
const USUAL_MS = 50;

/** Where bytes are written, such as standard error. */
export interface ByteStream {
  /** Writes some bytes, without blocking, and resolves to how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Writes some bytes, and blocks until they are written. */
  writeSync(bytes: Uint8Array): number;
}

/**
 * Writes for the last time, before the process ends. If nobody reads, this does
 * not hold up the end.
 *
 * @param stream Where to write.
 * @param bytes What to write.
 * @param startedAt When the write under way began, if one is.
 */
export function writeLastWords(
  stream: ByteStream,
  bytes: Uint8Array,
  startedAt: number | undefined,
): void {
  if (startedAt === undefined) {
    if (bytes.length === 0) return;
    // It goes on in its thread while this one sleeps.
    stream.write(bytes).catch(() => {});
    return sleep(USUAL_MS);
  }
  if (performance.now() - startedAt > STALLED_MS) return;
  sleep(USUAL_MS);
  try {
    stream.writeSync(bytes);
  } catch {
    // Nobody can be told any more.
  }
}

/** Keeps this thread from everything. */
function sleep(milliseconds: number): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(never, 0, 0, milliseconds);
}
