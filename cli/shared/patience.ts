/**
 * Waiting for what may never end.
 *
 * @module
 */

import { within } from "../../shared/pause.ts";

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
