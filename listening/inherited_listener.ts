/**
 * A listening socket that this process has inherited, and that others may keep
 * open: TCP or Unix, over `node:net`, which is loaded only when it is used.
 *
 * @module
 */

import type net from "node:net";
import { denoError } from "../shared/node_error.ts";
import { NodeSocket } from "../shared/node_socket.ts";
import type { Socket } from "../shared/socket.ts";
import { Wakeup } from "../shared/wakeup.ts";
import type { Source } from "./accepting.ts";

/**
 * The socket is opened anew after so many milliseconds without a new connection. Once
 * descriptors have lacked, Node accepts nothing any more, and does not say so.
 */
const RENEWAL_MS = 1000;

/**
 * Accepts from an inherited socket. `node:net` accepts all connections at once, so
 * they wait in a queue of ours and not in the kernel's.
 */
export class InheritedListener implements Source {
  readonly addr: Deno.Addr;
  #server: net.Server;
  /** Accepted, and not taken yet. */
  readonly #accepted: Socket[] = [];
  /** Why nobody can be accepted at the moment. It is told once. */
  #lack: { error: unknown } | undefined;
  readonly #change = new Wakeup();
  readonly #renewing: ReturnType<typeof setInterval>;
  #hasComeLately = false;
  #isReferenced = true;
  #isClosed = false;

  /**
   * @param fd The number of the descriptor. From now on it is ours.
   * @throws {Deno.errors.BadResource} If it is no socket that can listen.
   */
  constructor(fd: number) {
    this.#server = this.#open(fd);
    if (!this.#server.listening) {
      throw new Deno.errors.BadResource(
        `Cannot listen on descriptor ${fd}: it is not a listening socket (TCP or ` +
          "Unix). Pass one that the process has inherited, such as 3 from systemd.",
      );
    }
    const address = this.#server.address();
    this.addr = typeof address === "object" && address !== null
      ? { transport: "tcp", hostname: address.address, port: address.port }
      // The path is not known: Deno says it so of unnamed peers, too.
      : { transport: "unix", path: null as unknown as string };
    // The programs that this process starts inherit the first descriptor.
    this.#renew();
    this.#renewing = setInterval(() => this.#renew(), RENEWAL_MS);
    Deno.unrefTimer(this.#renewing);
  }

  /**
   * @throws {Deno.errors.Interrupted} When it is closed.
   * @throws {Error} With the code `EMFILE`, when descriptors lack.
   */
  async accept(): Promise<Socket> {
    for (;;) {
      const socket = this.#accepted.shift();
      if (socket) return socket;
      if (this.#isClosed) {
        throw new Deno.errors.Interrupted("The listener was closed");
      }
      const lack = this.#lack;
      this.#lack = undefined;
      if (lack) throw lack.error;
      await this.#change.wait();
    }
  }

  get queued(): number {
    return this.#accepted.length;
  }

  /** Leaves the socket to the other processes that keep it open. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // While Node hands out a batch of connections, this would reset the rest of it;
    // but nobody is told of them before that is over.
    this.#server.close();
    clearInterval(this.#renewing);
    this.#change.wake();
  }

  leave(): Socket[] {
    this.close();
    return this.#accepted.splice(0);
  }

  ref(): void {
    this.#isReferenced = true;
    this.#server.ref();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#server.unref();
  }

  #open(fd: number): net.Server {
    const server = process.getBuiltinModule("node:net").createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
    });
    // Node tells of a wrong descriptor in the next turn, and only "EINVAL".
    server.on("error", () => {});
    server.on("connection", (socket) => this.#add(socket));
    server.listen({ fd });
    return server;
  }

  #add(socket: net.Socket): void {
    this.#hasComeLately = true;
    try {
      this.#accepted.push(new NodeSocket(socket));
    } catch {
      return; // The peer has left already.
    }
    this.#change.wake();
  }

  /**
   * Opens the socket anew, with another descriptor of it, if nobody has come. No
   * program inherits that one.
   */
  #renew(): void {
    const { _handle } = this.#server as { _handle?: { fdForIpc?(): number } };
    const fd = this.#hasComeLately ? undefined : _handle?.fdForIpc?.();
    this.#hasComeLately = false;
    if (fd === undefined) return;
    if (fd < 0) {
      const lack = { code: "EMFILE", errno: -24 };
      this.#lack = { error: denoError(lack) };
      return this.#change.wake();
    }
    const former = this.#server;
    this.#server = this.#open(fd);
    if (!this.#isReferenced) this.#server.unref();
    former.close();
  }
}
