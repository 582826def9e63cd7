/**
 * What each way of answering gives.
 *
 * @module
 */

import type { Handler, ServeOptions } from "../../server.ts";

/** What answers requests, and the options that it needs. */
export interface Answer {
  /** The options that it sets. */
  readonly options: Partial<ServeOptions>;
  /** Answers each exchange. */
  readonly handler: Handler;
  /** Waits for what outlives its exchanges, such as programs being killed. */
  settled?(): Promise<unknown>;
  /** Reads anew what answers. Without it, there is nothing to read anew. */
  reload?(): Promise<Answer>;
}
