/**
 * What monitoring asks for, over HTTP: `/healthz` and `/metrics`.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { metrics } from "../../metrics/mod.ts";
import { expose } from "../../metrics/exposition.ts";
import {
  type Conn,
  type ExchangeRecord,
  serve,
  type Server,
} from "../../server.ts";
import { backlogOf } from "./backlog.ts";
import type { HostPort } from "../shared/host_port.ts";
import type { Log } from "../log/log.ts";
import { trying } from "../shared/files.ts";
import type { Observer } from "../shared/observer.ts";
import { ensurePermissions } from "../shared/permissions.ts";
import { processMetrics } from "./process_metrics.ts";
import { nameOf } from "../shared/wording.ts";

/**
 * How many requests are read at a time. Others wait in the backlog, where they take
 * no descriptor from the server.
 */
const MAX_CONNECTIONS = 8;
/** How long a request and its response may take. */
const DEADLINE_MS = 5000;
const MAX_HEAD_BYTES = 16_384;

const reasons = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  500: "Internal Server Error",
  503: "Service Unavailable",
} as const;

const plain = "text/plain; charset=utf-8";

const help = {
  halfclose_handling_seconds:
    "How long the exchange under way has been handled so far, or 0.",
  halfclose_backlog_connections: "Connections that wait in the backlog.",
  halfclose_build_info: "The versions of the tool and of Deno.",
};

/** Answers on a socket of its own, so that nobody loses a turn to it. */
export class Monitor implements Observer, AsyncDisposable {
  readonly #http: Server<Deno.NetAddr>;
  readonly #numbers = metrics();
  readonly #log: Log;
  #server: Server | undefined;
  #turn: { id: number; since: number } | undefined;
  #isStopping = false;
  /** Whether the last accept succeeded. */
  #isAccepting = true;

  private constructor(place: HostPort, log: Log) {
    this.#log = log;
    this.#http = serve({
      ...place,
      until: "\r\n\r\n",
      readAhead: MAX_CONNECTIONS - 1,
      maxRequestBytes: MAX_HEAD_BYTES,
      deadline: DEADLINE_MS,
      allow: () => this.#isAccepting = true,
      onAcceptError: (error) => {
        if (!this.#isAccepting) return;
        this.#isAccepting = false;
        log.fault(error, "cannot answer requests to --metrics for now: ");
      },
      onError: (error) => {
        log.fault(error, "cannot answer a request to --metrics: ");
        return response(500, "internal server error\n");
      },
    }, async (conn) => {
      const head = String.fromCharCode(...await conn.bytes());
      if (head === "") return;
      const answer = await this.#answer(head);
      if (!head.startsWith("HEAD ")) return answer;
      return answer.slice(0, answer.indexOf("\r\n\r\n") + 4);
    });
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
    await ensurePermissions(action, { name: "net", host: name });
    return await trying(action, () => new Monitor(place, log));
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
    this.#http.close();
    await this.#http.finished;
  }

  async #answer(head: string): Promise<string> {
    const { method, pathname } = parsed(head);
    if (pathname === undefined) return response(400, "bad request\n");
    const isKnown = pathname === "/healthz" || pathname === "/metrics";
    if (!isKnown) return response(404, "not found\n");
    if (method !== "GET" && method !== "HEAD") {
      return response(405, "method not allowed\n", plain, ["Allow: GET, HEAD"]);
    }
    if (pathname === "/healthz") {
      return this.#isStopping
        ? response(503, "stopping\n")
        : response(200, "ok\n");
    }
    const text = this.#numbers.text(this.#server) +
      await this.#details() + processMetrics();
    return response(200, text, this.#numbers.contentType);
  }

  /** What the library does not know of. */
  async #details(): Promise<string> {
    const addr = this.#server?.addr;
    const turn = this.#turn;
    return expose(help, {
      halfclose_handling_seconds: turn === undefined
        ? 0
        : (performance.now() - turn.since) / 1000,
      halfclose_backlog_connections: addr?.transport === "tcp"
        ? await backlogOf(addr.port)
        : undefined,
      halfclose_build_info: [{
        labels: { version: config.version, deno: Deno.version.deno },
        value: 1,
      }],
    });
  }
}

/** What is asked for: no path if the head of the request is malformed. */
function parsed(head: string): { method?: string; pathname?: string } {
  const [, method, target = ""] =
    /^([-!#$%&'*+.^_`|~\w]+) (\S+) HTTP\/1\.[01]\r\n/.exec(head) ?? [];
  const [, host = "localhost"] = /\r\nhost:[ \t]*(.*)/i.exec(head) ?? [];
  if (method === undefined || !head.endsWith("\r\n\r\n")) return {};
  const url = URL.parse(target, `http://${host.trim()}`);
  return url ? { method, pathname: url.pathname } : {};
}

function response(
  status: keyof typeof reasons,
  body: string,
  type = plain,
  fields: string[] = [],
): string {
  return [
    `HTTP/1.1 ${status} ${reasons[status]}`,
    `Date: ${new Date().toUTCString()}`,
    `Content-Type: ${type}`,
    `Content-Length: ${new TextEncoder().encode(body).length}`,
    "Connection: close",
    ...fields,
    "",
    body,
  ].join("\r\n");
}
