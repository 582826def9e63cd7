/**
 * A connection that a proxy has made, and that begins with its header.
 *
 * @module
 */

import {
  malformed,
  MAX_HEADER_BYTES,
  parseProxyHeader,
  type ProxyHeader,
} from "./proxy_header.ts";
import type { Ends, Socket } from "../shared/socket.ts";
import type { State } from "../exchange/state.ts";
import type { TimeLimits } from "../exchange/time_limits.ts";

/** A socket whose reads begin after the header. */
export class ProxiedSocket implements Socket {
  readonly remoteAddr: Deno.Addr;
  readonly localAddr: Deno.Addr;
  readonly reset?: () => void;
  readonly #socket: Socket;
  /** What has come together with the header, and was not read yet. */
  #rest: Uint8Array | undefined;

  /**
   * @param socket The connection of the proxy.
   * @param ends Its ends, as an exchange has them.
   */
  constructor(socket: Socket, { remoteAddr, localAddr }: Ends) {
    this.#socket = socket;
    this.remoteAddr = remoteAddr;
    this.localAddr = localAddr;
    if (socket.reset) this.reset = () => socket.reset?.();
  }

  /**
   * Reads the header. If it names no client, it also waits for a request.
   *
   * @param state Told of a fault of the peer.
   * @param limits Told of all waiting.
   * @returns The ends of the client's connection, or of ours if the header names
   * no client.
   * @throws {unknown} The error of the cut if the header is malformed or missing,
   * if it breaks off, or the peer has left without a request of its own.
   */
  async readHeader(state: State, limits: TimeLimits): Promise<Ends> {
    let ends: Ends | undefined;
    try {
      ends = await this.#readEnds(limits);
    } catch (error) {
      const isMalformed = error instanceof Deno.errors.InvalidData;
      const outcome = isMalformed ? "proxy" : "reset";
      throw state.cutByPeer(outcome, "reading", error);
    }
    if (ends) return ends;
    throw state.cutByPeer("health-check", "reading", undefined);
  }

  read(into: Uint8Array): Promise<number | null> {
    const rest = this.#rest;
    if (!rest) return this.#socket.read(into);
    const part = rest.subarray(0, into.length);
    into.set(part);
    this.#rest = part.length < rest.length
      ? rest.subarray(part.length)
      : undefined;
    return Promise.resolve(part.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#socket.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#socket.closeWrite();
  }

  close(): void {
    this.#socket.close();
  }

  /** The ends that the header names, or ours; none if there is no request. */
  async #readEnds(limits: TimeLimits): Promise<Ends | undefined> {
    const buffer = new Uint8Array(MAX_HEADER_BYTES);
    let size = 0;
    let header: ProxyHeader | undefined;
    while (!header) {
      const read = size === 0
        ? await this.#readUnlessReset(buffer, limits)
        : await this.#readWithin(buffer.subarray(size), limits);
      if (read === null) {
        if (size === 0) return undefined;
        throw malformed(`the connection ended after ${size} bytes of it`);
      }
      size += read;
      header = parseProxyHeader(buffer.subarray(0, size));
    }
    if (header.length < size) this.#rest = buffer.subarray(header.length, size);
    const { ends } = header;
    if (ends && this.#couldBeClients(ends)) return ends;
    if (this.#rest) return this;
    const first = await this.#readUnlessReset(buffer, limits);
    if (first === null) return undefined;
    this.#rest = buffer.subarray(0, first);
    return this;
  }

  async #readWithin(
    into: Uint8Array,
    limits: TimeLimits,
  ): Promise<number | null> {
    limits.readBegins();
    try {
      return await this.#socket.read(into);
    } finally {
      limits.readEnds();
    }
  }

  /** As a proxy may end its health checks with a reset, that is an end, too. */
  #readUnlessReset(
    into: Uint8Array,
    limits: TimeLimits,
  ): Promise<number | null> {
    return this.#readWithin(into, limits).catch(() => null);
  }

  /**
   * Whether the ends may be those of a client. In its health checks, a proxy may
   * name the ends of the very connection that it has made.
   */
  #couldBeClients({ remoteAddr, localAddr }: Ends): boolean {
    if (remoteAddr.transport !== "tcp") {
      return this.remoteAddr.transport !== "tcp";
    }
    return !isSame(remoteAddr, this.remoteAddr) ||
      !isSame(localAddr, this.localAddr);
  }
}

function isSame(one: Deno.Addr, other: Deno.Addr): boolean {
  return one.transport === "tcp" && other.transport === "tcp" &&
    one.port === other.port && one.hostname === other.hostname;
}
