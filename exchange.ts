/**
 * How one exchange is done: its reading, answering, limits and closing.
 *
 * @module
 */

import {
  type BodyChunk,
  chunkBytes,
  type ChunkSource,
  openBody,
  type ResponseBody,
} from "./exchange/body.ts";
import {
  type Conn,
  type ExchangeRecord,
  type Outcome,
  type Phase,
  RequestTooLargeError,
  TimeoutError,
} from "./conn.ts";
import type { CheckedOptions } from "./listening/options.ts";
import { quietly, QuietWritableStream } from "./exchange/quiet.ts";
import { RequestBytes, RequestChunks } from "./exchange/request_bytes.ts";

/** What all exchanges of one listener share. */
export interface ExchangeSettings extends
  Pick<
    CheckedOptions,
    "maxRequestBytes" | "deadline" | "idleTimeout" | "lingerTimeout"
  > {
  /** The address of ours, where the connection does not know the right one. */
  readonly localAddr: Deno.Addr | undefined;
  /** What to tell a client whose request is too large or too slow. */
  readonly onRefuse:
    | ((error: RequestTooLargeError | TimeoutError) => string | void)
    | undefined;
  /** Read buffers that are free to be used again. */
  readonly freeBuffers: Uint8Array<ArrayBuffer>[];
}

/** A request that has been read to its end. */
type WholeRequest = Pick<RequestBytes, "peek" | "take">;

/** The longest time that a timer can be set to, in milliseconds. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const READ_BUFFER_BYTES = 65_536;
/** About what a link of 1 Gbit/s brings in the default `lingerTimeout`. */
const MAX_LINGER_BYTES = 268_435_456;
/** How long a silent peer gets to prove that it was our event loop that slept. */
const DOUBT_MS = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Where dropped bytes of all exchanges go: nobody looks at them. */
let drain: Uint8Array<ArrayBuffer> | undefined;

/** One exchange, as the server sees it; its users see {@linkcode Conn}. */
export class Exchange<Addr extends Deno.Addr> implements Conn<Addr> {
  readonly id: number;
  readonly remoteAddr: Addr;
  readonly localAddr: Addr;
  bytesRead = 0;
  bytesWritten = 0;
  /** Once the socket outlives the exchange: resolves when it is closed. */
  lingering: Promise<void> | undefined;

  readonly #socket: Deno.Conn;
  readonly #settings: ExchangeSettings;
  readonly #startedAt = Date.now();
  readonly #started = performance.now();

  /** Borrowed for the time of the exchange: what callers get never aliases it. */
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #request: RequestBytes | undefined;
  #requestEnded = false;
  #bodyUsed = false;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #readableController: ReadableByteStreamController | undefined;
  #cancelled = false;
  #discarding: Promise<void> | undefined;
  #discardBudget = Infinity;

  #answerBegun = false;
  #answering: Promise<boolean> | undefined;
  #writable: WritableStream<BodyChunk> | undefined;
  #inPieces = false;
  #closingWritable: Promise<unknown> | undefined;
  #ending: Promise<boolean> | undefined;
  #closed = false;
  #left = false;

  /** How it ended, once that is known: the first fault of all is what counts. */
  #verdict: Pick<ExchangeRecord, "outcome" | "phase" | "error"> | undefined;
  #cut: { outcome: Outcome; error: unknown } | undefined;
  #tooLarge: RequestTooLargeError | undefined;
  #controller: AbortController | undefined;
  /** What to reject when the exchange is cut short. */
  #waiting: Set<(error: unknown) => void> | undefined;

  /** Reads and writes under way, and since when none of them has moved. */
  #reads = 0;
  #writes = 0;
  #silentSince = 0;
  #doubtedSince = -1;
  #handshaking = false;

