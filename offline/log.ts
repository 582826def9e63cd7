/**
 * Stand-in for the part of `@std/log` that this project uses, and for its
 * submodules `base-handler`, `levels` and `logger`.
 *
 * @module
 */

import { styleText } from "node:util";

/** The log levels by name. */
export const LogLevels = {
  NOTSET: 0,
  DEBUG: 10,
  INFO: 20,
  WARN: 30,
  ERROR: 40,
  CRITICAL: 50,
} as const;

/** The name of a log level. */
export type LevelName = keyof typeof LogLevels;

/** The number of a log level. */
export type LogLevel = typeof LogLevels[LevelName];

/** The names of all log levels, from the lowest to the highest. */
export const LogLevelNames = Object.keys(LogLevels) as LevelName[];

/** Returns the level called `name`. */
export function getLevelByName(name: LevelName): LogLevel {
  if (Object.hasOwn(LogLevels, name)) return LogLevels[name];
  throw new Error(`Cannot get log level: no level named ${name}`);
}

/** Returns the name of `level`. */
export function getLevelName(level: LogLevel): LevelName {
  const name = LogLevelNames.find((name) => LogLevels[name] === level);
  if (name) return name;
  throw new Error(`Cannot get log level: no name for level: ${level}`);
}

/** What a {@linkcode LogRecord} is made of. */
export interface LogRecordOptions {
  /** The message. */
  msg: string;
  /** What was logged along with the message. */
  args: unknown[];
  /** The level of the message. */
  level: LogLevel;
  /** The name of the logger. */
  loggerName: string;
}

/** One logged message. */
export class LogRecord {
  /** The message. */
  readonly msg: string;
  /** The level of the message. */
  readonly level: number;
  /** The name of the level. */
  readonly levelName: string;
  /** The name of the logger. */
  readonly loggerName: string;
  readonly #args: unknown[];
  readonly #time = Date.now();

  /** Makes the record of a message logged now. */
  constructor(options: LogRecordOptions) {
    this.msg = options.msg;
    this.level = options.level;
    this.levelName = getLevelName(options.level);
    this.loggerName = options.loggerName;
    this.#args = [...options.args];
  }

