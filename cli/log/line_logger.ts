/**
 * The lines of the log: which are written, and how, as text and as JSON. This is
 * the one place that knows `@std/log`.
 *
 * @module
 */

import { BaseHandler } from "@std/log/base-handler";
import { type LevelName, LogLevels } from "@std/log/levels";
import { Logger, LogRecord } from "@std/log/logger";
import { printable, printableJson } from "../../shared/printable.ts";
import { standardError } from "./standard_error.ts";

/** How the lines are written. */
export type LogFormat = "text" | "json";

/** The lowest level that is logged. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What JSON has of a line besides its message. It leaves out `undefined`. */
export type Fields = Readonly<Record<string, unknown>>;

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

const NAME = "halfclose";

const colors: Partial<Record<string, number>> = {
  DEBUG: 90,
  INFO: 34,
  WARN: 33,
  ERROR: 31,
};

/** Writes those lines to standard error that are of a level or above. */
export class LineLogger extends BaseHandler {
  /** Where lines pass by first. */
  diversion: Diversion | undefined;
  readonly #logger: Logger;

  constructor(format: LogFormat, level: LogLevel) {
    const levelName = level.toUpperCase() as LevelName;
    super(levelName, { formatter: format === "json" ? asJson : asText });
    this.#logger = new Logger(NAME, levelName, { handlers: [this] });
    standardError.losses = { describe: (lines) => this.#loss(lines) };
  }

  /**
   * Adds a line, if its level is logged.
   *
   * @param level Its level.
   * @param event What it is about.
   * @param message What has happened.
   * @param fields What JSON has besides.
   */
  add(
    level: LogLevel,
    event: string,
    message: string | (() => string),
    fields: Fields | (() => Fields) = {},
  ): void {
    const words = typeof message === "string" ? () => message : message;
    this.#logger[level](words, event, fields);
  }

  override handle(record: LogRecord): void {
    const text = this.format(record);
    const isKept = this.diversion?.({
      time: record.datetime,
      level: record.levelName,
      event: `${record.args[0]}`,
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
        args: ["lost", { lines }],
        level: LogLevels.WARN,
        loggerName: NAME,
      }),
    );
  }
}

const usesColors = !Deno.noColor && Deno.stderr.isTerminal();

let lastTime = { ms: NaN, text: "" };

/** A time as ISO 8601. Under load, many lines are of the same millisecond. */
export function isoOf(time: number): string {
  const ms = Math.floor(time);
  if (ms !== lastTime.ms) lastTime = { ms, text: new Date(ms).toISOString() };
  return lastTime.text;
}

function asJson(record: LogRecord): string {
  const [event, fields] = record.args as [string, Fields | (() => Fields)];
  return printableJson({
    time: isoOf(record.datetime.getTime()),
    level: record.levelName,
    event,
    msg: record.msg,
    ...typeof fields === "function" ? fields() : fields,
  });
}

function asText(record: LogRecord): string {
  const { levelName, datetime, msg, args: [, fields] } = record;
  const color = colors[levelName] ?? 39;
  const level = usesColors ? `\x1b[${color}m${levelName}\x1b[39m` : levelName;
  const line = `${isoOf(datetime.getTime())} ${level} ${printable(msg)}`;
  const { stack } = fields as Fields;
  if (typeof stack !== "string") return line;
  const trace = stack.split("\n").map((entry) => `    ${printable(entry)}`);
  return [line, ...trace].join("\n");
}
