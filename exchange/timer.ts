/**
 * Timers for limits of any length.
 *
 * @module
 */

/** The longest time that a timer takes. Beyond it, a timer fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Calls `act` once the time is over, or after 24 days if it is longer than that.
 *
 * @param act What to do.
 * @param milliseconds The time. With `Infinity` nothing is ever called.
 * @returns What `clearTimeout()` takes.
 */
export function startTimer(
  act: () => void,
  milliseconds: number,
): ReturnType<typeof setTimeout> | undefined {
  if (milliseconds === Infinity) return undefined;
  return setTimeout(act, Math.min(milliseconds, LONGEST_MS));
}
