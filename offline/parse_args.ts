/**
 * Stand-in for the part of `@std/cli/parse-args` that this project uses.
 *
 * @module
 */

/** One name or several. */
type Names<T extends string = string> = T | readonly T[];

/** The other names of flags. */
type Aliases = Readonly<Record<string, Names>>;

/** Options of {@linkcode parseArgs}. */
export interface ParseOptions<
  TBoolean extends boolean | string = boolean | string,
  TString extends string = string,
  TCollect extends string = string,
  TNegatable extends string = string,
  TDefault extends object = Record<string, unknown>,
  TAlias extends Aliases = Aliases,
  TDash extends boolean | undefined = boolean | undefined,
> {
  /** Whether to keep what comes after `--` apart, under the key `"--"`. */
  "--"?: TDash;
  /** Other names of flags; a value is set under each of them. */
  alias?: TAlias;
  /** Flags without a value, or `true` for every flag with two dashes. */
  boolean?: TBoolean | readonly Extract<TBoolean, string>[];
  /** Flags whose values are gathered in arrays. */
  collect?: Names<TCollect>;
  /** Values of flags that are not given. */
  default?: TDefault;
  /** Flags that can be set to `false` with `--no-` before their name. */
  negatable?: Names<TNegatable>;
  /** Whether to leave alone what follows the first positional argument. */
  stopEarly?: boolean;
  /** Flags whose values stay strings even if they look like numbers. */
  string?: Names<TString>;
  /** Called for arguments that no option names; `false` drops them. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** The names among `T`, unless it is any text. */
type Known<T> = string extends T ? never : Extract<T, string>;

type Flags<
  TBoolean extends string,
  TString extends string,
  TCollect extends string,
  TNegatable extends string,
> =
  & { [K in Exclude<TBoolean, TCollect>]: boolean }
  & { [K in Exclude<TString, TCollect>]?: string | Off<K, TNegatable> }
  & { [K in TBoolean & TCollect]: boolean[] }
  & { [K in TString & TCollect]: string[] | Off<K, TNegatable> }
  & {
    [K in Exclude<TCollect, TBoolean | TString>]:
      | unknown[]
      | Off<K, TNegatable>;
  };

type Off<TName, TNegatable> = TName extends TNegatable ? false : never;

type WithDefaults<TFlags, TDefault> =
  & Omit<TFlags, keyof TDefault>
  & {
    [K in keyof TDefault]: K extends keyof TFlags
      ? TDefault[K] | NonNullable<TFlags[K]>
      : unknown;
  };

type WithAliases<TFlags, TAlias> = {
  [K in keyof TFlags as K | OtherNames<K, TAlias>]: TFlags[K];
};

type OtherNames<TName, TAlias> = TName extends keyof TAlias
  ? TAlias[TName] extends Names<infer Other> ? Other : never
  : never;

/** What {@linkcode parseArgs} returns for the flags `TFlags`. */
export type Args<
  TFlags = Record<never, never>,
  TDash extends boolean | undefined = undefined,
> =
  & TFlags
  & Record<string, unknown>
  & { _: (string | number)[] }
  & (TDash extends true ? { "--": string[] } : Record<never, never>);

/** Parses command line arguments into an object of flags. */
export function parseArgs<
  TBoolean extends boolean | string = never,
  TString extends string = never,
  TCollect extends string = never,
  TNegatable extends string = never,
  TDefault extends object = Record<never, never>,
  const TAlias extends Aliases = Record<never, never>,
  TDash extends boolean | undefined = undefined,
>(
  args: readonly string[],
  options?: ParseOptions<
    TBoolean,
    TString,
    TCollect,
    TNegatable,
    TDefault,
    TAlias,
    TDash
  >,
): Args<
  WithAliases<
    WithDefaults<
      Flags<Known<TBoolean>, Known<TString>, Known<TCollect>, TNegatable>,
      TDefault
    >,
    TAlias
  >,
  TDash
>;
export function parseArgs(
  args: readonly string[],
  options: ParseOptions = {},
): unknown {
  const others = new Map<string, string[]>();
  for (const [name, names] of Object.entries(options.alias ?? {})) {
    const group = [name, ...list(names)];
    for (const one of group) {
      others.set(one, group.filter((other) => other !== one));
    }
  }
  const named = (names: Names = []) =>
    new Set(list(names).flatMap((name) => [name, ...others.get(name) ?? []]));

  const allBoolean = options.boolean === true;
  const booleans = named(
    typeof options.boolean === "boolean" ? [] : options.boolean,
  );
  const strings = named(options.string);
  const collected = named(options.collect);
  const negatable = named(options.negatable);

  const dashes = args.indexOf("--");
  const queue = args.slice(0, dashes < 0 ? args.length : dashes);
  const afterDashes = dashes < 0 ? [] : args.slice(dashes + 1);
  const positional: (string | number)[] = [];
  const flags: Record<string, unknown> = {};

  function isKnown(name: string, arg: string): boolean {
    return [booleans, strings, collected, others].some((set) =>
      set.has(name)
    ) || (allBoolean && arg.startsWith("--") && !arg.includes("="));
  }

  function set(
    name: string,
    value: string | boolean,
    arg: string,
    gather = collected.has(name),
  ): void {
    if (!isKnown(name, arg) && options.unknown?.(arg, name, value) === false) {
      return;
    }
    const typed = typeof value === "string" && !strings.has(name)
      ? numberIfNumeric(value)
      : value;
    for (const key of [name, ...others.get(name) ?? []]) {
      const before = flags[key];
      if (gather && Array.isArray(before)) before.push(typed);
      else flags[key] = gather ? [typed] : typed;
    }
  }

  /** Sets a flag that has no value attached; it may be the next argument. */
  function setFromNext(name: string, arg: string, nextIsFlag: boolean): void {
    const next = queue[0];
    if (next && !nextIsFlag && !booleans.has(name)) {
      set(name, next, arg);
      queue.shift();
    } else if (next === "true" || next === "false") {
      set(name, next === "true", arg);
      queue.shift();
    } else {
      set(name, strings.has(name) ? "" : true, arg);
    }
  }

  function parseLong(arg: string): void {
    const negated = arg.startsWith("--no-") && arg.length > "--no-".length;
    const body = arg.slice(negated ? "--no-".length : "--".length);
    const equals = body.indexOf("=", 1);
    if (equals > 0) {
      const name = body.slice(0, equals);
      const value = body.slice(equals + 1);
      set(name, booleans.has(name) ? value !== "false" : value, arg);
    } else if (negated && negatable.has(body)) {
      set(body, false, arg, false);
    } else {
      const nextIsFlag = allBoolean || queue[0]?.startsWith("-") === true;
      setFromNext(arg.slice("--".length), arg, nextIsFlag);
    }
  }

  /** Parses `-p`, a group like `-hV`, and values attached to the last flag. */
  function parseShort(arg: string): void {
    for (let at = 1; at < arg.length - 1; at++) {
      const name = arg.charAt(at);
      const value = attachedValue(name, arg.slice(at + 1));
      if (value !== undefined) return set(name, value, arg);
      set(name, strings.has(name) ? "" : true, arg);
    }
    setFromNext(arg.slice(-1), arg, /^--?[^-]/.test(queue[0] ?? ""));
  }

  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    if (arg.startsWith("--")) {
      parseLong(arg);
    } else if (arg.startsWith("-") && arg !== "-") {
      parseShort(arg);
    } else {
      if (options.unknown?.(arg) !== false) {
        positional.push(strings.has("_") ? arg : numberIfNumeric(arg));
      }
      if (options.stopEarly) positional.push(...queue.splice(0));
    }
  }

  const setMissing = (name: string, value: unknown) => {
    if (!Object.hasOwn(flags, name)) flags[name] = value;
  };
  for (const [name, value] of Object.entries(options.default ?? {})) {
    setMissing(name, value);
    others.get(name)?.forEach((other) => setMissing(other, value));
  }
  for (const name of booleans) {
    setMissing(name, collected.has(name) ? [] : false);
  }
  for (const name of strings) {
    if (collected.has(name)) setMissing(name, []);
  }

  if (options["--"]) return { ...flags, _: positional, "--": afterDashes };
  return { ...flags, _: [...positional, ...afterDashes] };
}

function list<T extends string>(names: Names<T>): readonly T[] {
  return typeof names === "string" ? [names] : names;
}

function numberIfNumeric(value: string): string | number {
  const number = Number(value);
  return value.trim() !== "" && Number.isFinite(number) ? number : value;
}

/** The value of the short flag `name` in what follows it, if that is one. */
function attachedValue(name: string, rest: string): string | undefined {
  if (rest === "-") return rest;
  if (rest === "=") return "";
  if (/[A-Za-z]/.test(name)) {
    const equals = rest.indexOf("=");
    if (equals >= 0 && equals < rest.length - 1) return rest.slice(equals + 1);
    if (/\d\.?$/.test(rest)) return rest;
  }
  return rest.length > 1 && /^\W/.test(rest) ? rest : undefined;
}
