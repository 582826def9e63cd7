/**
 * What monitoring asks for, over HTTP: `/healthz` and `/metrics`.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { metrics } from "../metrics/mod.ts";
import { expose, type Family, single } from "../metrics/exposition.ts";
import { Pause } from "../listening/pause.ts";
import type { Conn, ExchangeRecord, Server } from "../server.ts";
import { backlogOf } from "./backlog.ts";
import type { HostPort } from "./host_port.ts";
import type { Log } from "./log.ts";
import type { Observer } from "./observer.ts";
import { ensurePermission } from "./permissions.ts";
import { processMetrics } from "./process_metrics.ts";
import { messageOf, nameOf } from "./wording.ts";

/** How long to wait before answering again, if no descriptor is left. */
const RETRY_MS = 1000;

/** Answers on a socket of its own, so that nobody loses a turn to it. */
export class Monitor implements Observer, AsyncDisposable {
  #http: Deno.HttpServer<Deno.NetAddr>;
  /** Resolves when it answers no more. */
  readonly #closed: Promise<void>;
  readonly #closing = new AbortController();
  /** Runs until it answers again. */
  #pause: Pause | undefined;
  readonly #numbers = metrics();
  readonly #log: Log;
  #server: Server | undefined;
  #turn: { id: number; since: number } | undefined;
  #isStopping = false;

  private constructor(place: HostPort, log: Log) {
    this.#log = log;
    this.#http = this.#serve(place);
    this.#closed = this.#keepServing(this.#http.addr);
  }

  #serve(place: HostPort): Deno.HttpServer<Deno.NetAddr> {
    return Deno.serve({
      ...place,
      signal: this.#closing.signal,
      onListen() {},
      handler: (request) => this.#answer(request),
      onError: (error) => {
        this.#log.fault(error, "cannot answer a request to --metrics: ");
        return plain(500, "internal server error");
      },
    });
  }

  /** Goes on after a shortage of descriptors, which ends a server of Deno's. */
  async #keepServing({ hostname, port }: Deno.NetAddr): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.#http.finished;
        return;
      } catch (error) {
        this.#log.fault(error, "cannot answer requests to --metrics for now: ");
      }
      this.#pause = new Pause(RETRY_MS);
      await this.#pause.ended;
      try {
        if (!this.#closing.signal.aborted) {
          this.#http = this.#serve({ hostname, port });
        }
      } catch {
        // Not yet: `finished` rejects again.
      }
    }
  }

  /**
   * Begins to answer.
   *
   * @param place Where to listen.
   * @param log Told of the address when the server listens.
   * @throws {Error} If that is not possible.
   */
  static async open(place: HostPort, log: Log): Promise<Monitor> {
    const name = nameOf({ transport: "tcp", ...place });
    const action = `serve --metrics on ${name}`;
    await ensurePermission({ name: "net", host: name }, action);
    try {
      return new Monitor(place, log);
    } catch (error) {
      throw new Error(`Cannot ${action}: ${messageOf(error)}`);
    }
  }

  /** From now on there is something to tell of. */
  listening(_addr: Deno.Addr, server: Server): void {
    this.#server = server;
    this.#log.metrics(this.#http.addr);
  }

  /** A turn has begun. */
  turn({ id }: Conn): void {
    this.#turn = { id, since: performance.now() };
  }

  /** Counts an exchange. */
  exchange(record: ExchangeRecord): void {
    if (record.id === this.#turn?.id) this.#turn = undefined;
    this.#numbers.callbacks.onExchange(record);
  }

  /** Counts an accept that failed. */
  acceptError(): void {
    this.#numbers.callbacks.onAcceptError();
  }

  /** From now on nobody new should be sent here. */
  stopping(): void {
    this.#isStopping = true;
  }

  /** Ends at once: somebody who does not read must not hold up the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#pause?.end();
    await this.#closed;
  }

  async #answer(request: Request): Promise<Response> {
    const { method } = request;
    const pathname = pathOf(request);
    if (pathname === undefined) return plain(400, "bad request");
    const isKnown = pathname === "/healthz" || pathname === "/metrics";
    if (!isKnown) return plain(404, "not found");
    if (!["GET", "HEAD"].includes(method)) {
      return plain(405, "method not allowed", { allow: "GET, HEAD" });
    }
    if (pathname === "/healthz") {
      return this.#isStopping ? plain(503, "stopping") : plain(200, "ok");
    }
    const text = this.#numbers.text(this.#server) +
      expose([...await this.#details(), ...processMetrics()]);
    return new Response(text, {
      headers: { "content-type": this.#numbers.contentType },
    });
  }

  /** What the library does not know of. */
  async #details(): Promise<Family[]> {
    const addr = this.#server?.addr;
    const backlog = addr?.transport === "tcp"
      ? await backlogOf(addr.port)
      : undefined;
    const turn = this.#turn;
    return [
      single(
        "gauge",
        "halfclose_handling_seconds",
        "How long the exchange under way has been handled so far, or 0.",
        turn === undefined ? 0 : (performance.now() - turn.since) / 1000,
      ),
      ...backlog === undefined ? [] : [single(
        "gauge",
        "halfclose_backlog_connections",
        "Connections that wait in the backlog.",
        backlog,
      )],
      {
        name: "halfclose_build_info",
        type: "gauge",
        help: "The versions of the tool and of Deno.",
        samples: [{
          labels: { version: config.version, deno: Deno.version.deno },
          value: 1,
        }],
      },
    ];
  }
}

/** The path that is asked for, unless `Host` or the target is malformed. */
function pathOf(request: Request): string | undefined {
  try {
    return new URL(request.url).pathname;
  } catch {
    return undefined;
  }
}

function plain(
  status: number,
  line: string,
  headers: Record<string, string> = {},
): Response {
  return new Response(`${line}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  });
}
