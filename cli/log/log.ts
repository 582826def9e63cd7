/**
 * The log of the tool, on standard error: the one place that knows `@std/log`.
 *
 * As text, a line is a time, a level and a message. As JSON, it is an object
 * with these fields:
 *
 * - `time` (ISO 8601), `level` (`"DEBUG"`, `"INFO"`, `"WARN"`, `"ERROR"`),
 *   `event` and `msg`, always;
 * - with the event `"listening"`: `server`, the address;
 * - with `"metrics"`: `url`, where they are;
 * - with `"accept"` (at `DEBUG`): `client`, which may be a proxy;
 * - with `"request"` (at `DEBUG`): `id` and `head`, its first 64 bytes, escaped;
 * - with `"exchange"`: `id`, `client`, `server`, `startedAt` (ISO 8601),
 *   `durationMs`, `waitedMs`, `bytesIn`, `bytesOut`, `end`, `phase`, `outcome`, and `error` if
 *   something went wrong, with `at`, its file, line and column, if a handler threw it; behind a proxy that names the client, `peer`, the proxy.
 *   Health checks are at `DEBUG`;
 * - with `"program"`, a line of a program's standard error: `id` and `line`;
 * - with `"fault"`: `error`, and `id` if it belongs to a connection; at `DEBUG`
 *   also `stack`;
 * - with `"stopping"`, if it goes on serving until then: `delayMs`;
 * - with `"reloaded"`: `renewed`, the names of what was read anew: `"module"`,
 *   `"certificate"`;
 * - with `"warning"`: nothing else;
 * - with `"lost"`: `lines`, how many were lost as standard error took no more;
 * - with `"stopped"`: `exchanges`, how many there were.
 *
 * `client` is `null` where clients have no address, and so is `peer`.
 *
 * @module
 */

import { BaseHandler, type BaseHandlerOptions } from "@std/log/base-handler";
import { type LevelName, LogLevels } from "@std/log/levels";
import { Logger, LogRecord } from "@std/log/logger";
import { printable, printableJson } from "../../shared/printable.ts";
import { stackOf } from "../../shared/thrown.ts";
import type { ExchangeRecord, Outcome, RequestStart } from "../../server.ts";
import type { Observer, Renewable } from "../shared/observer.ts";
import { standardError } from "./standard_error.ts";
import { reasonOf } from "../shared/reasons.ts";
import { messageOf, nameOf, quoted, sourceOf } from "../shared/wording.ts";

/** How the lines are written. */
export type LogFormat = "text" | "json";

/** The lowest level that is logged. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** A line of the log, for those who show it in their own way. */
export interface LogLine {
  /** When it was logged. */
  readonly time: Date;
  /** Its level, in capitals. */
  readonly level: string;
  /** What it is about. */
  readonly event: string;
  /** What has happened. It may have control characters. */
  readonly message: string;
  /** All of it, as it is written. */
  readonly text: string;
}

/** Is shown a line first. Returns whether it must not be written. */
export type Diversion = (line: LogLine) => boolean;

type Fields = Readonly<Record<string, unknown>>;

const NAME = "halfclose";

/** How much of a request is shown at `DEBUG`. */
const HEAD_BYTES = 64;

const colors: Partial<Record<string, number>> = {
  DEBUG: 90,
  INFO: 34,
  WARN: 33,
  ERROR: 31,
};

/** The level of outcomes that are not worth a warning. */
const levels: Partial<Record<Outcome, LogLevel>> = {
  ok: "info",
  "health-check": "debug",
};

/** The log: a method for each event. */
export class Log implements Observer {
  /** Whether events of the level `DEBUG` are logged. */
  readonly debugging: boolean;
  readonly #logger: Logger;
  readonly #handler: StandardError;
  /** Whether the last accept succeeded, as far as has been told. */
  #isAccepting = true;

