/**
 * How an exchange is closed: with a FIN, a refusal or neither, and perhaps with
 * a lingering close.
 *
 * @module
 */

import { type BodyChunk, bytesOf } from "../shared/body.ts";
import type { RequestTooLargeError, TimeoutError } from "../shared/errors.ts";
import { LingerTimer } from "./linger_timer.ts";
import { closeQuietly, quietly } from "../shared/quiet.ts";
import type { ExchangeRecord } from "./record.ts";
import type { ReadingHalf } from "./reading.ts";
import type { IncomingRequest } from "./request.ts";
import type { Socket } from "./socket.ts";
import type { State } from "./state.ts";
import { isOf, typeOf } from "../shared/thrown.ts";
import type { WritingHalf } from "./writing.ts";

/** What a client is told when it is refused: nothing, text, or bytes. */
export type Refusal = BodyChunk | null | undefined | void;

/** Settings of the closing, shared by all exchanges of one listener. */
export interface ClosingSettings {
  /** How long a client that lingers may be silent, in milliseconds. */
  readonly lingerTimeout: number;
  /** Returns what to tell a client whose request is too large or slow. */
  readonly onRefuse:
    | ((
      error: RequestTooLargeError | TimeoutError,
      request: Pick<ExchangeRecord, "bytesRead" | "end">,
    ) => Refusal)
    | undefined;
}

/** About what a 1 Gbit/s link transfers in two seconds. */
const MAX_LINGER_BYTES = 268_435_456;

/** The closing of one exchange. */
export class Closing {
  readonly #socket: Socket;
  readonly #state: State;
  readonly #reading: ReadingHalf;
  readonly #request: IncomingRequest;
  readonly #writing: WritingHalf;
  readonly #settings: ClosingSettings;
  #finishing: Promise<boolean> | undefined;
  #lingering: Promise<void> | undefined;
  #isClosed = false;

  constructor(
    socket: Socket,
    state: State,
    reading: ReadingHalf,
    request: IncomingRequest,
    writing: WritingHalf,
    settings: ClosingSettings,
  ) {
    this.#socket = socket;
    this.#state = state;
    this.#reading = reading;
    this.#request = request;
    this.#writing = writing;
    this.#settings = settings;
  }

  /** Whether the socket is closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** If the connection lingers: resolves when its socket is closed. */
  get lingering(): Promise<void> | undefined {
    return this.#lingering;
  }

  /** Whether the socket is closed or lingers. */
  get isOver(): boolean {
    return this.#isClosed || this.#lingering !== undefined;
  }

  /** Sends the FIN, and closes or lingers: `false` if the peer is gone. */
  finish(): Promise<boolean> {
    return this.#finishing ??= this.#finish();
  }

  /** Waits for a FIN under way, or sends one or a refusal if there is none. */
  async close(): Promise<void> {
    if (this.#finishing) await this.#finishing;
    else if (!this.isOver && !this.#refuse()) await this.finish();
  }

  /** Closes the socket of an exchange that is cut short, unless it lingers. */
  closeAfterCut(): void {
    if (!this.#refuse() && !this.#lingering) this.closeSocket();
  }

  /** Closes the socket at once. */
  closeSocket(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#state.stopLingering();
    closeQuietly(this.#socket);
  }

  async #finish(): Promise<boolean> {
    // After the client's FIN, a close sends ours; but TLS must flush first.
    if (this.#reading.hasFin && !("handshake" in this.#socket)) {
      this.#writing.endByClosing();
    } else await this.#writing.sendFin();
    if (this.#state.cut) return false;
    this.#state.enter("closing");
    // A read that nobody awaited must not write to its buffer later on.
    const endsNow = this.#reading.hasFin || this.#reading.holdsCallersBuffer;
    if (endsNow) this.closeSocket();
    else this.#lingering = this.#linger();
    return true;
  }

  /** Tells the client why it is refused, if that is still possible. */
  #refuse(): boolean {
    const { onRefuse } = this.#settings;
    const { bytesRead, end } = this.#reading;
    const cause = this.#causeToRefuse();
    if (!onRefuse || !cause || this.isOver || !this.#writing.isUntouched) {
      return false;
    }
    const refusal = this.#state.guard(() =>
      refusalBytes(onRefuse(cause, { bytesRead, ...(end && { end }) }))
    );
    if (refusal) this.#lingering = this.#linger(refusal);
    return this.isOver;
  }

  #causeToRefuse(): RequestTooLargeError | TimeoutError | undefined {
    const { cut, stage } = this.#state;
    // Before the handshake, or the header of a proxy, there is no client to tell.
    if (stage === "handshake" || stage === "header") return undefined;
    if (cut?.outcome === "aborted") return undefined;
    if (this.#reading.tooLarge) return this.#reading.tooLarge;
    // A handler may throw such an error, too: that is not our limit.
    const isLimit = cut?.outcome === "deadline" || cut?.outcome === "idle";
    return isLimit ? cut.error as TimeoutError : undefined;
  }

  /** Reads and drops: closing on unread data would reset the connection. */
  async #linger(refusal?: Uint8Array): Promise<void> {
    const timer = new LingerTimer(
      this.#settings.lingerTimeout,
      () => this.#reading.droppedAt,
      () => this.closeSocket(),
    );
    try {
      const dropped = this.#request.dropRest(MAX_LINGER_BYTES);
      if (refusal) await this.#writing.sendRefusal(refusal);
      await dropped;
    } catch {
      // The client left, or has lingered for too long.
    } finally {
      timer.stop();
      this.closeSocket();
    }
  }
}

/** The bytes of a refusal, if there are any. */
function refusalBytes(refusal: unknown): Uint8Array | undefined {
  if (refusal === undefined || refusal === null) return undefined;
  const bytes = bytesOf(refusal);
  if (bytes) return bytes.length > 0 ? bytes.slice() : undefined;
  // Nobody awaits what cannot be sent.
  if (isOf(refusal, Promise)) quietly(refusal);
  throw new TypeError(
    `Cannot send ${
      typeOf(refusal)
    } as a refusal: onRefuse() must return text ` +
      "or bytes at once, not a promise",
  );
}
