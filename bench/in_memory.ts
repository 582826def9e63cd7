// Connections without a kernel behind them, so that what is left is our own work.

import { type Conn, type ExchangeOptions, listen } from "../server.ts";

const addr: Deno.NetAddr = {
  transport: "tcp",
  hostname: "127.0.0.1",
  port: 9,
};

/** One that has its request and the client's FIN already, and takes any response. */
class MemoryConn implements Deno.Conn<Deno.NetAddr> {
  readonly localAddr = addr;
  readonly remoteAddr = addr;
  readonly #request: Uint8Array;
  #at = 0;

  constructor(request: Uint8Array) {
    this.#request = request;
  }

  read(into: Uint8Array): Promise<number | null> {
    const part = this.#request.subarray(this.#at, this.#at + into.length);
    if (part.length === 0) return Promise.resolve(null);
    into.set(part);
    this.#at += part.length;
    return Promise.resolve(part.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    return Promise.resolve(bytes.length);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  get readable(): never {
    throw new Error("Nobody reads this one");
  }

  get writable(): never {
    throw new Error("Nobody writes to this one");
  }

  close(): void {}
  ref(): void {}
  unref(): void {}
  [Symbol.dispose](): void {}
}

/** One that always has a connection waiting. */
class MemoryListener implements Deno.Listener<Deno.Conn, Deno.NetAddr> {
  readonly addr = addr;
  readonly #request: Uint8Array;

  constructor(request: Uint8Array) {
    this.#request = request;
  }

  accept(): Promise<Deno.Conn> {
    return Promise.resolve(new MemoryConn(this.#request));
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Deno.Conn> {
    for (;;) yield await this.accept();
  }

  close(): void {}
  ref(): void {}
  unref(): void {}
  [Symbol.dispose](): void {}
}

/** Takes one connection after another, each with the same request. */
export function connections(
  request: Uint8Array,
  options: ExchangeOptions<Deno.NetAddr> = {},
): () => Promise<Conn<Deno.NetAddr>> {
  const listener = listen({
    maxRequestBytes: 2 ** 31,
    ...options,
    listener: new MemoryListener(request),
  });
  // A timer that is left must not keep the process.
  listener.unref();
  const iterator = listener[Symbol.asyncIterator]();
  return async () => {
    const { value } = await iterator.next();
    return value as Conn<Deno.NetAddr>;
  };
}
