/**
 * Standard error, which all of the tool writes to in one way: in order, and
 * without waiting for its reader.
 *
 * @module
 */

import { LineQueue } from "./line_queue.ts";

/** The lines that are on their way to standard error. */
export const standardError: LineQueue = new LineQueue(Deno.stderr, {
  describe: (lines) => `halfclose: lost ${lines} lines that nobody read`,
});
