/**
 * How an exchange is closed: with a FIN, a refusal or neither, and perhaps with
 * a lingering close.
 *
 * @module
 */

import { type BodyChunk, bytesOf } from "../shared/body.ts";
import type { RequestTooLargeError, TimeoutError } from "../shared/errors.ts";
import { LingerTimer } from "./linger_timer.ts";
import { quietly } from "../shared/quiet.ts";
import type { ExchangeRecord, Outcome } from "./record.ts";
import type { ReadingHalf } from "./reading.ts";
import type { IncomingRequest } from "./request.ts";
import type { Socket } from "../shared/socket.ts";
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

/** What an exchange reads and writes with. */
interface Halves {
  readonly reading: ReadingHalf;
  readonly request: IncomingRequest;
  readonly writing: WritingHalf;
}

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

  constructor(
    socket: Socket,
    state: State,
    { reading, request, writing }: Halves,
    settings: ClosingSettings,
  ) {
    this.#socket = socket;
    this.#state = state;
    this.#reading = reading;
    this.#request = request;
    this.#writing = writing;
    this.#settings = settings;
  }

  /** If the connection lingers: resolves when its socket is closed. */
  get lingering(): Promise<void> | undefined {
    return this.#lingering;
  }

  /** Sends the FIN, and closes or lingers: `false` if the peer is gone. */
  finish(): Promise<boolean> | boolean {
    // After the client's FIN, a close sends ours; but TLS must flush first.
    if (!this.#reading.hasFin || "handshake" in this.#socket) {
      return this.#finishing ??= this.#sendFin();
    }
    this.#writing.endByClosing();
    return this.#end();
  }

  /** Waits for a FIN under way, or sends one or a refusal if there is none. */
  async close(): Promise<void> {
    const { isOver, tooLarge } = this.#state;
    if (this.#finishing) await this.#finishing;
    else if (this.#isUnanswered) {
      this.#state.abort("failed", this.#state.failure?.error);
    } else if (!isOver && !this.#refuse(tooLarge)) await this.finish();
  }

  /** Whether the code has failed and said nothing, and the client can be told so. */
  get #isUnanswered(): boolean {
    const { failure, isOver } = this.#state;
    return failure !== undefined && !isOver && this.#writing.isUntouched &&
      this.#socket.reset !== undefined;
  }

  /** Cuts the exchange short, and closes its socket unless that lingers. */
  cut(outcome: Outcome, error: unknown): void {
    const { stage, phase, isOver, tooLarge } = this.#state;
    if (!this.#state.cutShort(outcome, phase, error)) return;
    // Before the handshake, or the header of a proxy, there is no client to tell.
    const isKnown = stage !== "handshake" && stage !== "header";
    // A handler may throw such an error, too: that is not our limit.
    const isLimit = outcome === "deadline" || outcome === "idle";
    const cause = tooLarge ?? (isLimit ? error as TimeoutError : undefined);
    const isRefused = isKnown && !isOver && this.#refuse(cause);
    if (!isRefused && !this.#lingering) this.#state.closeSocket();
  }

  async #sendFin(): Promise<boolean> {
    await this.#writing.sendFin();
    return this.#end();
  }

  /** Closes or lingers: `false` if the peer is gone. */
  #end(): boolean {
    if (this.#state.cut) return false;
    this.#state.enter("closing");
    // A read that nobody awaited must not write to its buffer later on.
    const endsNow = this.#reading.hasFin || this.#reading.holdsCallersBuffer;
    if (endsNow) this.#state.closeSocket();
    else this.#lingering = this.#linger();
    return true;
  }

  /** Tells the client why it is refused, if that is still possible. */
  #refuse(cause: RequestTooLargeError | TimeoutError | undefined): boolean {
    const { onRefuse } = this.#settings;
    const { bytesRead, end } = this.#reading;
    if (!onRefuse || !cause || !this.#writing.isUntouched) return false;
    const refusal = this.#state.guard(() =>
      refusalBytes(onRefuse(cause, { bytesRead, ...(end && { end }) }))
    );
    // The callback may have aborted the exchange.
    if (!refusal || this.#state.isClosed) return this.#state.isClosed;
    this.#state.enter("closing");
    this.#lingering = this.#linger(refusal);
    return true;
  }

  /** Reads and drops: closing on unread data would reset the connection. */
  async #linger(refusal?: Uint8Array): Promise<void> {
    const timer = new LingerTimer(
      this.#settings.lingerTimeout,
      () => this.#reading.droppedAt,
      () => this.#state.closeSocket(),
    );
    try {
      const dropped = this.#request.dropRest(MAX_LINGER_BYTES);
      if (refusal) await this.#writing.sendRefusal(refusal);
      await dropped;
    } catch {
      // The client left, or has lingered for too long.
    } finally {
      timer.stop();
      this.#state.closeSocket();
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
    `Cannot send ${typeOf(refusal)} as a refusal: onRefuse() must return ` +
      "text or bytes at once, not a promise",
  );
}
