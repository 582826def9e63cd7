/**
 * How an exchange begins: with a TLS handshake, the header of a proxy or neither,
 * and then with its request.
 *
 * @module
 */

import { ProxiedSocket } from "../proxy/proxied_socket.ts";
import type { IncomingRequest } from "./request.ts";
import type { Ends, Socket } from "./socket.ts";
import type { State } from "./state.ts";
import type { TimeLimits } from "./time_limits.ts";

/** Settings of the opening, shared by all exchanges of one listener. */
export interface OpeningSettings {
  /** Whether a handler gets the connection before the request is read. */
  readonly streaming: boolean;
  /** How many requests may be read while another is handled. */
  readonly readAhead: number;
}

/** The opening of one exchange. */
export class Opening {
  readonly #socket: Socket;
  readonly #state: State;
  readonly #limits: TimeLimits;
  readonly #request: IncomingRequest;
  readonly #settings: OpeningSettings;

  constructor(
    socket: Socket,
    state: State,
    limits: TimeLimits,
    request: IncomingRequest,
    settings: OpeningSettings,
  ) {
    this.#socket = socket;
    this.#state = state;
    this.#limits = limits;
    this.#request = request;
    this.#settings = settings;
  }

  /**
   * Prepares the exchange for its handler: completes the TLS handshake or reads
   * the header of a proxy and, unless requests are streamed, reads the request to
   * its end.
   *
   * @param addresses Where to put the client's addresses, if a proxy tells them.
   * @returns Whether that succeeded; if not, the fault is recorded.
   */
  async open(
    addresses: { -readonly [Name in keyof Ends]: Ends[Name] },
  ): Promise<boolean> {
    const socket = this.#socket;
    const state = this.#state;
    try {
      if ("handshake" in socket) {
        state.enter("handshake");
        await state.raceWithCut(this.#shakeHands(socket as Deno.TlsConn));
      } else if (socket instanceof ProxiedSocket) {
        state.enter("header");
        const { remoteAddr, localAddr } = await this.#readHeader(socket);
        addresses.remoteAddr = remoteAddr;
        addresses.localAddr = localAddr;
      }
      if (!this.#settings.streaming) {
        state.enter("reading");
        await this.#request.keep();
      }
      state.enter("waiting");
      if (this.#settings.readAhead > 0) this.#limits.turnIsDue();
      // A callback may have cut it meanwhile.
      return !state.cut;
    } catch (error) {
      if (state.verdict) return false;
      state.recordFault("failed", "reading", error);
      throw error;
    }
  }

  async #shakeHands(socket: Deno.TlsConn): Promise<void> {
    this.#limits.readBegins();
    try {
      await socket.handshake();
    } catch (error) {
      const reset = error instanceof Deno.errors.ConnectionReset;
      const outcome = reset ? "reset" : "handshake";
      throw this.#state.cutByPeer(outcome, "reading", error);
    } finally {
      this.#limits.readEnds();
    }
  }

  async #readHeader(socket: ProxiedSocket): Promise<Ends> {
    let ends: Ends | undefined;
    try {
      ends = await socket.readHeader(this.#limits);
    } catch (error) {
      const malformed = error instanceof Deno.errors.InvalidData;
      const outcome = malformed ? "proxy" : "reset";
      throw this.#state.cutByPeer(outcome, "reading", error);
    }
    if (ends) return ends;
    throw this.#state.cutByPeer("health-check", "reading", undefined);
  }
}
