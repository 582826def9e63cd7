// What the commands of the fuzzer, the soak and the benchmark have in common: how
// they read their options, what they say of wrong ones, and how they are stopped.

import { parseArgs } from "@std/cli/parse-args";
import { messageOf } from "./errors.ts";

/** Arguments that cannot be understood: its message names the one at fault. */
export class UsageError extends Error {}

/** The options of a command line, by their names. */
export class Flags {
  readonly #values: Record<string, unknown>;

  /** Takes those that are named, and `--help`. */
  constructor(
    args: string[],
    { boolean = [], string, alias = {} }: {
      boolean?: string[];
      string: string[];
      alias?: Record<string, string>;
    },
  ) {
    this.#values = parseArgs(args, {
      boolean: ["help", ...boolean],
      string,
      alias: { help: "h", ...alias },
      unknown: (arg) => {
        throw new UsageError(`unexpected argument "${arg}". See --help`);
      },
    });
  }

  has(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return value === undefined ? undefined : String(value);
  }

  /** As `text()`, for what must not be empty. */
  file(name: string): string | undefined {
    const file = this.text(name);
    if (file !== "") return file;
    throw new UsageError(`--${name} needs a value: a file`);
  }

  /** As `file()`, for what can be written, which is tried at once. */
  output(name: string): string | undefined {
    const file = this.file(name);
    if (file === undefined) return undefined;
    try {
      Deno.openSync(file, { append: true, create: true }).close();
      return file;
    } catch (error) {
      throw new UsageError(
        `--${name} cannot be written to ${file}: ${messageOf(error)}`,
      );
    }
  }

  /** Names with commas between them, all of which must be known. */
  names<Name extends string>(
    name: string,
    known: readonly Name[],
    otherwise: readonly Name[] = known,
  ): ReadonlySet<Name> {
    const named = this.text(name)?.split(",") ?? otherwise;
    const stranger = named.find((one) => !known.includes(one as Name));
    if (stranger === undefined) return new Set(named as Name[]);
    throw new UsageError(
      `--${name} knows no "${stranger}", but ${known.join(", ")}`,
    );
  }

  number(
    name: string,
    isRight: (value: number) => boolean,
    expected: string,
    otherwise: number,
  ): number {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    const value = Number(text);
    if (text.trim() !== "" && isRight(value)) return value;
    const flag = name.length === 1 ? `-${name}` : `--${name}`;
    throw new UsageError(`${flag} must be ${expected}, received "${text}"`);
  }

  whole(name: string, min: number, max: number, otherwise: number): number {
    return this.number(
      name,
      (value) => Number.isInteger(value) && value >= min && value <= max,
      `a whole number from ${min} to ${max}`,
      otherwise,
    );
  }

  seconds(name: string, max: number, otherwise: number): number {
    return this.number(
      name,
      (value) => value > 0 && value <= max,
      `over 0, and at most ${max}`,
      otherwise,
    );
  }
}

/** Seeds, one after the other. */
export interface Seeds {
  first: number;
  count: number;
}

/**
 * Reads `--seed` and `--count`. A seed that is named is tried alone, unless told
 * otherwise.
 *
 * @param many How many are tried if none is named: the first is drawn then.
 */
export function seedsOf(flags: Flags, many: number): Seeds {
  const isDrawn = flags.text("seed") === undefined;
  return {
    first: flags.whole("seed", 0, 2 ** 32 - 1, Date.now() % 2 ** 31),
    count: flags.whole("count", 1, 1e9, isDrawn ? many : 1),
  };
}

/** A command: what it is called, what it takes, and what it does. */
export interface Command<Options> {
  name: string;
  help: string;
  flags: ConstructorParameters<typeof Flags>[1];
  read: (flags: Flags) => Options;
  /** Gives its exit status. */
  run: (options: Options) => Promise<number>;
}

/** Runs a command, or says in one line why it cannot, and ends the process. */
export async function execute<Options>(
  { name, help, flags, read, run }: Command<Options>,
): Promise<never> {
  let options: Options;
  try {
    const given = new Flags(Deno.args, flags);
    if (given.has("help")) {
      console.log(help);
      Deno.exit(0);
    }
    options = read(given);
  } catch (error) {
    console.error(`${name}: ${messageOf(error)}`);
    Deno.exit(2);
  }
  Deno.exit(await run(options));
}

/** Does something when the process is told to end. */
export function onStop(act: (signal: Deno.Signal) => void): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    if (Deno.build.os === "windows" && signal === "SIGTERM") continue;
    Deno.addSignalListener(signal, () => act(signal));
  }
}
