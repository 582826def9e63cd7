/**
 * Keeping each request in a file.
 *
 * @module
 */

import type { Conn } from "../../server.ts";
import { quietly } from "../../shared/quiet.ts";
import type { Log } from "../log/log.ts";
import { trying } from "../shared/files.ts";
import { ensurePermissions } from "../shared/permissions.ts";
import { receiptFor, startHash } from "../shared/receipt.ts";
import { writeAll } from "../shared/streams.ts";
import type { Answer } from "./answer.ts";

/** How many random bytes end a name, so that nobody can guess it. */
const SECRET_BYTES = 8;
/** How much is read, hashed and written at a time. */
const READ_BYTES = 262_144;
/** Clients that send nothing, as scanners and probes do, leave no file. */
const EMPTY = "halfclose: request not kept, it is empty\n";

/**
 * Makes an answer that keeps each request in a file of its own, and replies with
 * a receipt: the line that `sha256sum` prints for that file. A request that is
 * empty is not kept.
 *
 * The file is named `.halfclose-NAME.part` until all of it is on the disk:
 * nobody ever sees half a request under its final name. A request that is cut
 * short leaves nothing. A server that is killed may leave one such file, which
 * no server touches again.
 *
 * Names begin with the time, in UTC, and sort by it. Nobody can guess them.
 *
 * @param folder Where to keep the files. It is created if it does not exist.
 * @param log Where it is told which request is in which file.
 * @throws {Error} If it cannot be used.
 */
export async function sink(folder: string, log: Log): Promise<Answer> {
  const action = `keep requests in ${folder}`;
  // Deno requires both for renaming.
  await ensurePermissions(
    action,
    { name: "read", path: folder },
    { name: "write", path: folder },
  );
  await trying(action, () => prepare(folder));
  const keeping = new Set<Promise<unknown>>();

  return {
    options: { streaming: true },
    handler(conn) {
      const kept = keep(conn, folder, log);
      const settled = kept.catch(() => {});
      keeping.add(settled);
      settled.then(() => keeping.delete(settled));
      return kept;
    },
    settled: () => Promise.all(keeping),
  };
}

/** Makes the folder, and tries whether files can be made there. */
async function prepare(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const trial = partOf(folder, newName(0));
  (await Deno.open(trial, { write: true, createNew: true })).close();
  await Deno.remove(trial);
}

async function keep(conn: Conn, folder: string, log: Log): Promise<string> {
  const name = newName(conn.id);
  const part = partOf(folder, name);
  let sha256: string;
  try {
    sha256 = await write(conn, part);
    // No `await` from here on: a request that is cut must not get its name.
    conn.signal.throwIfAborted();
    if (conn.bytesRead === 0) {
      Deno.removeSync(part);
      return EMPTY;
    }
    Deno.renameSync(part, `${folder}/${name}`);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
  log.kept(conn.id, name, sha256);
  await syncFolder(folder);
  return `${receiptFor(name, sha256)}\n`;
}

/**
 * Writes all of a request to a new file, and syncs it to the disk.
 *
 * @returns The SHA-256 of what was written.
 */
async function write(conn: Conn, path: string): Promise<string> {
  const hash = await startHash();
  using file = await Deno.open(path, { write: true, createNew: true });
  const buffer = new Uint8Array(2 * READ_BYTES);
  let [next, other] = [
    buffer.subarray(0, READ_BYTES),
    buffer.subarray(READ_BYTES),
  ];
  // Another thread writes while this one hashes, and reads on.
  let writing = Promise.resolve();
  for (let read; (read = await conn.read(next)) !== null;) {
    await writing;
    const chunk = next.subarray(0, read);
    writing = quietly(writeAll(file, chunk));
    hash.update(chunk);
    [next, other] = [other, next];
  }
  await writing;
  await file.sync();
  return hash.digest("hex");
}

/** Syncs the names in a folder to the disk, where that is possible. */
async function syncFolder(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems cannot. The file itself is safe.
    if ((error as { code?: string }).code !== "EINVAL") throw error;
  }
}

/** Where a file is written until all of it is on the disk. */
function partOf(folder: string, name: string): string {
  return `${folder}/.halfclose-${name}.part`;
}

/** A name that sorts by time: `20261123T090000000Z-000001-9f86d081884c7d65`. */
function newName(id: number): string {
  const time = new Date().toISOString().replaceAll(/[-:.]/g, "");
  const count = `${id}`.padStart(6, "0");
  const secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toHex();
  return `${time}-${count}-${secret}`;
}
