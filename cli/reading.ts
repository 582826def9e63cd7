/**
 * Reading files that the command line names.
 *
 * @module
 */

import { ensurePermission } from "./permissions.ts";
import { messageOf } from "./wording.ts";

/** Reads something of a file, or says that this cannot be done. */
export async function reading<T>(
  path: string,
  read: () => Promise<T>,
): Promise<T> {
  const action = `read ${path}`;
  await ensurePermission({ name: "read", path }, action);
  try {
    return await read();
  } catch (error) {
    throw new Error(`Cannot ${action}: ${messageOf(error)}`);
  }
}
