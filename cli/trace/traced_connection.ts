/**
 * What a server does on one socket, for the trace.
 *
 * @module
 */

import { unmapped } from "../../shared/address.ts";
import type { Socket } from "../../shared/socket.ts";
import { messageOf, nameOf } from "../shared/wording.ts";

/** Is told what happens at a time, by the clock of `performance.now()`. */
export type Tell = (at: number, event: string, fields: object) => void;

/** Follows one socket, from its accept until it is closed. */
export class TracedConnection {
  /** The address object that the socket has from now on. */
  readonly remoteAddr: Deno.Addr;
  /** Whether the socket is closed. */
  isClosed = false;
  /** Whether the client's FIN was read. */
  hasFin = false;
  readonly #tell: Tell;
  #id: number | undefined;
  /** What happens before the connection has its number. */
  #held: [at: number, event: string, fields: object][] = [];
  #hasResponse = false;
  #hasEnded = false;
  #isReset = false;

  /**
   * @param socket The socket. Its methods are replaced by ones that tell.
   * @param tell Is told, once the connection has its number.
   */
  constructor(socket: Socket, tell: Tell) {
    this.remoteAddr = unmapped(socket.remoteAddr);
    this.#tell = tell;
    this.tell("accepted", { client: nameOf(this.remoteAddr) });
    this.#follow(socket);
  }

  /** Its exchange begins, or has ended before it could begin. */
  begin(id: number): void {
    if (this.#id !== undefined) return;
    this.#id = id;
    for (const [at, event, fields] of this.#held.splice(0)) {
      this.#tell(at, event, { id, ...fields });
    }
    if (!this.isClosed) this.tell("begun");
  }

  tell(event: string, fields: object = {}): void {
    const at = performance.now();
    const id = this.#id;
    if (id === undefined) this.#held.push([at, event, fields]);
    else this.#tell(at, event, { id, ...fields });
  }

  #follow(socket: Socket): void {
    const read = socket.read.bind(socket);
    const write = socket.write.bind(socket);
    const closeWrite = socket.closeWrite.bind(socket);
    const close = socket.close.bind(socket);
    socket.read = async (buffer) => {
      const bytes = await this.#noticeReset(read(buffer));
      if (bytes !== null) this.tell("read", { bytes });
      else if (!this.hasFin) {
        this.hasFin = true;
        this.tell("fin", { from: "client" });
      }
      return bytes;
    };
    socket.write = async (buffer) => {
      if (!this.#hasResponse) this.tell("response");
      this.#hasResponse = true;
      const bytes = await this.#noticeReset(write(buffer));
      this.tell("write", { bytes });
      return bytes;
    };
    socket.closeWrite = async () => {
      await this.#noticeReset(closeWrite());
      this.#tellEnd();
    };
    socket.close = () => {
      close();
      this.isClosed = true;
      this.#tellEnd();
      this.tell("closed");
    };
    const reset = socket.reset?.bind(socket);
    if (reset) {
      socket.reset = () => {
        reset();
        // After our FIN it is a close, which has been told.
        if (this.isClosed) return;
        this.isClosed = true;
        this.tell("closed");
      };
    }
    if (isTls(socket)) {
      const handshake = socket.handshake.bind(socket);
      socket.handshake = async () => {
        const info = await this.#noticeReset(handshake());
        this.tell("handshake");
        return info;
      };
    }
    // The server passes on this object, by which the connection is known.
    Object.defineProperty(socket, "remoteAddr", { value: this.remoteAddr });
  }

  /** Our FIN: that of a close, too, unless there is nobody to get it. */
  #tellEnd(): void {
    if (this.#hasEnded || this.#isReset) return;
    this.#hasEnded = true;
    this.tell("fin", { from: "server" });
  }

  async #noticeReset<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      const isReset = error instanceof Deno.errors.ConnectionReset ||
        error instanceof Deno.errors.BrokenPipe;
      if (isReset && !this.#isReset) {
        this.#isReset = true;
        this.tell("reset", { error: messageOf(error) });
      }
      throw error;
    }
  }
}

function isTls(socket: Socket): socket is Socket & Deno.TlsConn {
  return "handshake" in socket;
}
