/**
 * Reading options, for all functions that take some.
 *
 * @module
 */

import { findUnknown, isOfClass } from "./option_names.ts";
import { inspected } from "./thrown.ts";
import { isAbstract, noAbstractSockets } from "./unix_path.ts";

/**
 * Options as they were given. Each one is read once, by its name, whether it is the
 * object's own, inherited or a getter. Each method returns a value only if that is
 * right, and throws otherwise.
 *
 * @typeParam Options All options by name.
 */
export class OptionReader<Options extends object> {
  readonly #doing: string;
  readonly #given: object;
  readonly #prefix: string;
  readonly #values = new Map<PropertyKey, unknown>();
  readonly #callbacks = new Set<keyof Options>();
  readonly #elsewhere = new Set<keyof Options>();

  /**
   * @param doing What fails if they are wrong, to follow "Cannot".
   * @param given The options as given.
   * @param prefix What precedes the names in messages, if they belong to another
   * option.
   * @throws {TypeError} If they are no options.
   */
  constructor(doing: string, given: unknown, prefix = "") {
    this.#doing = doing;
    this.#prefix = prefix;
    if (!mayHoldOptions(given)) {
      throw this.fault(
        `the options must be an object, received ${inspected(given)}` +
          (given instanceof Promise ? ". Await it." : ""),
      );
    }
    this.#given = given;
  }

  has(name: keyof Options): boolean {
    return this.value(name) !== undefined;
  }

  /**
   * An option as it was given.
   *
   * @throws {unknown} What a getter throws.
   */
  value(name: keyof Options): unknown {
    if (!this.#values.has(name)) {
      const given = this.#given as Record<PropertyKey, unknown>;
      this.#values.set(name, given[name]);
    }
    return this.#values.get(name);
  }

  string(name: keyof Options): string | undefined {
    return this.#typed(name, "string") as string | undefined;
  }

  boolean(name: keyof Options): boolean | undefined {
    return this.#typed(name, "boolean") as boolean | undefined;
  }

  /** A function, which is called with the options as `this`. */
  callback<Name extends keyof Options>(
    name: Name,
  ): Options[Name] | undefined {
    this.#callbacks.add(name);
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (!isCallable(value)) throw this.wrong(name, "a function");
    return value.bind(this.#given) as Options[Name];
  }

  signal(name: keyof Options): AbortSignal | undefined {
    const value = this.value(name);
    if (value === undefined || isSignal(value)) return value;
    throw this.wrong(name, "an AbortSignal");
  }

  /** A whole number, or `Infinity` if there is no `max`. */
  integer(name: keyof Options, min: number, max: number): number | undefined {
    const value = this.#number(name);
    if (value === undefined) return undefined;
    const unlimited = max === Infinity && value === Infinity;
    const isInRange = value >= min && value <= max;
    if (isInRange && (Number.isInteger(value) || unlimited)) return value;
    throw this.#outOfRange(
      name,
      max === Infinity
        ? `a whole number from ${min}, or Infinity`
        : `a whole number from ${min} to ${max}`,
    );
  }

