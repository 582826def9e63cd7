/**
 * Timers for limits of any length.
 *
 * @module
 */

/** The longest delay of a timer, in milliseconds. With a longer one it fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls `act` after a delay, or after 24 days if the delay is longer.
 *
 * @param act What to do.
 * @param milliseconds The delay. With `Infinity`, `act` is never called.
 * @returns The timer, for `clearTimeout()`.
 */
export function startTimer(
  act: () => void,
  milliseconds: number,
): ReturnType<typeof setTimeout> | undefined {
  if (milliseconds === Infinity) return undefined;
  return setTimeout(act, Math.min(milliseconds, LONGEST_TIMER_MS));
}
