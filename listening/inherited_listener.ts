/**
 * A listening socket that this process has inherited, and that others may keep
 * open: TCP or Unix, over `node:net`, which is loaded only when it is used.
 *
 * @module
 */

import type net from "node:net";
import { NodeSocket } from "../shared/node_socket.ts";
import { turn } from "../shared/pause.ts";
import { quietly } from "../shared/quiet.ts";
import type { Socket } from "../shared/socket.ts";
import { Wakeup } from "../shared/wakeup.ts";
import type { Source } from "./accepting.ts";

/** That of Node. The backlog of a socket that listens already stays as it is. */
const BACKLOG = 511;

/**
 * How often to look for connections that came when descriptors were lacking, in
 * milliseconds. Node looks again only when the next one comes.
 */
const LOOK_AGAIN_MS = 1000;

/**
 * Accepts from an inherited socket. `node:net` accepts whoever comes, so the queue
 * is ours and not the kernel's.
 */
export class InheritedListener implements Source {
  readonly addr: Deno.Addr;
  readonly #server: net.Server;
  /** Accepted, and not taken yet. */
  readonly #accepted: Socket[] = [];
  readonly #change = new Wakeup();
  readonly #lookingAgain: ReturnType<typeof setInterval>;
  #leaving: Promise<void> | undefined;
  #isClosed = false;

  /**
   * @param fd The number of the descriptor. From now on it is ours.
   * @throws {Deno.errors.BadResource} If it is no socket that can listen.
   */
  constructor(fd: number) {
    const server = process.getBuiltinModule("node:net").createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
    });
    // Node tells of a wrong descriptor in the next turn, and only "EINVAL".
    server.on("error", () => {});
    server.on("connection", (socket) => this.#add(socket));
    server.listen({ fd });
    if (!server.listening) {
      throw new Deno.errors.BadResource(
        `Cannot listen on descriptor ${fd}: it is not a listening socket (TCP or ` +
          "Unix), pass one that the process has inherited, such as 3 from systemd",
      );
    }
    this.#server = server;
    const address = server.address();
    this.addr = typeof address === "object" && address !== null
      ? { transport: "tcp", hostname: address.address, port: address.port }
      // The path is not known: Deno says it so of unnamed peers, too.
      : { transport: "unix", path: null as unknown as string };
    this.#lookingAgain = setInterval(() => this.#lookAgain(), LOOK_AGAIN_MS);
    Deno.unrefTimer(this.#lookingAgain);
  }

  /** @throws {Deno.errors.Interrupted} When it is closed. */
  async accept(): Promise<Socket> {
    for (;;) {
      const socket = this.#accepted.shift();
      if (socket) return socket;
      if (this.#isClosed) {
        throw new Deno.errors.Interrupted("The listener was closed");
      }
      await this.#change.wait();
    }
  }

  /** Leaves the socket to whoever else keeps it open. */
  close(): void {
    quietly(this.leave());
  }

  async leave(): Promise<Socket[]> {
    await (this.#leaving ??= this.#leave());
    return this.#accepted.splice(0);
  }

  ref(): void {
    this.#server.ref();
  }

  unref(): void {
    this.#server.unref();
  }

  async #leave(): Promise<void> {
    // While Node hands out a batch of connections, a close would reset the rest.
    await turn();
    this.#server.close();
    clearInterval(this.#lookingAgain);
    this.#isClosed = true;
    this.#change.wake();
  }

  #add(socket: net.Socket): void {
    try {
      this.#accepted.push(new NodeSocket(socket));
    } catch {
      return; // The peer has left already.
    }
    this.#change.wake();
  }

  /** On TCP, to listen again is to look again. */
  #lookAgain(): void {
    const { _handle } = this.#server as {
      _handle?: { listen?(backlog: number): number };
    };
    if (this.addr.transport === "tcp") _handle?.listen?.(BACKLOG);
  }
}