  /** A time in milliseconds. */
  time(name: keyof Options, min: number): number | undefined {
    const value = this.#number(name);
    if (value === undefined || value >= min) return value;
    throw this.#outOfRange(
      name,
      `at least ${min} (milliseconds), or Infinity`,
    );
  }

  /** A name or an address to listen on, or to connect to. */
  hostname(name: keyof Options): string | undefined {
    const hostname = this.string(name);
    if (hostname !== "") return hostname;
    throw this.wrong(name, "a name or an address");
  }

  /** The path of a socket, which need not exist. */
  path(name: keyof Options): string | undefined {
    const path = this.string(name);
    if (path === undefined) return path;
    if (Deno.build.os === "windows") {
      throw this.fault(
        `option "${String(name)}" needs a Unix socket, which Deno does not ` +
          "have on Windows",
      );
    }
    if (isAbstract(path)) {
      throw this.fault(
        `option "${String(name)}" cannot be ${inspected(path)}: ` +
          noAbstractSockets(path),
      );
    }
    if (/^[^\0]*[^\0/]$/.test(path)) return path;
    throw this.wrong(name, "the path of a socket");
  }

  strings(name: keyof Options): string[] | undefined {
    return this.#array(name, "strings", (item) => typeof item === "string");
  }

  numbers(name: keyof Options): number[] | undefined {
    return this.#array(name, "numbers", (item) => typeof item === "number");
  }

  /** Two options that need each other. */
  pair(one: keyof Options, other: keyof Options): void {
    if (this.has(one) === this.has(other)) return;
    const [given, missing] = this.has(one) ? [one, other] : [other, one];
    throw this.fault(
      `option ${this.#quoted(given)} needs ${this.#quoted(missing)}: ` +
        "TLS takes both",
    );
  }

  /** What an address says of itself, if one was given. */
  transport(name: keyof Options, expected: string): void {
    const transport = this.value(name);
    if (transport === undefined || transport === expected) return;
    throw this.wrong(name, `"${expected}" here`);
  }

  /** The error of two options that exclude each other. */
  exclusive(one: keyof Options, other: keyof Options): TypeError {
    return this.fault(
      `options ${this.#quoted(one)} and ${this.#quoted(other)} exclude each ` +
        "other. Give only one of them.",
    );
  }

  /** The error of an option of the wrong type. */
  wrong(name: keyof Options, expected: string): TypeError {
    return this.fault(this.#expectation(name, expected));
  }

  /** The error of options that are wrong in some other way. */
  fault(message: string): TypeError {
    return new TypeError(`Cannot ${this.#doing}: ${message}`);
  }

  /** Options that are the value of an option. */
  nested<Inner extends object>(name: keyof Options): OptionReader<Inner> {
    const prefix = `${this.#prefix}${String(name)}.`;
    return new OptionReader(this.#doing, this.value(name), prefix);
  }

  /** Says that an option is given in another way: it is not missing. */
  isGivenElsewhere(name: keyof Options): void {
    this.#elsewhere.add(name);
  }

  /**
   * Checks that there is no other option than those that were read.
   *
   * @param otherNames What others call some options.
   * @throws {TypeError} If there is one.
   */
  checkNames(
    otherNames: Readonly<Record<string, (keyof Options)[]>> = {},
  ): void {
    const all = [...this.#values.keys()]
      .filter((name) => typeof name === "string");
    const missing = all.filter((name) =>
      this.#values.get(name) === undefined &&
      !this.#elsewhere.has(name as keyof Options)
    );
    const missingCallbacks = missing.filter((name) =>
      this.#callbacks.has(name as keyof Options)
    );
    const known = { all, missing, missingCallbacks };
    const unknown = findUnknown(this.#given, known);
    if (!unknown) return;
    const { name } = unknown;
    const meant = Object.hasOwn(otherNames, name)
      ? otherNames[name]
      : unknown.meant;
    const names = [meant ?? []].flat().map((one) => this.#quoted(one));
    throw this.fault(
      `there is no option ${this.#quoted(name)}` +
        (names.length > 0 ? `. Did you mean ${names.join(" or ")}?` : "") +
        (isOfClass(this.#given)
          ? `${
            names.length > 0 ? " Otherwise name" : ". Name"
          } it #${name} if it is ` +
            "a member of your own."
          : ""),
    );
  }

  #typed(name: keyof Options, type: string): unknown {
    const value = this.value(name);
    if (value === undefined || typeof value === type) return value;
    throw this.wrong(name, `a ${type}`);
  }

  #number(name: keyof Options): number | undefined {
    return this.#typed(name, "number") as number | undefined;
  }

  /** A copy of an array, in which nothing is left out. */
  #array<Item>(
    name: keyof Options,
    kind: string,
    isOne: (item: unknown) => item is Item,
  ): Item[] | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    const items = Array.isArray(value) ? Array.from(value) : [undefined];
    if (items.every(isOne)) return items;
    throw this.wrong(name, `an array of ${kind}`);
  }

  #outOfRange(name: keyof Options, expected: string): RangeError {
    return new RangeError(
      `Cannot ${this.#doing}: ${this.#expectation(name, expected)}`,
    );
  }

  #expectation(name: keyof Options, expected: string): string {
    return `option ${this.#quoted(name)} must be ${expected}, received ` +
      inspected(this.value(name));
  }

  #quoted(name: PropertyKey): string {
    return `"${this.#prefix}${String(name)}"`;
  }
}

/** Whether something can be options: an object, and no collection or promise. */
export function mayHoldOptions(value: unknown): value is object {
  return typeof value === "object" && value !== null &&
    !(Symbol.iterator in value) && !(value instanceof Promise);
}

/** Whether something can be called. A class can not, only with `new`. */
export function isCallable(value: unknown): value is CallableFunction {
  return typeof value === "function" &&
    !/^class\b/.test(Function.prototype.toString.call(value));
}

/** Whether something is a signal, and no object that merely inherits from one. */
function isSignal(value: unknown): value is AbortSignal {
  try {
    return value instanceof AbortSignal && typeof value.aborted === "boolean";
  } catch {
    return false;
  }
}
