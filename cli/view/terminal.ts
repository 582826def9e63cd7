/**
 * A terminal, which may be gone, and may not know its size.
 *
 * @module
 */

import { writeAll } from "../shared/streams.ts";

const encoder = new TextEncoder();

/** Writes all of a text. If the terminal is gone, nobody can be told. */
export async function writeTo(
  terminal: typeof Deno.stdout | typeof Deno.stderr,
  text: string,
): Promise<void> {
  try {
    await writeAll(terminal, encoder.encode(text));
  } catch {
    // What nobody sees does no harm.
  }
}

/** The size of the terminal, or the usual one. */
export function sizeOfTerminal(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    return { columns: columns || 80, rows: rows || 24 };
  } catch {
    return { columns: 80, rows: 24 };
  }
}
