/**
 * A socket of `node:net` as the part of `Deno.Conn` that an exchange uses. Unlike
 * `Deno.Conn` it can be reset. `node:net` is loaded when it is first needed.
 *
 * @module
 */

import type net from "node:net";
import { denoError } from "./node_error.ts";
import { LongPause, turn } from "./pause.ts";
import { secondHandle } from "./second_handle.ts";

/** The most that one read takes from the kernel, and one write gives to it. */
const READ_BYTES = 65_536;
const WRITE_BYTES = 262_144;
/** As much for a socket that was accepted: how far a write is shows only at its end. */
const ACCEPTED_WRITE_BYTES = 65_536;
/**
 * What a new connection takes at once, so that no write of it has to wait: small
 * writes take far more room than their bytes.
 */
const AT_ONCE_BYTES = 16_384;
const AT_ONCE_WRITES = 8;
/** After so many writes others have a turn: one that need not wait gives none. */
const WRITES_IN_A_TURN = 64;
/** How long a connection that has been made may go untold, at most. */
const TELLING_MS = 20;

/**
 * What has arrived on a socket and is not read yet: two chunks at most. With one,
 * reading goes on, so that what follows the last bytes is seen with them: the
 * end, or a reset, which a write would be told instead.
 */
export class Incoming {
  /** Called when there is something new: bytes, the end or a fault. */
  onNews: () => void = () => {};
  readonly #chunks: Uint8Array[] = [];

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  get isFull(): boolean {
    return this.#chunks.length >= 2;
  }

  /** For a socket that is made: reads into two buffers, far faster than streams. */
  onread(): net.OnReadOpts {
    let [next, other] = [
      new Uint8Array(READ_BYTES),
      new Uint8Array(READ_BYTES),
    ];
    return {
      buffer: () => {
        [next, other] = [other, next];
        return next;
      },
      callback: (length, buffer) => {
        this.put(buffer.subarray(0, length));
        return !this.isFull;
      },
    };
  }

  put(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.onNews();
  }

  /** Moves what fits into `buffer`, and returns how much that is. */
  take(buffer: Uint8Array): number {
    const [chunk = buffer] = this.#chunks;
    const length = Math.min(buffer.length, chunk.length);
    buffer.set(chunk.subarray(0, length));
    if (length < chunk.length) this.#chunks[0] = chunk.subarray(length);
    else this.#chunks.shift();
    return length;
  }
}

/** A socket of `node:net`, read and written as a `Deno.Conn` is. */
export class NodeSocket {
  readonly remoteAddr: Deno.Addr;
  readonly localAddr: Deno.Addr;
  readonly #socket: net.Socket;
  readonly #incoming: Incoming;
  readonly #isAccepted: boolean;
  /** What is written to: the socket, or a second handle on it. */
  #writer: net.Socket;
  #writes = 0;
  #hasEnded = false;
  /** Why nothing can be read any more. */
  #fault: { error: unknown } | undefined;
  /** Why nothing can be written any more. There may still be bytes to read. */
  #writeFault: Error | undefined;
  /** Whether that fault is, or may be, a reset. */
  #writeMetReset = false;
  /** Whether our FIN is sent: whatever comes later, all was sent. */
  #isFinished = false;

