/**
 * The kinds of flags: what their values are, and how they are read.
 *
 * @module
 */

import { type HostPort, readHostPort } from "../shared/host_port.ts";
import { AddressRanges } from "./address_ranges.ts";

/** One flag, under its name in a {@linkcode FlagTable}. */
export interface Flag<T = unknown> {
  /** What it does, in a few words. */
  readonly help: string;
  /** Its one-letter name. */
  readonly short?: string;
  /** The placeholder of its value in the help. Switches have none. */
  readonly value?: string | undefined;
  /** Its default as one would write it. Used only in the help. */
  readonly default?: string;
  /** What a value may be, to follow "must be". */
  readonly expected: string;
  /** Whether it must not be given twice: of other flags, the last one counts. */
  readonly isList?: boolean;
  /** Whether its value may be empty. */
  readonly mayBeEmpty?: boolean;
  /** What a shell offers as a value. */
  readonly completes?: "files" | "directories" | readonly string[];
  /** Parses its value: `undefined` if it is wrong. */
  read(text: string): T | undefined;
  /** What is wrong with a value, to follow what was received. */
  explain?(text: string): string;
}

/** Flags by name, in the order of the help. */
export type FlagTable = Readonly<Record<string, Flag>>;

/** The values of the flags of a table; `undefined` if they were not given. */
export type Flags<Table extends FlagTable> = {
  readonly [Name in keyof Table]: ReturnType<Table[Name]["read"]>;
};

/** Details of a flag besides its kind. */
export type Details = Pick<
  Flag,
  "short" | "default" | "completes" | "mayBeEmpty"
>;

/** A kind of flags whose values are read in the same way. */
function kind<T>(
  value: string | undefined,
  expected: string,
  read: (text: string) => T | undefined,
) {
  return (help: string, details: Details = {}): Flag<T> => ({
    ...{ help, value, expected, ...details, read },
  });
}

/** A flag without a value. */
export const toggle = kind(undefined, "alone", () => true);

/** A flag whose value is a number of bytes: `1000`, `64KiB`, `1.5MiB`, `none`. */
export const size = kind(
  "SIZE",
  'a size such as 1000, 64KiB, 16MiB or "none"',
  (text) =>
    readQuantity(text, { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }),
);

/** A flag whose value is a place on TCP: `127.0.0.1:9090`, `:9090` for any host. */
export const hostPort = kind<HostPort>(
  "HOST:PORT",
  "HOST:PORT, [IPV6]:PORT or :PORT",
  (text) => readHostPort(text.startsWith(":") ? `0.0.0.0${text}` : text),
);

/** A flag whose value is ranges of addresses: `10.0.0.0/8,2001:db8::/32,::1`. */
export function ranges(help: string): Flag<AddressRanges> {
  const expected =
    "addresses or ranges such as 192.0.2.1,10.0.0.0/8,2001:db8::/32";
  const { read, explain } = AddressRanges;
  const flag = kind("CIDR[,CIDR…]", expected, read)(help);
  return { ...flag, explain, isList: true };
}

/** A flag whose value is permission bits, in octal: `660`. */
export const mode = kind(
  "MODE",
  "permission bits in octal, such as 660",
  (text) => /^0?[0-7]{3}$/.test(text) ? parseInt(text, 8) : undefined,
);

/** A flag whose value is bytes: text with `\r`, `\n`, `\t`, `\0`, `\\`, `\xHH`. */
export const bytes = kind(
  "TEXT",
  String.raw`text, perhaps with \r, \n, \t, \0, \\ or \xHH`,
  readBytes,
);

/** A flag whose value is any text. */
export function text(
  value: string,
  help: string,
  expected: string,
  details?: Details,
): Flag<string> {
  return kind(value, expected, (text) => text)(help, details);
}

/** A flag whose value is the path of a file. */
export function path(value: string, help: string, expected: string) {
  return text(value, help, expected, { completes: "files" });
}

/** A flag whose value is one of a few words. */
export function oneOf<const Word extends string>(
  value: string,
  words: readonly Word[],
  help: string,
  details: Details = {},
): Flag<Word> {
  const expected = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  const read = (text: string) =>
    words.find((word) => word === text.toLowerCase());
  return kind(value, expected, read)(help, { completes: words, ...details });
}

/** A flag whose value is a whole number from `min` to `max`. */
export function integer(
  value: string,
  help: string,
  { min, max, ...details }: Details & { min: number; max?: number },
): Flag<number> {
  const most = max === undefined ? "" : ` to ${max}`;
  const read = (text: string) => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    const isInRange = number >= min &&
      number <= (max ?? Number.MAX_SAFE_INTEGER);
    return isInRange ? number : undefined;
  };
  return kind(value, `a whole number from ${min}${most}`, read)(help, details);
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
  const expected = `a time such as ${zero ? "0, " : ""}700ms, 10s` +
    (endless ? ', 1m or "none"' : " or 1m");
  return kind("TIME", expected, (text) => {
    const units = { s: 1000, ms: 1, m: 60_000, h: 3_600_000 };
    const time = readQuantity(text, units);
    const isAllowed = (zero || time !== 0) && (endless || time !== Infinity);
    return isAllowed ? time : undefined;
  })(help, details);
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

const escapes: Readonly<Record<string, number>> = {
  r: 13,
  n: 10,
  t: 9,
  "0": 0,
  "\\": 92,
};

function readBytes(text: string): Uint8Array | undefined {
  const parts = text.split(/(\\(?:x[\da-f]{2}|.?))/is);
  const bytes = parts.flatMap((part, i) => {
    if (i % 2 === 0) return Array.from(new TextEncoder().encode(part));
    const isHex = part.length === 4;
    return isHex ? parseInt(part.slice(2), 16) : escapes[part.slice(1)] ?? NaN;
  });
  return bytes.some(Number.isNaN) ? undefined : Uint8Array.from(bytes);
}
