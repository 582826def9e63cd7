/**
 * Where the tool's trace sees each connection as the server uses it, from its
 * accept on. This is no public option, and it costs nothing unless it is used.
 *
 * @module
 */

import type { Source } from "./accepting.ts";

/** The key of the option. */
export const tap: unique symbol = Symbol("tap");

/** Options with which the source of connections can be watched. */
export interface Tapped {
  /** Is shown each source of connections before it is used. */
  readonly [tap]?: (source: Source) => void;
}
