/**
 * The reading half of an exchange: the request from the socket, until its end.
 *
 * @module
 */

import { Dropping } from "./dropping.ts";
import type { EndSearch } from "./end_search.ts";
import { RequestTooLargeError } from "../shared/errors.ts";
import type { Outcome, RequestEnd } from "./record.ts";
import { RequestBytes } from "./request_bytes.ts";
import type { Socket } from "../shared/socket.ts";
import type { State } from "./state.ts";
import type { TimeLimits } from "./time_limits.ts";
import { type Unhurried, unhurried } from "../shared/unhurried.ts";
import { changedBuffer } from "../shared/view.ts";

/** Settings that all reading halves of one listener share. */
export interface ReadingSettings extends Unhurried {
  /** How large a request may be, in bytes. */
  readonly maxRequestBytes: number;
  /** Begins the search for what ends a request besides the FIN, if anything does. */
  readonly startSearch: (() => EndSearch) | undefined;
  /** After how long a silence a request ends, in milliseconds. */
  readonly silence: number;
  /** Whether the socket and its pending read outlive a cut, for a refusal. */
  readonly outlivesCuts: boolean;
}

/** Reads the request of one exchange. */
export class ReadingHalf {
  /** How many bytes of the request were read. Dropped bytes do not count. */
  bytesRead = 0;

  readonly #socket: Socket;
  readonly #state: State;
  readonly #limits: TimeLimits;
  readonly #settings: ReadingSettings;
  readonly #search: EndSearch | undefined;
  #end: RequestEnd | undefined;
  #hasFin = false;
  #isStopped = false;
  /** Whether reads go straight to a buffer of the caller's. */
  #isDirect = false;
  #dropping: Dropping | undefined;
  /** While a silence may end the request: resolves the pending read. */
  #onSilence: (() => void) | undefined;

  constructor(
    socket: Socket,
    state: State,
    limits: TimeLimits,
    settings: ReadingSettings,
  ) {
    this.#socket = socket;
    this.#state = state;
    this.#limits = limits;
    this.#settings = settings;
    this.#search = settings.startSearch?.();
  }

  /** What ended the request, once it is complete. */
  get end(): RequestEnd | undefined {
    return this.#end;
  }

  /** What is waited for until the request is complete. */
  get awaited(): "end" | "length" {
    return this.#search?.end === "length" ? "length" : "end";
  }

  /** Whether the client has sent its FIN. */
  get hasFin(): boolean {
    return this.#hasFin;
  }

  /** When bytes were dropped last, from `performance.now()`, or 0. */
  get droppedAt(): number {
    return this.#dropping?.lastAt ?? 0;
  }

  /** Whether a pending read may still write to a buffer of the caller's. */
  get holdsCallersBuffer(): boolean {
    return this.#isDirect && this.#limits.isReading;
  }

  /** Whether a read may still write to the buffer that it was given. */
  get isPending(): boolean {
    return this.#limits.isReading || this.#end === "idle";
  }

  /** How long the client may be silent now before that ends its request. */
  get patience(): number {
    return this.#onSilence ? this.#settings.silence : Infinity;
  }

  /**
   * Reads the next bytes of the request into a stream's buffer.
   *
   * @param into Where to read to. It is lost to the reader after a cut.
   * @param ours Where to read to first, if a silence may abandon the read.
   * @returns How many bytes were read, or `null` at the end of the request.
   */
  readForStream(into: Uint8Array, ours: Uint8Array): Promise<number | null> {
    return this.#settings.silence === Infinity
      ? this.read(into)
      : this.#readThrough(ours.subarray(0, into.length), into);
  }

  /**
   * Reads the next bytes of the request into a buffer that is free as soon as the
   * read settles, even if a silence or a cut leaves the socket's read pending.
   *
   * @param into Where to read to.
   * @param ours Where to read to first in that case.
   * @returns How many bytes were read, or `null` at the end of the request.
   */
  readForCaller(into: Uint8Array, ours: Uint8Array): Promise<number | null> {
    const { silence, outlivesCuts } = this.#settings;
    this.#isDirect = silence === Infinity && !outlivesCuts;
    return this.#isDirect
      ? this.read(into)
      : this.#readThrough(ours.subarray(0, into.length), into);
  }