  /**
   * Wraps a socket that is connected, and has `allowHalfOpen`.
   *
   * @param socket The socket. Nothing else may read from it or write to it.
   * @param incoming Where its bytes go, if it was made with `onread`.
   * @throws {Deno.errors.NotConnected} If the peer has left already.
   */
  constructor(socket: net.Socket, incoming?: Incoming) {
    this.#socket = this.#writer = socket;
    this.#incoming = incoming ?? new Incoming();
    this.#isAccepted = incoming === undefined;
    this.localAddr = addrOf(socket.localAddress, socket.localPort);
    this.remoteAddr = addrOf(socket.remoteAddress, socket.remotePort);
    const hasPeer = this.localAddr.transport === this.remoteAddr.transport;
    if (socket.destroyed || !hasPeer) {
      socket.destroy();
      throw new Deno.errors.NotConnected("The peer has left");
    }
    if (!incoming) this.#readStream();
    socket.on("end", () => {
      // A write has met the reset, which is told only once: this is no FIN.
      if (this.#writeMetReset) return this.#fail(reset());
      this.#hasEnded = true;
      this.#incoming.onNews();
    });
    socket.on("error", (error) => this.#fail(denoError(error)));
    socket.on("close", () => {
      this.#fail(closed());
      this.#writer.destroy();
    });
    this.#keepReadingAfterWriteFaults(socket);
  }

  /**
   * Connects.
   *
   * @param options Where to connect.
   * @param signal Cancels the connecting: nothing stays open then.
   * @returns The connection.
   * @throws {unknown} An error of the class that `Deno.connect()` rejects with,
   * or the reason of `signal`.
   */
  static connect(
    options: net.TcpNetConnectOpts,
    signal: AbortSignal,
  ): Promise<NodeSocket> {
    return new Promise((resolve, reject) => {
      const incoming = new Incoming();
      const socket = process.getBuiltinModule("node:net").connect({
        ...options,
        allowHalfOpen: true,
        onread: incoming.onread(),
      });
      const tried = Promise.withResolvers<void>();
      const abort = async () => {
        // The server may have accepted it, and would take a FIN for an end.
        const untold = new LongPause(TELLING_MS);
        await Promise.race([tried.promise, untold.ended]);
        untold.end();
        if (socket.connecting) socket.destroy();
        else socket.resetAndDestroy();
        reject(signal.reason);
      };
      const fail = (error: unknown) => {
        tried.resolve();
        signal.removeEventListener("abort", abort);
        reject(denoError(error));
      };
      signal.addEventListener("abort", abort);
      socket.once("error", fail);
      socket.once("connect", () => {
        tried.resolve();
        if (signal.aborted) return;
        signal.removeEventListener("abort", abort);
        try {
          resolve(new NodeSocket(socket, incoming));
          socket.off("error", fail);
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** As `Deno.Conn.read()`. */
  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      if (!this.#incoming.isEmpty) {
        const length = this.#incoming.take(buffer);
        this.#readOn();
        return length;
      }
      if (this.#hasEnded) return null;
      if (this.#fault) throw this.#fault.error;
      await new Promise<void>((resolve) => {
        this.#incoming.onNews = resolve;
        this.#readOn();
      });
    }
  }

  /** As `Deno.Conn.write()`: it may write less than all of it. */
  async write(bytes: Uint8Array): Promise<number> {
    const most = this.#isAccepted ? ACCEPTED_WRITE_BYTES : WRITE_BYTES;
    const part = bytes.subarray(0, most);
    if (++this.#writes % WRITES_IN_A_TURN === 0) await turn();
    this.#chooseWriter(part.length);
    await this.#done((callback) => this.#writer.write(part, callback));
    return part.length;
  }

  /** As `Deno.Conn.closeWrite()`: sends the FIN. */
  async closeWrite(): Promise<void> {
    await this.#done((callback) => this.#socket.end(callback));
    this.#isFinished = true;
  }

  /** As `Deno.Conn.close()`, but as often as one likes. */
  close(): void {
    this.#fail(closed());
    this.#writer.destroy();
    this.#socket.destroy();
  }

  /**
   * Closes with a RST, so that the peer cannot take what it got for all; after our
   * FIN it just closes. A Unix socket knows no RST: it always just closes.
   */
  reset(): void {
    if (this.#isFinished) return this.close();
    this.#fail(closed());
    if (this.#writer !== this.#socket) this.#writer.destroy();
    this.#socket.resetAndDestroy();
  }

  /** Whether its first write need not wait: of one just accepted it must. */
  get #isInUse(): boolean {
    return !this.#isAccepted || this.#hasEnded;
  }

  /** While the peer is silent, a write that has to wait needs a second handle. */
  #chooseWriter(length: number): void {
    const socket = this.#socket;
    const isSure = socket.bytesRead > 0 ||
      this.#isInUse && this.#writes <= AT_ONCE_WRITES &&
        socket.bytesWritten + length <= AT_ONCE_BYTES;
    const isOther = this.#writer !== socket;
    if (isSure || isOther || this.localAddr.transport !== "tcp") return;
    const second = secondHandle(socket);
    // Waiting for a descriptor is in vain: the next connection takes it.
    if (!second) return;
    second.on("error", () => {});
    this.#keepReadingAfterWriteFaults(second);
    this.#writer = second;
  }

  /** Waits for a write. It is over with the socket, too. */
  #done(begin: (callback: (error?: Error | null) => void) => void) {
    return new Promise<void>((resolve, reject) => {
      if (this.#fault) return reject(this.#fault.error);
      begin((error) => {
        const fault = this.#writeFault ?? error;
        if (!fault) resolve();
        else reject(this.#fault ? this.#fault.error : denoError(fault));
      });
    });
  }

  #fail(error: unknown): void {
    this.#fault ??= { error };
    this.#incoming.onNews();
  }

  /** Reads by events: a socket that was accepted has no `onread`. */
  #readStream(): void {
    const socket = this.#socket;
    socket.pause();
    socket.on("data", (chunk: Uint8Array) => {
      this.#incoming.put(chunk);
      if (this.#incoming.isFull) socket.pause();
    });
  }

  #readOn(): void {
    if (!this.#incoming.isFull) this.#socket.resume();
  }

  /**
   * A stream that cannot be written is destroyed, and what has arrived is lost:
   * perhaps the reason why the peer takes no more. So the stream is not told.
   */
  #keepReadingAfterWriteFaults(socket: net.Socket): void {
    const write = socket._write;
    socket._write = (chunk, encoding, callback) => {
      let isAtOnce = true;
      write.call(socket, chunk, encoding, (error) => {
        if (!error) return callback();
        // Of a write that had to wait, TCP always says that the pipe is broken.
        const isTold = isAtOnce || socket !== this.#socket;
        const isReset = !(isTold && "code" in error && error.code === "EPIPE");
        // What was read before it is told in the next tick.
        process.nextTick(() => {
          if (!this.#writeFault) this.#writeMetReset = isReset;
          this.#writeFault ??= error;
          callback();
        });
      });
      isAtOnce = false;
    };
  }
}

function reset(): Error {
  return new Deno.errors.ConnectionReset("Connection reset by peer");
}

function closed(): Error {
  return new Deno.errors.Interrupted("The socket was closed");
}

/** An address as Deno has it. One of a Unix socket has no host. */
function addrOf(
  hostname: string | undefined,
  port: number | undefined,
): Deno.Addr {
  return hostname === undefined || port === undefined
    ? { transport: "unix", path: null as unknown as string }
    : { transport: "tcp", hostname, port };
}
