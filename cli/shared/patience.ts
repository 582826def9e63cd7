/**
 * Waiting for what may never end.
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
  const ended = Promise.resolve(work).then(() => true);
  return await within(MAX_WAITING_MS, ended) ?? false;
}

/**
 * Waits for work, or for so many milliseconds.
 *
 * @param milliseconds How long to wait.
 * @param work The work.
 * @returns Its result, or `undefined` if it took longer.
 */
export async function within<T>(
  milliseconds: number,
  work: Promise<T>,
): Promise<T | undefined> {
  let timer;
  const enough = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([work, enough]);
  } finally {
    clearTimeout(timer);
  }
}
