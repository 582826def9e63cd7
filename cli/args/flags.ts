/**
 * Flags: how they are written, parsed and explained. The flags themselves are
 * in `commands.ts`; help and completions are made from the same table.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { type HostPort, readHostPort } from "../shared/host_port.ts";
import { nearest } from "../../shared/nearest.ts";

/** The error of arguments that cannot be understood. It names the argument. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** One flag, under its name in a {@linkcode FlagTable}. */
export interface Flag<T = unknown> {
  /** What it does, in a few words. */
  readonly help: string;
  /** Its one-letter name. */
  readonly short?: string;
  /** The placeholder of its value in the help. Switches have none. */
  readonly value?: string;
  /** Its default as one would write it. Used only in the help. */
  readonly default?: string;
  /** What a value may be, to follow "must be". */
  readonly expected: string;
  /** Whether its value may be empty. */
  readonly mayBeEmpty?: boolean;
  /** What a shell offers as a value. */
  readonly completes?: "files" | "directories" | readonly string[];
  /** Parses its value: `undefined` if it is wrong. */
  read(text: string): T | undefined;
}

/** Flags by name, in the order of the help. */
export type FlagTable = Readonly<Record<string, Flag>>;

/** The values of the flags of a table; `undefined` if they were not given. */
export type Flags<Table extends FlagTable> = {
  readonly [Name in keyof Table]: ReturnType<Table[Name]["read"]>;
};

/** What was given: all values but those that are `undefined`. */
export function defined<Values extends object>(
  values: Values,
): { [Name in keyof Values]?: Exclude<Values[Name], undefined> } {
  const given = Object.entries(values).filter(([, value]) =>
    value !== undefined
  );
  return Object.fromEntries(given) as ReturnType<typeof defined<Values>>;
}

/** Details of a flag besides its kind. */
export type Details = Pick<
  Flag,
  "short" | "default" | "completes" | "mayBeEmpty"
>;

/** A flag without a value. */
export function toggle(help: string, details: Details = {}): Flag<boolean> {
  return { help, expected: "alone", ...details, read: () => true };
}

/** A flag whose value is any text. */
export function text(
  value: string,
  help: string,
  expected: string,
  details: Details = {},
): Flag<string> {
  return { help, value, expected, ...details, read: (text) => text };
}

/** A flag whose value is one of a few words. */
export function oneOf<const Word extends string>(
  value: string,
  words: readonly Word[],
  help: string,
  details: Details = {},
): Flag<Word> {
  return {
    help,
    value,
    expected: `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`,
    completes: words,
    ...details,
    read: (text) => words.find((word) => word === text.toLowerCase()),
  };
}

/** A flag whose value is a whole number from `min` to `max`. */
export function integer(
  value: string,
  help: string,
  expected: string,
  { min, max, ...details }: Details & { min: number; max: number },
): Flag<number> {
  return {
    help,
    value,
    expected,
    ...details,
    read(text) {
      const number = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
      return number >= min && number <= max ? number : undefined;
    },
  };
}

/** A flag whose value is a number of bytes: `1000`, `64KiB`, `1.5MiB`, `none`. */
export function size(help: string, details: Details = {}): Flag<number> {
  return {
    help,
    value: "SIZE",
    expected: 'a size such as 1000, 64KiB, 16MiB or "none"',
    ...details,
    read: (text) =>
      readQuantity(text, { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }),
  };
}

/**
 * A flag whose value is a time, which is read as milliseconds: `700ms`, `10s`,
 * `1.5m`, `10` (seconds), `none`.
 */
export function time(
  help: string,
  { zero = false, endless = true, ...details }: Details & {
    zero?: boolean;
    endless?: boolean;
  } = {},
): Flag<number> {
  const examples = `${zero ? "0, " : ""}700ms, 10s`;
  return {
    help,
    value: "TIME",
    expected: `a time such as ${examples}${
      endless ? ', 1m or "none"' : " or 1m"
    }`,
    ...details,
    read(text) {
      const units = { s: 1000, ms: 1, m: 60_000, h: 3_600_000 };
      const time = readQuantity(text, units);
      const isAllowed = (zero || time !== 0) && (endless || time !== Infinity);
      return isAllowed ? time : undefined;
    },
  };
}

/** A flag whose value is a place on TCP: `127.0.0.1:9090`, `:9090` for any host. */
export function hostPort(help: string, details: Details = {}): Flag<HostPort> {
  return {
    help,
    value: "HOST:PORT",
    expected: "HOST:PORT, [IPV6]:PORT or :PORT",
    ...details,
    read: (text) =>
      readHostPort(text.startsWith(":") ? `0.0.0.0${text}` : text),
  };
}

/** A flag whose value is permission bits, in octal: `660`. */
export function mode(help: string, details: Details = {}): Flag<number> {
  return {
    help,
    value: "MODE",
    expected: "permission bits in octal, such as 660",
    ...details,
    read: (text) => /^0?[0-7]{3}$/.test(text) ? parseInt(text, 8) : undefined,
  };
}

const escapes: Readonly<Record<string, number>> = {
  r: 13,
  n: 10,
  t: 9,
  "0": 0,
  "\\": 92,
};

