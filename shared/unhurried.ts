/**
 * Where the tool's programs are given time. A program reads whenever it wants to:
 * while it does not, nobody can tell whether it thinks or the client is due. This is
 * no public option.
 *
 * @module
 */

/** The key of the option. */
export const unhurried: unique symbol = Symbol("unhurried");

/** Options with which a client that has begun its request may be silent. */
export interface Unhurried {
  /** Whether only the deadline bounds the silence within a request. */
  readonly [unhurried]?: boolean | undefined;
}
