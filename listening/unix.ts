/**
 * Unix sockets and their paths in the file system.
 *
 * @module
 */

import { isOf, named } from "../shared/thrown.ts";
import { FolderLock, stateOf } from "./dead_socket.ts";

/** What fits into `sun_path` with a zero byte at the end. */
const MAX_PATH_BYTES = Deno.build.os === "linux" ? 107 : 103;

/** A socket that listens, and by which it is known in the file system. */
interface Bound {
  readonly listener: Deno.UnixListener;
  readonly socket: Deno.FileInfo;
}

/**
 * A listener on a Unix socket that removes its own socket from the file system
 * at the end, and nothing else.
 *
 * On close, Deno removes whatever lies at the path that it has bound, even the
 * socket of a newer server or a regular file. And a socket has its mode only
 * after it can be reached. So it is bound in a folder that nobody else may enter,
 * and then moved to its real path.
 */
export class UnixListener {
  readonly addr: Deno.UnixAddr;
  readonly #listener: Deno.UnixListener;
  readonly #socket: Deno.FileInfo;
  #closed = false;

  /**
   * @param path The path of the socket.
   * @param mode Its permission bits; by default what the umask leaves.
   */
  constructor(path: string, mode?: number) {
    this.addr = { transport: "unix", path };
    const { listener, socket } = bindAt(path, mode);
    this.#listener = listener;
    this.#socket = socket;
    addEventListener("unload", this.#onUnload);
  }

  accept(): Promise<Deno.UnixConn> {
    return this.#listener.accept();
  }

  /** Removes the socket, so that nobody else can connect. */
  hide(): void {
    this.#remove();
  }

  close(): void {
    this.#remove();
    this.#listener.close();
  }

  ref(): void {
    this.#listener.ref();
  }

  unref(): void {
    this.#listener.unref();
  }

  readonly #onUnload = (): void => this.#remove();

  /** Removes the socket, unless something else is in its place. */
  #remove(): void {
    if (this.#closed) return;
    this.#closed = true;
    removeEventListener("unload", this.#onUnload);
    const { path } = this.addr;
    try {
      // While it is open, no other file can have the inode of our socket.
      const { dev, ino } = Deno.lstatSync(path);
      if (dev === this.#socket.dev && ino === this.#socket.ino) {
        Deno.removeSync(path);
      }
    } catch {
      // It was removed or moved, or we may not see it: leave it alone.
    }
  }
}

/**
 * Binds a socket in a private folder, and moves it to its path, where nothing is
 * or a socket on which nobody listens.
 *
 * @throws {Error} If that fails. Nothing is left behind then.
 */
function bindAt(path: string, mode: number | undefined): Bound {
  const folder = hiddenBeside(path);
  const hidden = hiddenIn(folder);
  using lock = new FolderLock(folderOf(path) || ".");
  using undoing = new DisposableStack();
  try {
    claim(path, lock);
    undoing.defer(() => remove(path));
    Deno.mkdirSync(folder, { mode: 0o700 });
    undoing.defer(() => remove(folder));
    letUsIn(folder);
    // What was bound stays where it cannot listen.
    undoing.defer(() => remove(hidden));
    const listener = Deno.listen({ transport: "unix", path: hidden });
    undoing.defer(() => listener.close());
    if (mode !== undefined) Deno.chmodSync(hidden, mode);
    const socket = Deno.lstatSync(hidden);
    Deno.renameSync(hidden, path);
    undoing.move();
    remove(folder);
    return { listener, socket };
  } catch (error) {
    throw named(error, `Cannot listen on ${path}`, reasonOf(error, path));
  }
}

/** A path in the same folder that does not exist, as short as possible. */
function hiddenBeside(path: string): string {
  const folder = folderOf(path);
  const hidden = `${folder}.${crypto.randomUUID().slice(0, 6)}`;
  for (const bound of [path, hiddenIn(hidden)]) {
    const size = new TextEncoder().encode(bound).length;
    if (size <= MAX_PATH_BYTES) continue;
    throw new RangeError(
      `Cannot listen on ${path}: its ${bound === path ? "path" : "folder"} ` +
        `is too long by ${size - MAX_PATH_BYTES} bytes. Choose a shorter one.`,
    );
  }
  return hidden;
}

/** Where the socket is bound. */
function hiddenIn(folder: string): string {
  return `${folder}/s`;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

/**
 * Lets us enter a folder of ours. A umask such as 0177, which is meant for files,
 * keeps us out. Where nothing lacks, the mode stays as it is: setting it could
 * take away what the folder has inherited.
 */
function letUsIn(folder: string): void {
  const { mode } = Deno.lstatSync(folder);
  if (mode === null || (mode & 0o700) === 0o700) return;
  Deno.chmodSync(folder, mode | 0o700);
}

/** Removes a file or an empty folder. Returns whether that could be done. */
function remove(path: string): boolean {
  try {
    Deno.removeSync(path);
    return true;
  } catch {
    // Somebody else has removed or replaced it.
    return false;
  }
}

/**
 * Reserves a path, atomically, where nothing exists or a dead socket.
 *
 * @param lock Keeps others from doing the same.
 */
function claim(path: string, lock: FolderLock): void {
  if (create(path)) return;
  const taken = whyTaken(path, lock);
  if (taken === undefined && create(path)) return;
  throw new Deno.errors.AddrInUse(
    taken ?? "somebody else has just taken this path. Choose another one.",
  );
}

/** Creates a file where nothing exists yet. Returns whether it was created. */
function create(path: string): boolean {
  try {
    Deno.openSync(path, { createNew: true, write: true }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

/** Why a path is taken, if it is not by a dead socket, which is removed. */
function whyTaken(path: string, lock: FolderLock): string | undefined {
  const { isSocket, dev, ino } = Deno.lstatSync(path);
  if (!isSocket) {
    return "there is something at this path already that is no socket. Remove " +
      "it if nobody needs it, or choose another path.";
  }
  const state = lock.isHeld ? stateOf(path) : "unknown";
  if (state === "gone") return undefined;
  if (state === "live") {
    return "a server listens at this path already. Stop it or choose another path.";
  }
  const now = Deno.lstatSync(path);
  const isSame = now.dev === dev && now.ino === ino;
  if (state === "dead" && isSame && remove(path)) return undefined;
  return "there is a socket at this path already that cannot be " +
    (state === "dead" ? "removed" : "tried") +
    ". Remove it if its server is dead, or choose another path.";
}

/** Why nothing can be bound there, in terms of the path that the user knows. */
function reasonOf(error: unknown, path: string): string | undefined {
  const folder = folderOf(path) || ".";
  if (isOf(error, Deno.errors.NotCapable)) {
    return "the permission is missing. Run deno with --allow-net, " +
      `--allow-read=${folder} and --allow-write=${folder}`;
  }
  if (isOf(error, Deno.errors.NotFound)) {
    return `the folder ${folder} does not exist. Create it.`;
  }
  if (isOf(error, Deno.errors.PermissionDenied)) {
    return `the folder ${folder} does not let you create files. Choose another one, or ` +
      "have its permissions changed.";
  }
  // Deno adds the call, and names the path that is hidden.
  return isOf(error, Error)
    ? error.message.replace(/(?<=\(os error \d+\)):.*/s, "")
    : undefined;
}
