/**
 * Files that the command line names.
 *
 * @module
 */

import { ensurePermissions } from "./permissions.ts";
import { messageOf } from "./wording.ts";

/**
 * Reads from a file, once the permission is there.
 *
 * @param path The path, as given on the command line.
 * @param read Reads what is needed.
 * @returns What `read` returns.
 * @throws {Error} If the file cannot be read; the message names it.
 */
export async function useFile<T>(
  path: string,
  read: () => Promise<T>,
): Promise<T> {
  const action = `read ${path}`;
  await ensurePermissions(action, { name: "read", path });
  try {
    return await read();
  } catch (error) {
    throw new Error(`Cannot ${action}: ${messageOf(error)}`);
  }
}

/**
 * Creates a file, or empties the one that is there, once the permission is
 * there.
 *
 * @param path The path, as given on the command line.
 * @throws {Error} If it cannot be written; the message names it.
 */
export async function createFile(path: string): Promise<Deno.FsFile> {
  const action = `write ${path}`;
  await ensurePermissions(action, { name: "write", path });
  try {
    return await Deno.open(path, { write: true, create: true, truncate: true });
  } catch (error) {
    throw new Error(`Cannot ${action}: ${messageOf(error)}`);
  }
}
