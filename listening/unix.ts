/**
 * Unix sockets and their paths in the file system.
 *
 * @module
 */

/** What fits into `sun_path` with a zero byte at the end. */
const MAX_PATH_BYTES = Deno.build.os === "linux" ? 107 : 103;

/**
 * A listener on a Unix socket that removes its own socket from the file system
 * at the end, and nothing else.
 *
 * On close, Deno removes whatever lies at the path that it has bound, even the
 * socket of a newer server or a regular file. So it binds a path that nobody
 * else knows, and the socket is then moved to its real path.
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
    const hidden = hiddenBeside(path);
    claim(path);
    try {
      this.#listener = Deno.listen({ transport: "unix", path: hidden });
    } catch (error) {
      Deno.removeSync(path);
      throw error;
    }
    try {
      if (mode !== undefined) Deno.chmodSync(hidden, mode);
      this.#socket = Deno.lstatSync(hidden);
      Deno.renameSync(hidden, path);
    } catch (error) {
      this.#listener.close();
      Deno.removeSync(path);
      throw error;
    }
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

/** A path in the same folder that nobody else knows. */
function hiddenBeside(path: string): string {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const hidden = `${folder}.${crypto.randomUUID().slice(0, 8)}`;
  for (const bound of [path, hidden]) {
    const size = new TextEncoder().encode(bound).length;
    if (size <= MAX_PATH_BYTES) continue;
    throw new RangeError(
      `Cannot listen on ${path}: its ${
        bound === path ? "path" : "folder"
      } is ` +
        `too long by ${size - MAX_PATH_BYTES} bytes, choose a shorter one`,
    );
  }
  return hidden;
}

/** Reserves a path where nothing exists yet, atomically. */
function claim(path: string): void {
  try {
    Deno.openSync(path, { createNew: true, write: true }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    const socket = Deno.lstatSync(path).isSocket;
    throw new Deno.errors.AddrInUse(
      `Cannot listen on ${path}: there is ${
        socket
          ? "a socket at this path already, remove it if its server is dead"
          : "something at this path already that is no socket, remove it if nobody needs it"
      }, or choose another path`,
      { cause: error },
    );
  }
}