  async #readThrough(
    ours: Uint8Array,
    into: Uint8Array,
  ): Promise<number | null> {
    const read = await this.read(ours);
    if (read === null) return null;
    this.#checkRoom(into, read);
    into.set(ours.subarray(0, read));
    return read;
  }

  /** The client has been silent for so long that its request is complete. */
  endBySilence(): void {
    const onSilence = this.#onSilence;
    this.#onSilence = undefined;
    this.#end = "idle";
    // The read stays pending, but nothing waits for it. Its bytes are dropped.
    this.#limits.readEnds();
    onSilence?.();
  }

  /** Throws if a request of this size is too large. */
  checkSize(bytes: number): void {
    const { maxRequestBytes } = this.#settings;
    if (bytes <= maxRequestBytes) return;
    this.#end = undefined;
    const error = new RequestTooLargeError(maxRequestBytes);
    this.#state.exceed(error);
    throw error;
  }

  /** Throws if nothing more can be read. */
  checkReadable(): void {
    const { cut, unreadable } = this.#state;
    if (cut) throw cut.error;
    if (unreadable) throw unreadable.error;
    if (this.#isStopped) throw tooLateToRead();
  }

  /** Lets all further reads fail. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Reads and drops what the client still sends, so that it does not block.
   *
   * @param bytes How much more to drop at most.
   * @returns Resolves when no more is dropped.
   */
  drop(bytes?: number): Promise<void> | undefined {
    if (this.#hasFin) return undefined;
    this.stop();
    this.#dropping ??= new Dropping(this.#socket, this.#limits, () => {
      this.#hasFin = true;
    });
    if (bytes !== undefined) this.#dropping.dropAtMost(bytes);
    return this.#dropping.ended;
  }

  /** Reads all into a request, or once into a view. It rejects after a cut. */
  read(into: Uint8Array | RequestBytes): Promise<number | null> {
    const { silence, outlivesCuts } = this.#settings;
    let reading = this.#readWithinLimits(into);
    if (silence !== Infinity) reading = this.#unlessSilent(reading);
    return outlivesCuts ? this.#state.raceWithCut(reading) : reading;
  }

  async #readWithinLimits(
    into: Uint8Array | RequestBytes,
  ): Promise<number | null> {
    while (!this.#end) {
      this.checkReadable();
      const room = into instanceof RequestBytes ? into.room : into;
      this.#limits.readBegins();
      let read: number | null;
      try {
        read = await this.#socket.read(room);
      } catch (error) {
        if (this.#end) break;
        this.checkReadable();
        // Nothing can be read into a buffer that has shrunk to none.
        this.#checkRoom(room, 1);
        throw this.#state.cutByPeer(outcomeOf(error), "reading", error);
      } finally {
        if (this.#end !== "idle") this.#limits.readEnds();
      }
      // A silence has ended it meanwhile.
      if (this.#end) break;
      this.checkReadable();
      if (read === null) {
        this.#endByFin();
        break;
      }
      this.#checkRoom(room, read);
      let count = read;
      if (this.#search) {
        count = this.#untilEnd(this.#search, room.subarray(0, read));
        // What was handed out before cannot be taken back.
        if (count <= 0 && !(into instanceof RequestBytes)) break;
      }
      this.bytesRead += count;
      this.checkSize(this.bytesRead);
      if (this.#settings[unhurried]) this.#limits.forgiveReads();
      if (!(into instanceof RequestBytes)) return count;
      into.add(count);
    }
    return null;
  }

  /** The client has sent its FIN. That may be too early. */
  #endByFin(): void {
    this.#hasFin = true;
    const missing = this.#search?.missing;
    if (missing === undefined) this.#end = "fin";
    else throw this.#state.cutByPeer("truncated", "reading", cutShort(missing));
  }

  /** How many of the bytes that were read belong to the request. */
  #untilEnd(search: EndSearch, chunk: Uint8Array): number {
    let end: number | undefined;
    try {
      end = search.endIn(chunk);
    } catch (error) {
      this.bytesRead += chunk.length;
      this.#state.failReading(error);
      throw error;
    }
    const excess = search.excess?.(this.#settings.maxRequestBytes);
    if (excess) {
      this.bytesRead += chunk.length;
      this.#state.exceed(excess);
      throw excess;
    }
    if (end === undefined) return chunk.length;
    this.#end = search.end;
    return end;
  }

  /** Waits for a read, or for the silence that ends the request. */
  #unlessSilent(reading: Promise<number | null>): Promise<number | null> {
    return new Promise((resolve, reject) => {
      const onSilence = () => resolve(null);
      const settle = () => {
        if (this.#onSilence === onSilence) this.#onSilence = undefined;
      };
      this.#onSilence = onSilence;
      reading.then(resolve, reject).finally(settle);
    });
  }

  /** Throws if a caller has taken away the buffer that it wanted read into. */
  #checkRoom(room: Uint8Array, read: number): void {
    if (read <= room.length) return;
    const error = changedBuffer();
    this.#state.recordFault("failed", "reading", error);
    throw error;
  }
}

/** The error of reading when the exchange has moved on. */
export function tooLateToRead(): TypeError {
  return new TypeError(
    "Cannot read the request: the exchange has moved on and the rest was " +
      "dropped. Await the reading before you respond, close or go on.",
  );
}

/** The error of reading while another read is pending. */
export function readPending(): TypeError {
  return new TypeError(
    "Cannot read the next piece of the request: a read is pending. Await it " +
      "first.",
  );
}

function cutShort(missing: string): Error {
  return new Deno.errors.UnexpectedEof(
    `The request is cut: the client has ended it ${missing}`,
  );
}

function outcomeOf(error: unknown): Outcome {
  const truncated = error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.InvalidData;
  return truncated ? "truncated" : "reset";
}
