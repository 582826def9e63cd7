/**
 * A sign that I/O has had its turn.
 *
 * @module
 */

import { closeQuietly } from "../shared/quiet.ts";
import { isGranted } from "./permission.ts";

/**
 * A connection to ourselves, on a port of its own, that shows when I/O has had
 * its turn. Timers cannot show it: any number of them may fire before I/O. But
 * a byte that is sent now does not arrive before what was already waiting.
 */
export class Loopback {
  readonly #near: Deno.Conn;
  readonly #far: Deno.Conn;
  #turning: Promise<void> = Promise.resolve();
  /** A turn that has not begun yet, shared by all callers until it does. */
  #next: Promise<void> | undefined;

  private constructor(near: Deno.Conn, far: Deno.Conn) {
    this.#near = near;
    this.#far = far;
  }

  /** Returns `undefined` if permissions or descriptors are missing. */
  static async open(): Promise<Loopback | undefined> {
    const hostname = "127.0.0.1";
    const opened: (Deno.Listener | Deno.Conn)[] = [];
    try {
      if (!await isGranted(hostname)) return undefined;
      const listener = Deno.listen({ hostname, port: 0 });
      opened.push(listener);
      const { port } = listener.addr;
      const near = await Deno.connect({ hostname, port });
      opened.push(near);
      const far = await listener.accept();
      opened.push(far);
      if (far.remoteAddr.port !== near.localAddr.port) return undefined;
      opened.splice(1);
      return new Loopback(near, far);
    } catch {
      return undefined;
    } finally {
      for (const resource of opened) closeQuietly(resource);
    }
  }

  /** Resolves when all I/O that was ready before this call has been seen. */
  turn(): Promise<void> {
    return this.#next ??= this.#turning.then(() => {
      this.#next = undefined;
      return this.#turning = this.#sendByte();
    });
  }

  async #sendByte(): Promise<void> {
    const byte = new Uint8Array(1);
    try {
      await Promise.all([this.#far.read(byte), this.#near.write(byte)]);
    } catch {
      // Closed meanwhile: nobody waits for it any more.
    }
  }

  close(): void {
    closeQuietly(this.#near);
    closeQuietly(this.#far);
  }
}
