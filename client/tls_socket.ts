/**
 * TLS over a socket that can be reset. `node:tls` is loaded when it is first
 * needed.
 *
 * @module
 */

import type stream from "node:stream";
import type tls from "node:tls";
import { turn } from "../shared/pause.ts";
import { Incoming, type NodeSocket } from "../shared/node_socket.ts";
import { identityFault, tlsError, type Trust } from "./certificates.ts";

const READ_BYTES = 65_536;
/** How much `node:tls` encrypts at a time. */
const WRITE_BYTES = 49_152;

/** What of the options of a request concerns TLS. */
export interface TlsOptions extends Trust {
  readonly alpnProtocols: string[] | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * A connection with TLS, read and written as a `Deno.TlsConn` is.
 *
 * `node:tls` gets the bytes from us, not from the socket: on a socket it reads on
 * without bounds while nobody reads from it, and the end of the socket looks to it
 * like a `close_notify`.
 */
export class TlsSocket {
  readonly #raw: NodeSocket;
  readonly #tls: tls.TLSSocket;
  /** What `node:tls` takes for the socket. */
  readonly #wire: stream.Duplex;
  readonly #buffer = new Uint8Array(READ_BYTES);
  /** Decrypted bytes that are not read yet. */
  readonly #incoming = new Incoming();
  readonly #shaken = Promise.withResolvers<void>();
  #feeding: Promise<void> | undefined;
  #sending: Promise<void> = Promise.resolve();
  #hasEnded = false;
  #fault: { error: unknown } | undefined;
  #writeFault: { error: unknown } | undefined;

  constructor(raw: NodeSocket, options: TlsOptions) {
    this.#raw = raw;
    this.#wire = this.#makeWire();
    const { caCerts, alpnProtocols, cert, key } = options;
    this.#tls = process.getBuiltinModule("node:tls").connect({
      socket: this.#wire,
      host: options.hostname,
      checkServerIdentity: () =>
        identityFault(this.#tls.getPeerCertificate(true), options),
      ...(caCerts && { ca: caCerts }),
      ...(alpnProtocols && { ALPNProtocols: alpnProtocols }),
      ...(cert !== undefined && key !== undefined && { cert, key }),
    });
    this.#tls.on("secureConnect", () => this.#shaken.resolve());
    this.#tls.on("data", (chunk: Uint8Array) => this.#incoming.put(chunk));
    this.#tls.on("end", () => {
      this.#hasEnded = true;
      this.#incoming.onNews();
    });
    this.#tls.on("error", (error) => this.#fail(tlsError(error)));
  }

  /** Completes the handshake. */
  async handshake(): Promise<void> {
    let isOver = false;
    this.#shaken.promise.finally(() => isOver = true).catch(() => {});
    (async () => {
      while (!isOver) await this.#feed();
    })();
    await this.#shaken.promise;
  }

  /** As `Deno.TlsConn.read()`. */
  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      if (!this.#incoming.isEmpty) return this.#incoming.take(buffer);
      if (this.#hasEnded) return null;
      if (this.#fault) throw this.#fault.error;
      await new Promise<void>((resolve) => {
        this.#incoming.onNews = resolve;
        this.#feed().then(resolve);
      });
    }
  }

  /** As `Deno.TlsConn.write()`: it may write less than all of it. */
  async write(bytes: Uint8Array): Promise<number> {
    const part = bytes.subarray(0, WRITE_BYTES);
    await this.#done((callback) => this.#tls.write(part, callback));
    return part.length;
  }

  /** As `Deno.TlsConn.closeWrite()`: sends a `close_notify`, and the FIN. */
  async closeWrite(): Promise<void> {
    await this.#done((callback) => this.#tls.end(callback));
    // The `close_notify` goes out in a microtask of its own.
    await turn();
    await this.#sending;
    if (this.#writeFault) throw this.#writeFault.error;
    await this.#raw.closeWrite();
  }

  /** As `Deno.TlsConn.close()`, but without a `close_notify`. */
  close(): void {
    this.#raw.close();
    this.#fail(new Deno.errors.Interrupted("The socket was closed"));
  }

  /** Closes with a RST, and without a `close_notify`. */
  reset(): void {
    this.#raw.reset();
    this.close();
  }

  #makeWire(): stream.Duplex {
    const { Duplex } = process.getBuiltinModule("node:stream");
    return new Duplex({
      autoDestroy: false,
      emitClose: false,
      read() {
        // It is fed as bytes arrive.
      },
      write: (bytes: Uint8Array, _encoding, callback) => {
        this.#sending = this.#send(bytes);
        this.#sending.then(() => callback());
      },
    });
  }

  /** Sends the encrypted bytes. A fault must not end the reading: it is kept. */
  async #send(bytes: Uint8Array): Promise<void> {
    try {
      for (let sent = 0; sent < bytes.length;) {
        if (this.#writeFault) return;
        sent += await this.#raw.write(bytes.subarray(sent));
      }
    } catch (error) {
      this.#writeFault = { error };
    }
  }

  /** Waits for a write, which must have reached the socket. */
  async #done(
    begin: (callback: (error?: Error | null) => void) => void,
  ): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    begin(resolve);
    const error = await promise;
    const fault = this.#fault ?? this.#writeFault;
    if (fault) throw fault.error;
    if (error) throw error;
  }

  /** Decrypts what arrives next. It never rejects. */
  #feed(): Promise<void> {
    return this.#feeding ??= this.#feedOnce().finally(() => {
      this.#feeding = undefined;
    });
  }

  async #feedOnce(): Promise<void> {
    try {
      const length = await this.#raw.read(this.#buffer);
      if (length !== null) {
        // Not by `push()`, which may keep it: the buffer is used again.
        this.#wire.emit("data", this.#buffer.subarray(0, length));
        return;
      }
      // The end that a `close_notify` makes is told in a turn of its own.
      await turn();
      if (this.#hasEnded) return;
      throw new Deno.errors.UnexpectedEof(
        "The peer has ended TLS without a close_notify",
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#fault ??= { error };
    this.#shaken.reject(error);
    this.#tls.destroy();
    this.#incoming.onNews();
  }
}
