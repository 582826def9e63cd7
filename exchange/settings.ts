/**
 * The settings of exchanges.
 *
 * @module
 */

import type { ClosingSettings } from "./closing.ts";
import type { ReadBuffers } from "./read_buffers.ts";
import type { ReadingSettings } from "./reading.ts";
import type { RequestStart } from "./record.ts";
import type { TimeSettings } from "./time_limits.ts";

/** Settings that all exchanges of one listener share. */
export interface ExchangeSettings
  extends ReadingSettings, TimeSettings, ClosingSettings {
  /** Our address, if the connection does not know the right one. */
  readonly localAddr: Deno.Addr | undefined;
  /** Whether connections begin with the header of a proxy. */
  readonly proxyProtocol: boolean;
  /** Whether a handler gets the connection before the request is read. */
  readonly streaming: boolean;
  /** How many requests may be read while another is handled. */
  readonly readAhead: number;
  /** What requests are read into. */
  readonly buffers: ReadBuffers;
  /** Called with how each request begins. */
  readonly onRequest: ((start: RequestStart) => void) | undefined;
}
