/**
 * The exchange on one connection as a whole: both halves put together.
 *
 * @module
 */

import { unmapped } from "./shared/address.ts";
import type { BodyChunk, ResponseBody } from "./shared/body.ts";
import { Closing } from "./exchange/closing.ts";
import type { Conn } from "./exchange/conn_interface.ts";
import type { Piece } from "./exchange/dialogue.ts";
import { shakeHands } from "./exchange/handshake.ts";
import { OutgoingResponse } from "./exchange/response.ts";
import type { ExchangeSettings } from "./exchange/settings.ts";
import { State } from "./exchange/state.ts";
import { abortError } from "./shared/errors.ts";
import { ProxiedSocket } from "./proxy/proxied_socket.ts";
import { IncomingRequest } from "./exchange/request.ts";
import type { Ends, Socket } from "./shared/socket.ts";
import { TimeLimits } from "./exchange/time_limits.ts";
import { ReadingHalf } from "./exchange/reading.ts";
import type { ExchangeRecord } from "./exchange/record.ts";
import type { Watched } from "./exchange/watchdog.ts";
import { WritingHalf } from "./exchange/writing.ts";

export type { Conn };

/** One exchange, as the server sees it; users see {@linkcode Conn}. */
export class Exchange<Addr extends Deno.Addr> implements Conn<Addr>, Watched {
  readonly id: number;
  /** What has happened to it so far. */
  readonly state: State;
  readonly #settings: ExchangeSettings;
  readonly #conn: Socket;
  /** The same, or without the header of a proxy. */
  readonly #socket: Socket;
  readonly #limits: TimeLimits;
  readonly #reading: ReadingHalf;
  readonly #request: IncomingRequest;
  readonly #writing: WritingHalf;
  readonly #closing: Closing;
  readonly #response: OutgoingResponse;
  // Deno's addresses are slow to look at, so they wait until somebody asks.
  #peerAddr: Addr | undefined;
  #localAddr: Addr | undefined;
  /** The addresses that the header of a proxy gives. */
  #given: Ends | undefined;

  constructor(id: number, conn: Socket, settings: ExchangeSettings) {
    this.id = id;
    this.#conn = conn;
    this.#settings = settings;
    const { onRequest, buffers } = settings;
    const onHead = onRequest && ((head: Uint8Array<ArrayBuffer>) => {
      const { id, remoteAddr, localAddr, bytesRead } = this;
      const start = { id, remoteAddr, localAddr, bytesRead, head };
      state.guard(() => onRequest(start));
    });
    // Each part knows those above it, and none below.
    const socket: Socket = this.#socket = settings.proxyProtocol
      ? new ProxiedSocket(conn, this)
      : conn;
    const limits = this.#limits = new TimeLimits(settings);
    const state = this.state = new State(socket, limits);
    const reading = new ReadingHalf(socket, state, limits, settings);
    const writing = new WritingHalf(socket, state, limits);
    const request = new IncomingRequest(reading, state, buffers, onHead);
    const halves = { reading, request, writing };
    const closing = new Closing(socket, state, halves, settings);
    this.#reading = reading;
    this.#writing = writing;
    this.#request = request;
    this.#closing = closing;
    this.#response = new OutgoingResponse(state, request, writing, closing);
  }

  // The public part, documented with `Conn`.

  get peerAddr(): Addr {
    return this.#peerAddr ??= unmapped(this.#conn.remoteAddr) as Addr;
  }

  get remoteAddr(): Addr {
    return this.#given ? this.#given.remoteAddr as Addr : this.peerAddr;
  }

