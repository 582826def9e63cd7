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
  return await trying(action, read);
}

/**
 * Checks that something can be read as a file, and again when it is read anew.
 * Opening a FIFO would block until somebody writes to it.
 *
 * @param path Where it is.
 * @throws {Error} If it is a directory, a FIFO or a socket, or not there.
 */
export async function ensureFile(path: string | URL): Promise<void> {
  const { isDirectory, isFifo, isSocket } = await Deno.stat(path);
  if (isDirectory) throw new Error("it is a directory");
  if (isFifo) throw new Error("it is a FIFO");
  if (isSocket) throw new Error("it is a socket");
}

/** Adds what was tried to the message of any error. */
export async function trying<T>(
  action: string,
  act: () => T | Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new Error(`Cannot ${action}: ${messageOf(error)}`);
  }
}

/**
 * Reads PEM from a file.
 *
 * @param path The path, as given on the command line.
 * @param action What for, to follow "Cannot".
 * @param what What must be in it, if not just any PEM.
 * @throws {Error} If the file cannot be read, or has none.
 */
export async function readPem(
  path: string,
  action: string,
  what = "",
): Promise<string> {
  const pem = await useFile(path, () => Deno.readTextFile(path));
  if (pem.includes(`-----BEGIN ${what.toUpperCase()}`)) return pem;
  const lacking = what === "" ? "PEM" : `${what} in PEM`;
  throw new Error(`Cannot ${action}: there is no ${lacking} in it`);
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
  const options = { write: true, create: true, truncate: true };
  return await trying(action, () => Deno.open(path, options));
}
