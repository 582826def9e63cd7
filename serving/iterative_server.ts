/**
 * The server that `serve()` returns: a listener and a handler.
 *
 * @module
 */

import type { Conn, Exchange } from "../conn.ts";
import { writeToConsole } from "../shared/thrown.ts";
import type { Certificate } from "../listening/certificate.ts";
import { handle } from "./handling.ts";
import type { Handler, Server, Serving } from "./options.ts";

/** The listener of a server. */
export interface ExchangeListener extends
  Pick<
    Server,
    | "addr"
    | "inHand"
    | "lingering"
    | "shutdown"
    | "setCertificate"
    | "ref"
    | "unref"
  >,
  AsyncIterable<Exchange<Deno.Addr>> {
  close(): void;
}

/** Runs a handler for each exchange of a listener. */
export class IterativeServer implements Server {
  readonly finished: Promise<void>;
  readonly #listener: ExchangeListener;

  constructor(
    listener: ExchangeListener,
    { handler, onListen, onError = (error) => writeToConsole(error) }: Serving,
  ) {
    this.#listener = listener;
    try {
      onListen?.(this.addr);
    } catch (error) {
      listener.close();
      throw error;
    }
    this.finished = this.#run(handler, onError);
  }

  get addr(): Deno.Addr {
    return this.#listener.addr;
  }

  get inHand(): number {
    return this.#listener.inHand;
  }

  get lingering(): number {
    return this.#listener.lingering;
  }

  shutdown(): Promise<void> {
    return this.#listener.shutdown();
  }

  setCertificate(certificate: Certificate): Promise<void> {
    return this.#listener.setCertificate(certificate);
  }

  ref(): void {
    this.#listener.ref();
  }

  unref(): void {
    this.#listener.unref();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #run(
    handler: Handler,
    onError: NonNullable<Serving["onError"]>,
  ): Promise<void> {
    const answering = { handler: (conn: Conn) => handler(conn, this), onError };
    for await (const exchange of this.#listener) {
      await handle(exchange, answering);
    }
  }
}