  constructor(format: LogFormat, level: LogLevel) {
    const levelName = level.toUpperCase() as LevelName;
    this.debugging = level === "debug";
    const handler = this.#handler = new StandardError(levelName, {
      formatter: format === "json" ? asJson : asText(usesColors()),
    });
    this.#logger = new Logger(NAME, levelName, { handlers: [handler] });
  }

  /** Has every line pass by here first, or no longer. */
  divert(diversion: Diversion | undefined): void {
    this.#handler.diversion = diversion;
  }

  /** Writes a line that was kept from being written. */
  write(text: string): void {
    this.#handler.log(text);
  }

  /** The server listens. */
  listening(addr: Deno.Addr): void {
    const server = nameOf(addr);
    this.#logger.info(`listening on ${server}`, {
      event: "listening",
      server,
    });
  }

  /** Monitoring is answered there. */
  metrics(addr: Deno.NetAddr): void {
    const url = `http://${nameOf(addr)}/metrics`;
    this.#logger.info(`metrics on ${url}`, { event: "metrics", url });
  }

  /** A client, or a proxy, is let in. */
  accept(addr: Deno.Addr): void {
    this.#isAccepting = true;
    if (!this.debugging) return;
    this.#logger.debug(`accepted ${nameOf(addr)}`, {
      event: "accept",
      client: endOf(addr),
    });
  }

  /** A request, or its first bytes, has arrived. */
  request({ id, head: bytes }: RequestStart): void {
    if (!this.debugging) return;
    const head = quoted(bytes.subarray(0, HEAD_BYTES));
    const message = bytes.length > HEAD_BYTES
      ? `request ${id} begins with ${head}`
      : `request ${id} is ${head}`;
    this.#logger.debug(message, { event: "request", id, head });
  }

  /** An exchange is over. */
  exchange(record: ExchangeRecord): void {
    const level = levels[record.outcome] ?? "warn";
    this.#logger[level](() => describe(record), record);
  }

  /** No connection can be accepted for now: that is said once. */
  acceptError(error: Error): void {
    if (!this.#isAccepting) return;
    this.#isAccepting = false;
    this.fault(error, "cannot accept for now: ");
  }

  /** A program has written a line to its standard error. */
  program(id: number, name: string, line: string): void {
    this.#logger.info(`${name} for request ${id}: ${line}`, {
      event: "program",
      id,
      line,
    });
  }

  /**
   * Something went wrong. The stack is shown at `DEBUG` only.
   *
   * @param error What was thrown.
   * @param context What to put before its message.
   * @param id The number of the connection, if it belongs to one.
   */
  fault(error: unknown, context = "", id?: number): void {
    this.#logger.error(context + messageOf(error), this.#fault(error, id));
  }

  /** The stack of an error that is logged elsewhere. */
  trace(error: unknown, id?: number): void {
    if (!this.debugging) return;
    this.#logger.debug(messageOf(error), this.#fault(error, id));
  }

  /** The server was told to stop. That it does so at once goes without saying. */
  stopping(delay: number): void {
    if (delay === 0) return;
    this.#logger.info(`stopping in ${delay} ms: /healthz says 503`, {
      event: "stopping",
      delayMs: delay,
    });
  }

  /** What can be read anew was read anew. */
  reloaded(renewed: readonly Renewable[]): void {
    const what = renewed.map((name) => `the ${name}`).join(" and ");
    this.#logger.info(`reloaded ${what || "nothing"}`, {
      event: "reloaded",
      renewed,
    });
  }

  /** Something does not work as one might expect. */
  warn(message: string): void {
    this.#logger.warn(message, { event: "warning" });
  }

  /** The server has stopped. */
  stopped(exchanges: number): void {
    this.#logger.info(
      `stopped after ${exchanges} exchange${exchanges === 1 ? "" : "s"}`,
      { event: "stopped", exchanges },
    );
  }

  #fault(error: unknown, id: number | undefined): Fields {
    const stack = this.debugging ? stackOf(error) : undefined;
    return {
      event: "fault",
      ...(id !== undefined && { id }),
      error: messageOf(error),
      ...(stack !== undefined && { stack }),
    };
  }
}

class StandardError extends BaseHandler {
  diversion: Diversion | undefined;

