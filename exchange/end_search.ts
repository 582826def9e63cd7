/**
 * What ends a request besides the FIN: the search for it.
 *
 * @module
 */

import type { RequestTooLargeError } from "../shared/errors.ts";
import type { RequestEnd } from "./record.ts";

/** The search for the end of one request, which arrives in chunks. */
export interface EndSearch {
  /** What ends the request, if it is found. */
  readonly end: RequestEnd;
  /** What a FIN now would leave out: nothing, if it may end the request, too. */
  readonly missing?: string | undefined;
  /**
   * Searches the next chunk.
   *
   * @param chunk What follows the chunks before.
   * @returns Where the request ends in it, or `undefined` if it does not. Less than
   * 0 says that it has ended so many bytes before the chunk.
   * @throws {unknown} What the caller's code throws.
   */
  endIn(chunk: Uint8Array): number | undefined;
  /**
   * Why no more of the request need come, as it is too large.
   *
   * @param maxRequestBytes How large it may be, in bytes.
   */
  excess?(maxRequestBytes: number): RequestTooLargeError | undefined;
}
