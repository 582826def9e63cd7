/**
 * What a server that was killed leaves at its path: a socket on which nobody
 * listens.
 *
 * @module
 */

/** How long to wait for what came of connecting: a busy machine may be slow. */
const ANSWER_MS = 10_000;
/** How long to wait for others with the lock: each has it for less than a second. */
const LOCK_MS = 10_000;
/** How long to wait before the lock is tried again. */
const RETRY_MS = 5;

/** How it is with a socket in the file system. */
export type SocketState = "live" | "dead" | "gone" | "unknown";

/** The state, by the name of the error that connecting has given. */
const states: Record<string, SocketState> = {
  ConnectionRefused: "dead",
  NotFound: "gone",
  PermissionDenied: "unknown",
  NotCapable: "unknown",
};

const names = Object.keys(states);

/** Connects, and tells the number of what came of it: 0 is no answer yet. */
const connecting = `onmessage = async ({ data: { path, names, told } }) => {
  let number = names.length + 1;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch ({ name }) {
    number = names.indexOf(name) + 1 || number;
  }
  Atomics.store(told, 0, number);
  Atomics.notify(told, 0);
}`;

/**
 * Whether somebody listens on a Unix socket: connects to it. Deno does that only
 * while its event loop runs, so another thread does it, while this one waits. A
 * live server sees a client that leaves at once. One whose backlog is full lives.
 *
 * @param path The path of the socket.
 * @returns What is known of it.
 */
export function stateOf(path: string): SocketState {
  const told = new Int32Array(new SharedArrayBuffer(4));
  // The code of a file would take the permission to read it.
  const url = `data:text/javascript,${encodeURIComponent(connecting)}`;
  const worker = new Worker(url, { type: "module" });
  worker.postMessage({ path, names, told });
  const answered = Atomics.wait(told, 0, 0, ANSWER_MS);
  worker.terminate();
  if (answered === "timed-out") return "unknown";
  return states[names[(told[0] ?? 0) - 1] ?? ""] ?? "live";
}

/**
 * Keeps out others that start in the same folder, until it is disposed of: of two
 * that find a dead socket, the second would remove that of the first.
 */
export class FolderLock implements Disposable {
  readonly #file: Deno.FsFile | undefined;

  /** @param folder The folder. It is locked itself, so that nothing is left. */
  constructor(folder: string) {
    this.#file = lockedFile(folder);
  }

  /** Whether it is held. It is not where the folder cannot be read or locked. */
  get isHeld(): boolean {
    return this.#file !== undefined;
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }
}

function lockedFile(path: string): Deno.FsFile | undefined {
  let file: Deno.FsFile | undefined;
  try {
    file = Deno.openSync(path, { read: true });
    const end = performance.now() + LOCK_MS;
    while (performance.now() < end) {
      if (file.tryLockSync(true)) return file;
      pauseThread(RETRY_MS);
    }
  } catch {
    // Without it, nothing is removed.
  }
  file?.close();
  return undefined;
}

function pauseThread(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
