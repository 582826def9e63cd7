// A server made by hand, for what ours does not do.

import net from "node:net";

/** A peer that may be as rude as it likes to its connections. */
export class Peer implements AsyncDisposable {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
  }

  static async of(act: (socket: net.Socket) => void): Promise<Peer> {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      peer.#sockets.add(socket);
      socket.on("error", () => {});
      act(socket);
    });
    const peer = new Peer(server);
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve())
    );
    return peer;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) {
      if (socket.destroyed) continue;
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.destroy();
      await closed;
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