  /** What was logged along with the message (a copy). */
  get args(): unknown[] {
    return [...this.#args];
  }

  /** When the message was logged (a copy). */
  get datetime(): Date {
    return new Date(this.#time);
  }
}

/** Turns a record into the text that a handler logs. */
export type FormatterFunction = (logRecord: LogRecord) => string;

/** Options of {@linkcode BaseHandler}. */
export interface BaseHandlerOptions {
  /** Formats the messages; by default as level and message. */
  formatter?: FormatterFunction;
}

/** A place where messages go, from a certain level on. */
export abstract class BaseHandler {
  #level: LogLevel;
  /** Formats the messages. */
  formatter: FormatterFunction;

  /** Makes a handler for messages of the level `levelName` and above. */
  constructor(levelName: LevelName, options: BaseHandlerOptions = {}) {
    this.#level = getLevelByName(levelName);
    this.formatter = options.formatter ??
      (({ levelName, msg }) => `${levelName} ${msg}`);
  }

  /** The lowest level that is logged. */
  get level(): LogLevel {
    return this.#level;
  }
  set level(level: LogLevel) {
    this.levelName = getLevelName(level);
  }

  /** The name of the lowest level that is logged. */
  get levelName(): LevelName {
    return getLevelName(this.#level);
  }
  set levelName(levelName: LevelName) {
    this.#level = getLevelByName(levelName);
  }

  /** Formats and logs a record, unless it is below this handler's level. */
  handle(logRecord: LogRecord): void {
    if (logRecord.level >= this.level) this.log(this.format(logRecord));
  }

  /** Returns the text to log for a record. */
  format(logRecord: LogRecord): string {
    return this.formatter(logRecord);
  }

  /** Logs a formatted message. */
  abstract log(msg: string): void;

  /** Called before the handler is used. */
  setup(): void {}

  /** Called when the handler is no longer used. */
  destroy(): void {}

  /** Calls {@linkcode BaseHandler.destroy}. */
  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** Options of {@linkcode ConsoleHandler}. */
export interface ConsoleHandlerOptions extends BaseHandlerOptions {
  /** Whether to color messages by their level; `true` by default. */
  useColors?: boolean;
}

const styles: Partial<Record<string, Parameters<typeof styleText>[0]>> = {
  INFO: "blue",
  WARN: "yellow",
  ERROR: "red",
  CRITICAL: ["bold", "red"],
};

/** Logs to the console. */
export class ConsoleHandler extends BaseHandler {
  readonly #useColors: boolean;

  /** Makes a handler for messages of the level `levelName` and above. */
  constructor(levelName: LevelName, options: ConsoleHandlerOptions = {}) {
    super(levelName, options);
    this.#useColors = (options.useColors ?? true) && !Deno.noColor;
  }

  /** Returns the text to log for a record, in the color of its level. */
  override format(logRecord: LogRecord): string {
    const text = super.format(logRecord);
    const style = styles[logRecord.levelName];
    return this.#useColors && style
      ? styleText(style, text, { validateStream: false })
      : text;
  }

  /** Prints a formatted message. */
  log(msg: string): void {
    console.log(msg);
  }
}

/** Any function. */
export type GenericFunction = (...args: never[]) => unknown;

type Message<T> = (T extends GenericFunction ? never : T) | (() => T);

/** A method of {@linkcode Logger} that logs at one level. */
interface LogMethod {
  /** Logs what `msg` returns, which is called only if the level is enabled. */
  <T>(msg: () => T, ...args: unknown[]): T | undefined;
  /** Logs `msg` and returns it. */
  <T>(msg: T extends GenericFunction ? never : T, ...args: unknown[]): T;
}

/** Options of {@linkcode Logger}. */
export interface LoggerOptions {
  /** Where the messages go. */
  handlers?: BaseHandler[];
}

/** Passes messages from a certain level on to its handlers. */
export class Logger {
  #level: LogLevel;
  /** Where the messages go. */
  handlers: BaseHandler[];
  /** The name of the logger. */
  readonly loggerName: string;

  /** Logs at the level `DEBUG`. */
  readonly debug: LogMethod = this.#at(LogLevels.DEBUG);
  /** Logs at the level `INFO`. */
  readonly info: LogMethod = this.#at(LogLevels.INFO);
  /** Logs at the level `WARN`. */
  readonly warn: LogMethod = this.#at(LogLevels.WARN);
  /** Logs at the level `ERROR`. */
  readonly error: LogMethod = this.#at(LogLevels.ERROR);
  /** Logs at the level `CRITICAL`. */
  readonly critical: LogMethod = this.#at(LogLevels.CRITICAL);

  /** Makes a logger for messages of the level `levelName` and above. */
  constructor(
    loggerName: string,
    levelName: LevelName,
    options: LoggerOptions = {},
  ) {
    this.#level = getLevelByName(levelName);
    this.loggerName = loggerName;
    this.handlers = options.handlers ?? [];
  }

  /** The lowest level that is logged. */
  get level(): LogLevel {
    return this.#level;
  }
  set level(level: LogLevel) {
    if (!Object.values(LogLevels).includes(level)) {
      throw new TypeError(`Invalid log level: ${level}`);
    }
    this.#level = level;
  }

  /** The name of the lowest level that is logged. */
  get levelName(): LevelName {
    return getLevelName(this.#level);
  }
  set levelName(levelName: LevelName) {
    this.#level = getLevelByName(levelName);
  }

  #at(level: LogLevel): LogMethod {
    return <T>(msg: Message<T>, ...args: unknown[]) => {
      const lazy = msg instanceof Function;
      if (level < this.level) return lazy ? undefined : msg;
      const value = lazy ? msg() : msg;
      const { loggerName } = this;
      const record = new LogRecord({
        msg: text(value),
        args,
        level,
        loggerName,
      });
      for (const handler of this.handlers) handler.handle(record);
      return value;
    };
  }
}

function text(value: unknown): string {
  if (value instanceof Error) return String(value.stack);
  if (typeof value === "function") return "undefined";
  if (typeof value !== "object" || value === null) return String(value);
  const properties = Object.entries(value).map(([key, property]) =>
    `"${key}":${
      typeof property === "string" ? `"${property}"` : text(property)
    }`
  );
  return `{${properties.join(",")}}`;
}

/** Settings of one logger, for {@linkcode setup}. */
export interface LoggerConfig {
  /** The lowest level that is logged; `"INFO"` by default. */
  level?: LevelName;
  /** The names of the handlers. */
  handlers?: string[];
}

/** Settings for {@linkcode setup}. */
export interface LogConfig {
  /** The handlers by name. */
  handlers?: Record<string, BaseHandler>;
  /** The loggers by name. */
  loggers?: Record<string, LoggerConfig>;
}

const defaultHandlers = { default: new ConsoleHandler("INFO") };
const defaultLoggers = { default: { handlers: ["default"] } };
const activeHandlers = new Map<string, BaseHandler>();
const activeLoggers = new Map<string, Logger>();

/** Replaces all handlers and loggers, except that a default one stays. */
export function setup(config: LogConfig): void {
  for (const handler of activeHandlers.values()) handler.destroy();
  activeHandlers.clear();
  activeLoggers.clear();

  const handlers = { ...defaultHandlers, ...config.handlers };
  for (const [name, handler] of Object.entries(handlers)) {
    handler.setup();
    activeHandlers.set(name, handler);
  }
  const loggers: Record<string, LoggerConfig> = {
    ...defaultLoggers,
    ...config.loggers,
  };
  for (
    const [name, { level = "INFO", handlers = [] }] of Object.entries(loggers)
  ) {
    const known = handlers.flatMap((handler) =>
      activeHandlers.get(handler) ?? []
    );
    activeLoggers.set(name, new Logger(name, level, { handlers: known }));
  }
}

/** Returns the logger `name`; one that was not set up logs nothing. */
export function getLogger(name?: string): Logger {
  const key = name || "default";
  const logger = activeLoggers.get(key) ?? new Logger(key, "NOTSET");
  activeLoggers.set(key, logger);
  return logger;
}

setup({});
