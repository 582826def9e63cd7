/**
 * Waiting for what may never end, when the tool is about to end.
 *
 * @module
 */

/** How long to wait: nobody may read a pipe or a socket, or a terminal is stopped. */
const MAX_WAITING_MS = 1000;

/**
 * Waits for work, but not for long.
 *
 * @param work The work, if any is under way.
 * @returns Whether it has ended.
 */
export async function endsInTime(
  work: Promise<unknown> | undefined,
): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), MAX_WAITING_MS);
  try {
    return await Promise.race([
      Promise.resolve(work).then(() => true),
      late.promise,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
