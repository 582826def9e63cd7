// A client on a socket that does not behave: a RST can be sent by `node:net` only.

import net from "node:net";
import type { Place } from "./sockets.ts";

/** A client that can reset, and does not mind if the server has left before it. */
export class RudeClient {
  /** The port that it connects from. */
  readonly port: number | undefined;
  readonly #socket: net.Socket;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.port = socket.localPort;
  }

  static async connect(place: Place): Promise<RudeClient> {
    const { hostname = "127.0.0.1", port } = place as Deno.NetAddr;
    const socket = net.connect({ port, host: hostname, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      // Later ones come of what it does.
      socket.on("error", reject);
    });
    return new RudeClient(socket);
  }

  write(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#socket.write(data, () => resolve()));
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  /** Waits until something has come, and leaves it unread, or nothing will come. */
  async received(): Promise<void> {
    const socket = this.#socket;
    const events = ["readable", "end", "close"];
    while (
      socket.readableLength === 0 && !socket.readableEnded && !socket.destroyed
    ) {
      const news = Promise.withResolvers<void>();
      for (const event of events) socket.on(event, news.resolve);
      socket.read(0);
      await news.promise;
      for (const event of events) socket.off(event, news.resolve);
    }
  }

  /** Reads what has come, or `null` at the end. It rejects after a reset. */
  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    await this.received();
    const socket = this.#socket;
    if (socket.readableLength > 0) return new Uint8Array(socket.read());
    if (socket.readableEnded && !socket.errored) return null;
    throw socket.errored ?? new Error("The socket was reset");
  }

  /** Ends the connection with a RST. */
  async reset(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise((resolve) =>
      this.#socket.once("close", resolve)
    );
    this.#socket.resetAndDestroy();
    await closed;
  }
}