  constructor(level: LevelName, options: BaseHandlerOptions) {
    super(level, options);
    standardError.losses = { describe: (lines) => this.#loss(lines) };
  }

  override handle(record: LogRecord): void {
    const text = this.format(record);
    const isKept = this.diversion?.({
      time: record.datetime,
      level: record.levelName,
      event: eventOf(record),
      message: record.msg,
      text,
    });
    if (!isKept) this.log(text);
  }

  override log(line: string): void {
    standardError.add(line);
  }

  /** Told at any level: what was lost may have been an error. */
  #loss(lines: number): string {
    const lost = `${lines} line${lines === 1 ? "" : "s"}`;
    return this.format(
      new LogRecord({
        msg: `${lost} of the log lost, as standard error took no more`,
        args: [{ event: "lost", lines }],
        level: LogLevels.WARN,
        loggerName: NAME,
      }),
    );
  }
}

function usesColors(): boolean {
  return !Deno.noColor && Deno.stderr.isTerminal();
}

/** What a line is about: an exchange comes as its record. */
function subjectOf({ args }: LogRecord): Fields | ExchangeRecord {
  return args[0] as Fields | ExchangeRecord;
}

function isExchange(
  subject: Fields | ExchangeRecord,
): subject is ExchangeRecord {
  return !("event" in subject);
}

function eventOf(record: LogRecord): string {
  const subject = subjectOf(record);
  return isExchange(subject) ? "exchange" : `${subject["event"]}`;
}

/** The fields of an exchange: JSON leaves out those that are `undefined`. */
function fieldsOf(record: ExchangeRecord): Fields {
  const { id, remoteAddr, localAddr, peerAddr } = record;
  const { durationMs, phase, outcome } = record;
  const isProxied = peerAddr !== remoteAddr;
  return {
    id,
    client: endOf(remoteAddr),
    peer: isProxied ? endOf(peerAddr) : undefined,
    server: endOf(localAddr),
    startedAt: isoOf(record.startedAt),
    durationMs: Number(durationMs.toFixed(3)),
    waitedMs: record.waitedMs > 0
      ? Number(record.waitedMs.toFixed(3))
      : undefined,
    bytesIn: record.bytesRead,
    bytesOut: record.bytesWritten,
    end: record.end,
    phase,
    outcome,
    error: "error" in record ? reasonOf(record.error) : undefined,
    at: outcome === "failed" ? sourceOf(record.error) : undefined,
  };
}

let lastTime = { ms: NaN, text: "" };

/** A time as ISO 8601. Under load, many lines are of the same millisecond. */
function isoOf(time: number): string {
  const ms = Math.floor(time);
  if (ms !== lastTime.ms) lastTime = { ms, text: new Date(ms).toISOString() };
  return lastTime.text;
}

function asJson(record: LogRecord): string {
  const subject = subjectOf(record);
  return printableJson({
    time: isoOf(record.datetime.getTime()),
    level: record.levelName,
    event: eventOf(record),
    msg: record.msg,
    // The event keeps its place.
    ...(isExchange(subject) ? fieldsOf(subject) : subject),
  });
}

function asText(colored: boolean): (record: LogRecord) => string {
  return (record) => {
    const { levelName, datetime, msg } = record;
    const color = colors[levelName] ?? 39;
    const level = colored ? `\x1b[${color}m${levelName}\x1b[39m` : levelName;
    const line = `${isoOf(datetime.getTime())} ${level} ${printable(msg)}`;
    const subject = subjectOf(record);
    const stack = isExchange(subject) ? undefined : subject["stack"];
    if (typeof stack !== "string") return line;
    const trace = stack.split("\n").map((entry) => `    ${printable(entry)}`);
    return [line, ...trace].join("\n");
  };
}

/** One line for an exchange: who, how much, how long, how it ended. */
function describe(record: ExchangeRecord): string {
  const { remoteAddr, bytesRead, bytesWritten, durationMs, outcome } = record;
  const reason = "error" in record ? `: ${reasonOf(record.error)}` : "";
  const source = outcome === "failed" ? sourceOf(record.error) : undefined;
  const end = outcome in levels
    ? outcome
    : `${outcome} while ${record.phase}${reason}` +
      (source === undefined ? "" : ` (at ${source})`);
  return `${nameOf(remoteAddr)} ${bytesRead} bytes in, ${bytesWritten} bytes ` +
    `out, ${durationMs.toFixed(1)} ms, ${end}`;
}

/** One end of a connection. On a Unix socket it rarely has a name. */
function endOf(addr: Deno.Addr): string | null {
  const named = addr.transport === "tcp" || ("path" in addr && addr.path);
  return named ? nameOf(addr) : null;
}