/** A flag whose value is bytes: text with `\r`, `\n`, `\t`, `\0`, `\\`, `\xHH`. */
export function bytes(
  value: string,
  help: string,
  details: Details = {},
): Flag<Uint8Array> {
  return {
    help,
    value,
    expected: String.raw`text, perhaps with \r, \n, \t, \0, \\ or \xHH`,
    ...details,
    read(text) {
      const parts = text.split(/(\\(?:x[\da-f]{2}|.?))/is);
      const bytes = parts.flatMap((part, i) => {
        if (i % 2 === 0) return Array.from(new TextEncoder().encode(part));
        const isHex = part.length === 4;
        return isHex
          ? parseInt(part.slice(2), 16)
          : escapes[part.slice(1)] ?? NaN;
      });
      return bytes.some(Number.isNaN) ? undefined : Uint8Array.from(bytes);
    },
  };
}

/** A parsed command line. */
export interface CommandLine<Table extends FlagTable> {
  /** The values of the flags that were given. */
  readonly flags: Flags<Table>;
  /** The arguments that are not flags. */
  readonly operands: string[];
  /** The arguments after `--`, if it is there. */
  readonly rest: string[] | undefined;
}

/**
 * Parses a command line. If it asks for help or the version (flags of these
 * names), the values of other flags are not checked.
 *
 * @param table All flags.
 * @param args The arguments.
 * @param isOperand Whether an argument that is not a flag is allowed.
 * @throws {UsageError} If a flag is unknown, or its value cannot be read.
 */
export function parseFlags<Table extends FlagTable>(
  table: Table,
  args: string[],
  isOperand: (arg: string) => boolean = () => false,
): CommandLine<Table> {
  const names = Object.keys(table);
  const isSwitch = (name: string) => table[name]?.value === undefined;
  let problem: UsageError | undefined;
  const complain = (message: string) => {
    problem ??= new UsageError(
      message.endsWith("?") ? message : `${message}, see --help`,
    );
  };

  const given = withEmptyValues(table, args);
  const parsed: Record<string, unknown> & { _: unknown[]; "--": string[] } =
    parseArgs(given, {
      "--": true,
      boolean: names.filter(isSwitch),
      string: ["_", ...names.filter((name) => !isSwitch(name))],
      alias: Object.fromEntries(
        Object.entries(table).flatMap(([name, { short }]) =>
          short === undefined ? [] : [[name, short]]
        ),
      ),
      unknown(arg, name) {
        if (name !== undefined) complain(unknownFlag(arg, names));
      },
    });
  const ends = args.indexOf("--");
  for (const arg of ends < 0 ? args : args.slice(0, ends)) {
    const [, dashes, name = "", value] = /^(--?)(\w[^=]+)(=?)/.exec(arg) ?? [];
    // The parser uses this name itself.
    if (/^--_(?:=|$)/.test(arg)) throw new UsageError(unknownFlag(arg, names));
    if (!Object.hasOwn(table, name)) continue;
    // With one dash the parser would take it for several one-letter flags.
    if (dashes === "-") throw new UsageError(unknownFlag(arg, names));
    if (value && isSwitch(name)) complain(`--${name} takes no value`);
  }
  const operands = parsed._.map(String);
  for (const arg of operands) {
    if (!isOperand(arg)) complain(`unexpected argument "${arg}"`);
  }

  const values: Record<string, unknown> = {};
  const asksForInfo = (parsed["help"] || parsed["version"]) === true;
  for (const [name, flag] of Object.entries(table)) {
    const value = parsed[name];
    if (value === undefined || value === false) continue;
    if (value === true) values[name] = true;
    else if (isSwitch(name)) complain(`--${name} takes no value`);
    else if (!asksForInfo) {
      // The parser takes a value that is not there for an empty one.
      const mayBeEmpty = flag.mayBeEmpty && given.includes(`--${name}=`);
      if (value === "" && !mayBeEmpty) {
        throw new UsageError(`--${name} needs a value: ${flag.expected}`);
      }
      values[name] = readValue(name, flag, String(value));
    }
  }
  // Thrown last: that a flag lacks its value is the more helpful message.
  if (problem) throw problem;
  return {
    flags: values as Flags<Table>,
    operands,
    rest: ends < 0 ? undefined : parsed["--"],
  };
}

/** The arguments, where the parser would take an empty value for an operand. */
function withEmptyValues(table: FlagTable, args: string[]): string[] {
  const isEmptyValue = (at: number) =>
    args[at] === "" && table[args[at - 1]?.slice(2) ?? ""]?.mayBeEmpty;
  return args.flatMap((arg, at) => {
    if (isEmptyValue(at)) return [];
    return isEmptyValue(at + 1) ? [`${arg}=`] : [arg];
  });
}

function readValue<T>(name: string, flag: Flag<T>, text: string): T {
  const value = flag.read(text);
  if (value !== undefined) return value;
  throw new UsageError(
    `--${name} must be ${flag.expected}, received "${text}"`,
  );
}

function unknownFlag(arg: string, names: string[]): string {
  const flag = arg.replace(/=.*/s, "");
  const name = nearest(flag.replace(/^-+/, ""), names);
  return name === undefined
    ? `unknown flag ${flag}`
    : `unknown flag ${flag}, did you mean --${name}?`;
}

/** Parses a number and one of `units`. The first unit may be left out. */
function readQuantity(
  text: string,
  units: Record<string, number>,
): number | undefined {
  if (text === "none") return Infinity;
  const [, number, unit] = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(text) ?? [];
  const scale = Object.entries(units).find(([name], index) =>
    unit === "" ? index === 0 : unit?.toLowerCase() === name.toLowerCase()
  )?.[1];
  if (number === undefined || scale === undefined) return undefined;
  const quantity = Number(number) * scale;
  const whole = Math.round(quantity);
  // 1.1 seconds are whole milliseconds, despite binary rounding.
  if (Math.abs(quantity - whole) > 1e-6) return undefined;
  return Number.isSafeInteger(whole) ? whole : undefined;
}