  get localAddr(): Addr {
    if (this.#given) return this.#given.localAddr as Addr;
    return this.#localAddr ??= (this.#settings.localAddr ??
      unmapped(this.#conn.localAddr)) as Addr;
  }

  get signal(): AbortSignal {
    return this.state.signal;
  }

  get bytesRead(): number {
    return this.#reading.bytesRead;
  }

  get bytesWritten(): number {
    return this.#writing.bytesWritten;
  }

  get writable(): WritableStream<BodyChunk> {
    return this.#response.writable;
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#request.readable;
  }

  get bodyUsed(): boolean {
    return this.#request.bodyUsed;
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#request.bytes();
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#request.arrayBuffer();
  }

  text(): Promise<string> {
    return this.#request.text();
  }

  json(): Promise<unknown> {
    return this.#request.json();
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#request.read(buffer);
  }

  readUntil(delimiter: string | Uint8Array): Promise<Piece> {
    return this.#request.readUntil(delimiter);
  }

  readExactly(size: number): Promise<Piece> {
    return this.#request.readExactly(size);
  }

  respond(body?: ResponseBody): Promise<boolean> {
    return this.#response.respond(body);
  }

  async close(): Promise<void> {
    await this.#response.settled();
    this.#response.cutIfHalfWritten();
    await this.#closing.close();
  }

  abort(reason: unknown = abortError("The exchange was aborted")): void {
    this.state.abort("aborted", reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What the server calls.

  /**
   * Prepares the exchange for its handler: completes the TLS handshake or reads
   * the header of a proxy and, unless requests are streamed, reads the request to
   * its end.
   *
   * @returns Whether that succeeded; if not, the fault is in the record.
   */
  async prepare(): Promise<boolean> {
    const state = this.state;
    const { streaming, readAhead } = this.#settings;
    try {
      const opening = this.#open();
      if (opening) await opening;
      if (!streaming) {
        state.enter("reading");
        await this.#request.readAll();
        this.#request.keep();
      }
      state.enter("waiting");
      if (readAhead > 0) this.#limits.turnIsDue();
      // A callback may have cut it meanwhile.
      return !state.cut;
    } catch (error) {
      if (state.verdict) return false;
      state.recordFault("failed", "reading", error);
      throw error;
    }
  }

  /** Begins the turn of an exchange that is ready. */
  takeTurn(): void {
    this.state.enter("handling");
    this.#limits.turnBegins();
  }

  /** If the connection lingers: resolves when its socket is closed. */
  get lingering(): Promise<void> | undefined {
    return this.#closing.lingering;
  }

  /** Whether a response has been sent or begun. */
  get isAnswered(): boolean {
    return this.#response.hasBegun;
  }

  expire(now: number): number {
    const { patience } = this.#reading;
    const { stage, isOver } = this.state;
    const awaited = stage === "handshake" || stage === "header"
      ? stage
      : this.#request.awaited;
    const due = this.#limits.check(now, isOver, patience, awaited);
    if (typeof due === "number") return due;
    if (due === "silence") {
      this.#reading.endBySilence();
      return now;
    }
    this.#closing.cut(due.option === "deadline" ? "deadline" : "idle", due);
    return Infinity;
  }

  /** Ends the turn of a closed exchange: the server moves on. */
  leave(): void {
    this.state.moveOn();
    this.#request.release();
  }

  /** The record of the exchange so far. */
  record(): ExchangeRecord<Addr> {
    const { id, remoteAddr, localAddr, peerAddr } = this;
    const { bytesRead, bytesWritten } = this;
    const { end } = this.#reading;
    return {
      ...{ id, remoteAddr, localAddr, peerAddr, bytesRead, bytesWritten },
      ...this.#limits.times(),
      ...(end && { end }),
      outcome: "ok",
      phase: this.isAnswered ? "writing" : "handling",
      ...this.state.verdict,
    };
  }

  /** Waits for what comes before the request, if anything does. */
  #open(): Promise<void> | undefined {
    const socket = this.#socket;
    const state = this.state;
    if ("handshake" in socket) {
      state.enter("handshake");
      const shaking = shakeHands(socket as Deno.TlsConn, state, this.#limits);
      return state.raceWithCut(shaking);
    }
    if (!(socket instanceof ProxiedSocket)) return undefined;
    state.enter("header");
    return socket.readHeader(state, this.#limits).then((ends) => {
      this.#given = ends;
    });
  }
}