  constructor(id: number, socket: Deno.Conn, settings: ExchangeSettings) {
    this.id = id;
    this.remoteAddr = socket.remoteAddr as Addr;
    this.localAddr = (settings.localAddr ?? socket.localAddr) as Addr;
    this.#socket = socket;
    this.#settings = settings;
    this.#buffer = settings.freeBuffers.pop() ??
      new Uint8Array(READ_BUFFER_BYTES);
    this.#request = new RequestBytes(this.#buffer);
  }

  // What users see: documented with `Conn`.

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#cut) this.#controller.abort(this.#cut.error);
    }
    return this.#controller.signal;
  }

  get bodyUsed(): boolean {
    return this.#bodyUsed;
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= this.#openReadable();
  }

  get writable(): WritableStream<BodyChunk> {
    return this.#writable ??= this.#openWritable();
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#consume((request) => request.take());
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#consume((request) => request.take().buffer);
  }

  text(): Promise<string> {
    return this.#consume((request) => decoder.decode(request.peek()));
  }

  json(): Promise<unknown> {
    return this.#consume((request) =>
      JSON.parse(decoder.decode(request.peek()))
    );
  }

  respond(body?: ResponseBody): Promise<boolean> {
    let content: Uint8Array | ChunkSource;
    try {
      this.#checkUnanswered();
      content = openBody(body);
    } catch (error) {
      this.fail(error);
      return quietly(Promise.reject(error));
    }
    if (this.#cut) {
      if (!(content instanceof Uint8Array)) content.cancel(this.#cut.error);
      return Promise.resolve(false);
    }
    this.#answerBegun = true;
    return this.#answering = quietly(this.#answer(content));
  }

  async close(): Promise<void> {
    if (this.#answering) await this.#answering.catch(() => {});
    if (this.#closingWritable) await this.#closingWritable;
    if (this.#ending) await this.#ending;
    else if (this.#inPieces || (!this.#answerBegun && this.#writable?.locked)) {
      this.cut(
        "failed",
        new Error(
          "The response was left half written: close `conn.writable`, and await " +
            "that, before you return or go on with the loop",
        ),
        "writing",
      );
    } else if (!this.#over && !this.#refuse()) await this.#end();
  }

  abort(
    reason: unknown = abortError("The exchange was aborted"),
  ): void {
    this.cut("aborted", reason);
    this.#shut();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What the server does with an exchange.

  /** Whether `error` is what a peer, a limit or the server's end did to it. */
  isOthersFault(error: unknown): boolean {
    const { outcome, error: cause } = this.#cut ?? {};
    return error !== undefined &&
      (error === this.#tooLarge || (error === cause && outcome !== "failed"));
  }

  /** What the handler, its response or its use of the connection got wrong. */
  get failure(): unknown {
    return this.#verdict?.outcome === "failed"
      ? this.#verdict.error
      : undefined;
  }

  /** Whether the socket is closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a response has been sent or begun. */
  get answered(): boolean {
    return this.#answerBegun;
  }

  /**
   * Gets the exchange ready for its handler: shakes hands and, unless it is to
   * be streamed, reads the request to its end.
   *
   * @returns Whether that went well; a fault of the peer is in the record.
   */
  async prepare(streaming: boolean): Promise<boolean> {
    try {
      if ("handshake" in this.#socket) {
        await this.untilCut(this.#handshake(this.#socket as Deno.TlsConn));
      }
      if (!streaming && this.#request) {
        await this.#read(this.#request);
      }
      return true;
    } catch (error) {
      if (this.#verdict) return false;
      this.fail(error);
      throw error;
    }
  }

  /**
   * Waits for `work`, or rejects as soon as the exchange is cut short. A race
   * with one long-lived promise would keep something for every chunk.
   */
  untilCut<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting ??= new Set();
      waiting.add(reject);
      work.then((value) => {
        waiting.delete(reject);
        resolve(value);
      }, (error) => {
        waiting.delete(reject);
        reject(error);
      });
      if (this.#cut) reject(this.#cut.error);
    });
  }

  /** Records a fault of the handler. The first fault of all is what counts. */
  fail(error: unknown): void {
    this.#settle("failed", this.#currentPhase(), error);
  }

  /** Ends the exchange at once, whatever is under way. */
  cut(
    outcome: Outcome,
    error: unknown,
    phase: Phase = this.#currentPhase(),
  ): void {
    if (this.#left || this.#cut) return;
    this.#cut = { outcome, error };
    this.#settle(outcome, phase, error);
    if (!this.#refuse() && !this.lingering) this.#shut();
    for (const reject of this.#waiting ?? []) reject(error);
    this.#waiting = undefined;
    this.#controller?.abort(error);
  }

  /**
   * Cuts the exchange if one of its limits has passed.
   *
   * @returns When to look again, as a time of `performance.now()`.
   */
  expire(now: number): number {
    const { deadline, idleTimeout } = this.#settings;
    const deadlineAt = this.#started + deadline;
    if (now >= deadlineAt) {
      return this.#timeOut("deadline", deadline);
    }
    if (this.#reads + this.#writes === 0 || this.#over) {
      return Math.min(deadlineAt, now + idleTimeout);
    }
    const idleAt = this.#silentSince + idleTimeout;
    if (now < idleAt) return Math.min(deadlineAt, idleAt);
    // Timers come before I/O: after a pause of our own event loop, what the
    // peer sent meanwhile is only seen after this.
    if (this.#doubtedSince !== this.#silentSince) {
      this.#doubtedSince = this.#silentSince;
      return Math.min(deadlineAt, now + DOUBT_MS);
    }
    return this.#timeOut("idleTimeout", idleTimeout);
  }

  #timeOut(option: TimeoutError["option"], timeout: number): number {
    const outcome = option === "deadline" ? "deadline" : "idle";
    this.cut(outcome, new TimeoutError(option, timeout));
    return Infinity;
  }

  /** Gives back what it had for its turn, which is over: it has been closed. */
  leave(): void {
    this.#left = true;
    if (this.#reads === 0) this.#settings.freeBuffers.push(this.#buffer);
    this.#request = undefined;
  }

  /** How it went, until now. */
  record(): ExchangeRecord<Addr> {
    return {
      id: this.id,
      remoteAddr: this.remoteAddr,
      localAddr: this.localAddr,
      startedAt: this.#startedAt,
      duration: performance.now() - this.#started,
      bytesRead: this.bytesRead,
      bytesWritten: this.bytesWritten,
      outcome: "ok",
      phase: this.#answerBegun ? "writing" : "handling",
      ...this.#verdict,
    };
  }

  /** Ends a lingering close at once. */
  stopLingering(): void {
    this.#shut();
  }

  // Reading

  async #handshake(socket: Deno.TlsConn): Promise<void> {
    this.#handshaking = true;
    this.#waitBegins();
    this.#reads++;
    try {
      await socket.handshake();
      this.#handshaking = false;
    } catch (error) {
      const reset = error instanceof Deno.errors.ConnectionReset;
      throw this.#peerFault(reset ? "reset" : "handshake", "reading", error);
    } finally {
      this.#reads--;
    }
  }

  /**
   * Reads once into a view, or a whole request to its end. Rejects as soon as the
   * exchange is cut short.
   *
   * @returns How many bytes the view got, or `null` at the end.
   */
  #read(into: Uint8Array | RequestBytes): Promise<number | null> {
    const reading = this.#readWithinLimits(into);
    // Only a refusal leaves the socket open, and with it what is being read.
    return this.#settings.onRefuse ? this.untilCut(reading) : reading;
  }

  async #readWithinLimits(
    into: Uint8Array | RequestBytes,
  ): Promise<number | null> {
    while (!this.#requestEnded) {
      this.#checkReading();
      this.#waitBegins();
      this.#reads++;
      let read: number | null;
      try {
        read = await this.#socket.read(
          into instanceof RequestBytes ? into.room : into,
        );
      } catch (error) {
        this.#checkReading();
        throw this.#peerFault(outcomeOfRead(error), "reading", error);
      } finally {
        this.#reads--;
        this.#progress();
      }
      this.#checkReading();
      if (read === null) {
        this.#requestEnded = true;
        break;
      }
      this.bytesRead += read;
      const { maxRequestBytes } = this.#settings;
      if (this.bytesRead > maxRequestBytes) {
        this.#tooLarge = new RequestTooLargeError(maxRequestBytes);
        this.#settle("too-large", "reading", this.#tooLarge);
        throw this.#tooLarge;
      }
      if (!(into instanceof RequestBytes)) return read;
      into.add(read);
    }
    return null;
  }

  /** Throws if there is no more to read for anybody. */
  #checkReading(): void {
    if (this.#cut) throw this.#cut.error;
    if (this.#tooLarge) throw this.#tooLarge;
    if (this.#closed || this.#left || this.#discarding) throw movedOn();
  }

  #consume<T>(convert: (request: WholeRequest) => T): Promise<T> {
    const streaming = !this.#requestEnded;
    const consumed = this.#takeRequest(convert);
    // What a client does must not end a process that does not look.
    return streaming ? quietly(consumed) : consumed;
  }

  /** Converts at once what it takes, before the buffer serves another exchange. */
  async #takeRequest<T>(convert: (request: WholeRequest) => T): Promise<T> {
    if (this.#bodyUsed || this.#readable?.locked) {
      throw new TypeError(
        "Cannot read the request twice: it has been read, is being read or was " +
          "dropped by a response, keep what the first reading gives",
      );
    }
    if (this.#readable) {
      const bytes = await new Response(this.#readable).bytes();
      return convert({ peek: () => bytes, take: () => bytes });
    }
    this.#bodyUsed = true;
    const request = this.#request;
    if (!request) throw movedOn();
    if (!this.#requestEnded) await this.#read(request);
    if (this.#left) throw movedOn();
    this.#request = undefined;
    return convert(request);
  }

  #openReadable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const request = this.#bodyUsed ? undefined : this.#request;
    const kept = request && this.#requestEnded ? request.takePieces() : [];
    const chunks = new RequestChunks(this.#buffer);
    return new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#readableController = controller;
        if (request) return;
        controller.error(
          new TypeError(
            "Cannot read the request: it has been read already, was dropped by " +
              "a response, or the exchange has moved on",
          ),
        );
      },
      pull: async (controller) => {
        this.#bodyUsed = true;
        const piece = kept.shift();
        if (piece) return controller.enqueue(piece);
        const byob = controller.byobRequest;
        const view = byob?.view as Uint8Array<ArrayBuffer> | undefined;
        const read = await this.#read(view ?? chunks.room);
        if (read === null) controller.close();
        else if (this.#left) throw movedOn();
        else if (!view) controller.enqueue(chunks.take(read));
        byob?.respond(read ?? 0);
      },
      cancel: () => {
        this.#bodyUsed = true;
        this.#cancelled = true;
      },
    }, { highWaterMark: 0 });
  }

  // Answering

  /** Throws if there is, or was, a response already. */
  #checkUnanswered(): void {
    if (this.#cut) return;
    if (this.#answerBegun) {
      throw new TypeError(
        "Cannot respond twice: a response has been sent or begun, send all of " +
          "it in one call or write to `writable`",
      );
    }
    if (this.#ending) {
      throw new TypeError(
        "Cannot respond, the connection is closed: await the response before " +
          "you close, return or go on with the loop",
      );
    }
  }

  async #answer(content: Uint8Array | ChunkSource): Promise<boolean> {
    try {
      const sent = content instanceof Uint8Array
        ? await this.#writeBytes(content)
        : await this.#writeChunks(content);
      return sent && await this.#end();
    } catch (error) {
      const others = this.isOthersFault(error);
      // A body made of the request fails with it: there may be more to say.
      if (others && this.bytesWritten === 0) this.#answerBegun = false;
      else this.cut("failed", error, "writing");
      if (others) return false;
      throw error;
    }
  }

  /** Writes all of `bytes`: `false` if the peer is gone. */
  #writeBytes(bytes: Uint8Array): Promise<boolean> {
    // Bytes at hand do not depend on the rest of the request.
    this.#discard();
    return this.#writeAll(bytes);
  }

  /** Writes all that `source` makes: `false` if the peer is gone. */
  async #writeChunks(source: ChunkSource): Promise<boolean> {
    try {
      for (;;) {
        const chunk = await this.untilCut(source.next());
        if (chunk === undefined) return true;
        // Without a write nothing would give the limits a turn.
        if (chunk.length === 0) await new Promise((done) => setImmediate(done));
        if (source.atHand || !this.#requestTaken) this.#discard();
        if (!await this.#writeAll(chunk)) break;
      }
    } catch (error) {
      source.cancel(error);
      throw error;
    }
    source.cancel(this.#cut?.error);
    return false;
  }

  #openWritable(): WritableStream<BodyChunk> {
    const begin = () => {
      if (this.#cut) throw this.#cut.error;
      if (this.#inPieces) return;
      this.#checkUnanswered();
      this.#inPieces = this.#answerBegun = true;
      if (!this.#requestTaken) this.#discard();
    };
    return new QuietWritableStream({
      write: async (chunk) => {
        begin();
        if (!await this.#writeAll(chunkBytes(chunk))) throw this.#cut?.error;
      },
      close: async () => {
        begin();
        if (!await this.#end()) throw this.#cut?.error;
      },
      abort: (reason = abortError("The response was aborted")) =>
        this.cut("failed", reason, "writing"),
    }, (closing) => {
      const closings = [this.#closingWritable, closing];
      this.#closingWritable = Promise.allSettled(closings);
    });
  }

  async #writeAll(bytes: Uint8Array): Promise<boolean> {
    const size = bytes.length;
    let written = size;
    for (let sent = 0; sent < size; sent += written) {
      if (written === 0 || bytes.length !== size) {
        throw new TypeError(
          "Cannot write the response: its buffer was detached meanwhile, send a copy",
        );
      }
      this.#waitBegins();
      this.#writes++;
      try {
        written = await this.#socket.write(
          sent === 0 ? bytes : bytes.subarray(sent),
        );
      } catch (error) {
        this.#peerFault("reset", "writing", error);
        return false;
      } finally {
        this.#writes--;
        this.#progress();
      }
      this.bytesWritten += written;
      if (this.#cut) return false;
    }
    return !this.#cut;
  }

  /** Whether somebody may yet read the rest of the request. */
  get #requestTaken(): boolean {
    return (this.#readable !== undefined || this.#bodyUsed) &&
      !this.#cancelled && !this.#tooLarge;
  }

  /** Reads and drops what the client still sends, so that it does not block. */
  #discard(): Promise<void> | undefined {
    return this.#requestEnded
      ? undefined
      : this.#discarding ??= this.#dropRest();
  }

  async #dropRest(): Promise<void> {
    this.#bodyUsed = true;
    this.#readableController?.error(
      this.#cut?.error ?? this.#tooLarge ??
        new TypeError(
          "The rest of the request was dropped: read it before you respond or close",
        ),
    );
    drain ??= new Uint8Array(READ_BUFFER_BYTES);
    try {
      for (;;) {
        const read = await this.#socket.read(drain);
        if (read === null) break;
        this.#progress();
        this.#discardBudget -= read;
        if (this.#discardBudget < 0) return;
      }
      this.#requestEnded = true;
    } catch {
      // Closed by us, or by a peer whose fault the writing side will meet.
    }
  }

  // Closing

  /** Sends our FIN, and closes as soon as the client has nothing left to say. */
  #end(): Promise<boolean> {
    return this.#ending ??= this.#sendFin();
  }

  async #sendFin(): Promise<boolean> {
    // After the client's FIN a close is ours, but TLS has yet to flush.
    if (!this.#requestEnded || "handshake" in this.#socket) {
      this.#waitBegins();
      this.#writes++;
      try {
        await this.#socket.closeWrite();
      } catch (error) {
        this.#peerFault("reset", "writing", error);
        return false;
      } finally {
        this.#writes--;
      }
    }
    if (this.#cut) return false;
    if (this.#requestEnded) this.#shut();
    else this.#linger();
    return true;
  }

  /** Tells the client why it is turned away, where there is anything to tell. */
  #refuse(): boolean {
    const { onRefuse } = this.#settings;
    const { outcome, error } = this.#cut ?? {};
    if (!onRefuse || outcome === "aborted") return false;
    // A handler may fail with such an error, too: that is no limit of ours.
    const timedOut = error instanceof TimeoutError && outcome !== "failed";
    const cause = this.#tooLarge ?? (timedOut ? error : undefined);
    if (!cause) return false;
    const silent = this.bytesWritten === 0 && this.#writes === 0;
    if (!silent || this.#ending || this.#over || this.#handshaking) {
      return false;
    }
    const text = onRefuse(cause);
    if (!text) return false;
    this.#answerBegun = true;
    this.#linger(encoder.encode(text));
    return true;
  }

  /** Lets the client take what we sent before its unread data resets it. */
  #linger(farewell?: Uint8Array): void {
    this.lingering = this.#lingerAway(farewell);
  }

  async #lingerAway(farewell?: Uint8Array): Promise<void> {
    const timer = setTimeout(
      () => this.#shut(),
      Math.min(this.#settings.lingerTimeout, MAX_TIMER_MS),
    );
    this.#discardBudget = MAX_LINGER_BYTES;
    try {
      const dropped = this.#discard();
      if (farewell) {
        for (let sent = 0; sent < farewell.length;) {
          sent += await this.#socket.write(farewell.subarray(sent));
        }
        await this.#socket.closeWrite();
      }
      await dropped;
    } catch {
      // The client left, or its time was up.
    } finally {
      clearTimeout(timer);
      this.#shut();
    }
  }

  #shut(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#socket.close();
    } catch {
      // The socket was closed behind our back: all the same.
    }
  }

  // Accounting

  #currentPhase(): Phase {
    if (this.#over) return "handling";
    if (this.#answerBegun) return "writing";
    return this.#reads > 0 ? "reading" : "handling";
  }

  /** Whether the socket is closed, or as good as that. */
  get #over(): boolean {
    return this.#closed || this.lingering !== undefined;
  }

  /** Called as a read or write begins: silence is counted from the first. */
  #waitBegins(): void {
    if (this.#reads + this.#writes === 0) this.#silentSince = performance.now();
  }

  /** Called as bytes move: whatever else is under way is not silent either. */
  #progress(): void {
    if (this.#reads + this.#writes > 0) this.#silentSince = performance.now();
  }

  #settle(outcome: Outcome, phase: Phase, error: unknown): void {
    this.#verdict ??= { outcome, phase, ...(error !== undefined && { error }) };
  }

  /** Cuts the exchange for what the peer did, and gives the error to throw. */
  #peerFault(outcome: Outcome, phase: Phase, error: unknown): unknown {
    if (!this.#closed) this.cut(outcome, error, phase);
    return this.#cut?.error ?? error;
  }
}

/** The reason of those who abort without giving one. */
export function abortError(message: string): DOMException {
  return new DOMException(message, "AbortError");
}

function movedOn(): TypeError {
  return new TypeError(
    "Cannot read the request: the exchange has moved on and the rest was " +
      "dropped, await the reading before you respond, close or go on",
  );
}

function outcomeOfRead(error: unknown): Outcome {
  const truncated = error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.InvalidData;
  return truncated ? "truncated" : "reset";
}
