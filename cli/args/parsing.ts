/**
 * Reading a command line.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { nearestName } from "../../shared/nearest.ts";
import type { Flags, FlagTable } from "./flag_kinds.ts";

/** The error of arguments that cannot be understood. It names the argument. */
export class UsageError extends Error {
  override readonly name = "UsageError";
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
  isOperand: (arg: string) => boolean,
): CommandLine<Table> {
  const names = Object.keys(table);
  const isSwitch = (name: string) => table[name]?.value === undefined;
  let problem: UsageError | undefined;
  const complain = (message: string) => {
    problem ??= new UsageError(
      message.endsWith("?") ? message : `${message}. See --help`,
    );
  };

  const given = withEmptyValues(table, args);
  const parsed: Record<string, unknown> & { _: unknown[]; "--": string[] } =
    parseArgs(given, {
      "--": true,
      boolean: names.filter(isSwitch),
      string: ["_", ...names.filter((name) => !isSwitch(name))],
      alias: Object.fromEntries(
        names.map((name) => [name, table[name]?.short ?? []]),
      ),
      unknown(arg, name) {
        if (name !== undefined) complain(unknownFlag(arg, names));
      },
    });
  const ends = args.indexOf("--");
  const seen = new Set<string>();
  for (const arg of ends < 0 ? args : args.slice(0, ends)) {
    const [, dashes, name = "", value] = /^(--?)(\w[^=]+)(=?)/.exec(arg) ?? [];
    // The parser uses this name itself.
    if (/^--_(?:=|$)/.test(arg)) throw new UsageError(unknownFlag(arg, names));
    if (!Object.hasOwn(table, name)) continue;
    // With one dash the parser would take it for several one-letter flags.
    if (dashes === "-") throw new UsageError(unknownFlag(arg, names));
    if (value && isSwitch(name)) complain(`--${name} takes no value`);
    if (table[name]?.isList && seen.has(name)) {
      complain(`--${name} is given twice. Give it once, with commas.`);
    }
    seen.add(name);
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
      values[name] = flag.read(String(value));
      if (values[name] !== undefined) continue;
      throw new UsageError(
        `--${name} must be ${flag.expected}, received "${value}"` +
          (flag.explain?.(String(value)) ?? ""),
      );
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

function unknownFlag(arg: string, names: string[]): string {
  const flag = arg.replace(/=.*/s, "");
  const name = nearestName(flag.replace(/^-+/, ""), names);
  return name === undefined
    ? `unknown flag ${flag}`
    : `unknown flag ${flag}. Did you mean --${name}?`;
}

/** What was given: all values but those that are `undefined`. */
export function defined<Values extends object>(
  values: Values,
): { [Name in keyof Values]?: Exclude<Values[Name], undefined> } {
  const given = Object.entries(values).filter(([, value]) =>
    value !== undefined
  );
  return Object.fromEntries(given) as ReturnType<typeof defined<Values>>;
}
