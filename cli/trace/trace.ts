/**
 * The trace of the tool: a line of JSON for each thing that happens to a
 * connection. `docs/cli.md` documents the lines.
 *
 * @module
 */

import { printableJson } from "../../shared/printable.ts";
import type { Source } from "../../listening/accepting.ts";
import { tap, type Tapped } from "../../listening/tap.ts";
import type {
  Conn,
  ExchangeRecord,
  RequestStart,
  ServeOptions,
} from "../../server.ts";
import { createFile } from "../shared/files.ts";
import { LineQueue, type Losses } from "../log/line_queue.ts";
import type { Log } from "../log/log.ts";
import type { Observer } from "../shared/observer.ts";
import type { Socket } from "../../shared/socket.ts";
import { TracedConnection } from "./traced_connection.ts";
import { messageOf, serverName } from "../shared/wording.ts";

/** The version of the format. */
const VERSION = 1;

/**
 * Makes a trace.
 *
 * @param path Where to write it. An existing file is overwritten.
 * @param log Is told if that fails later on.
 * @throws {Error} If it cannot be written.
 */
export async function traceTo(path: string, log: Log): Promise<Trace> {
  const file = await createFile(path);
  return new Trace(file, {
    describe: (lines) => JSON.stringify({ event: "lost", lines }),
    onFault: (error) => log.fault(error, `cannot write ${path} any more: `),
  });
}

/** Writes what it is told, and what it sees on the sockets. */
export class Trace implements Observer, AsyncDisposable {
  readonly #file: Deno.FsFile;
  readonly #lines: LineQueue;
  /** By the address object of the socket, which the server passes on. */
  readonly #connections = new WeakMap<Deno.Addr, TracedConnection>();
  /** Those that are let in, by their numbers. */
  readonly #begun = new Map<number, TracedConnection>();
  /** Where connections come from now. */
  #source: Source | undefined;
  #options: Pick<ServeOptions, "readAhead" | "until"> = {};
  #start = performance.now();
  /** Who has its turn, and how many wait for theirs. */
  #handled: TracedConnection | undefined;
  readonly #ready = new Set<TracedConnection>();
  #isDraining = false;

  /**
   * @param file Where to write. It is closed in the end.
   * @param losses What to do about lines that cannot be written.
   */
  constructor(file: Deno.FsFile, losses: Losses) {
    this.#file = file;
    this.#lines = new LineQueue(file, losses);
  }

  /** Options of a server that let its sockets be seen. */
  watching<Options extends Pick<ServeOptions, "readAhead" | "until">>(
    options: Options,
  ): Options & Tapped {
    this.#options = options;
    return { ...options, [tap]: (source: Source) => this.#watch(source) };
  }

  listening(addr: Deno.Addr): void {
    this.#start = performance.now();
    this.#write(this.#start, "listening", {
      version: VERSION,
      server: serverName(addr),
      startedAt: performance.timeOrigin + this.#start,
      readAhead: this.#options.readAhead ?? 0,
    });
  }

  accept(addr: Deno.Addr, id: number): void {
    const connection = this.#connections.get(addr);
    if (!connection) return;
    connection.begin(id);
    this.#begun.set(id, connection);
  }

  request({ id, bytesRead: bytes }: RequestStart): void {
    const connection = this.#begun.get(id);
    // A request that begins in its turn is streamed. It is not complete.
    if (!connection || connection === this.#handled) return;
    const end = connection.hasFin ? "fin" : this.#otherEnd;
    connection.tell("request", { bytes, end });
    if (this.#handled || this.#ready.size > 0) connection.tell("waiting");
    this.#ready.add(connection);
  }

  turn({ id }: Conn): void {
    const connection = this.#begun.get(id);
    if (!connection) return;
    this.#ready.delete(connection);
    this.#handled = connection;
    connection.tell("turn");
  }

  exchange(record: ExchangeRecord): void {
    const connection = this.#connections.get(record.peerAddr);
    this.#begun.delete(record.id);
    if (!connection) return;
    this.#ready.delete(connection);
    if (this.#handled === connection) this.#handled = undefined;
    // One that was cut in line has not begun.
    connection.begin(record.id);
    connection.tell("exchange", {
      outcome: record.outcome,
      phase: record.phase,
      bytesIn: record.bytesRead,
      bytesOut: record.bytesWritten,
      end: record.end,
      durationMs: rounded(record.durationMs),
      waitedMs: rounded(record.waitedMs),
      error: "error" in record ? messageOf(record.error) : undefined,
    });
    if (!connection.isClosed) connection.tell("lingering");
  }

  acceptError(error: Error): void {
    this.#tell("accept-error", { error: messageOf(error) });
  }

  stopping(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#tell("draining");
  }

  stopped(exchanges: number): void {
    this.#tell("stopped", { exchanges });
  }

  /** Waits until all is written. If nobody reads it, not for long. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines.end();
    this.#file.close();
  }

  /** What has ended a complete request if there was no FIN. */
  get #otherEnd(): ExchangeRecord["end"] {
    const { until } = this.#options;
    if (typeof until === "function") return "length";
    return typeof until === "string" || until instanceof Uint8Array
      ? "delimiter"
      : "idle";
  }

  #watch(source: Source): void {
    this.#source = source;
    const accept = source.accept.bind(source);
    const close = source.close.bind(source);
    const leave = source.leave?.bind(source);
    source.accept = async () => this.#traced(await accept());
    if (leave) {
      source.leave = () => leave().map((socket) => this.#traced(socket));
    }
    let isClosed = false;
    source.close = () => {
      close();
      // One that another one has replaced refuses nobody.
      if (this.#source === source && !isClosed) this.#tell("refusing");
      isClosed = true;
    };
  }

  #traced(socket: Socket): Socket {
    const connection = new TracedConnection(
      socket,
      (ms, event, fields) => this.#write(ms, event, fields),
    );
    this.#connections.set(connection.remoteAddr, connection);
    return socket;
  }

  #tell(event: string, fields?: object): void {
    this.#write(performance.now(), event, fields);
  }

  #write(at: number, event: string, fields?: object): void {
    const ms = rounded(at - this.#start);
    this.#lines.add(printableJson({ ms, event, ...fields }));
  }
}

/** Milliseconds, to the microsecond. */
function rounded(milliseconds: number): number {
  return Number(milliseconds.toFixed(3));
}
