/**
 * Stand-in for the part of `@std/assert` that this project uses.
 *
 * @module
 */

import { AssertionError as NodeAssertionError } from "node:assert/strict";
import { isDeepStrictEqual, stripVTControlCharacters } from "node:util";

/** What every failed assertion throws. */
export class AssertionError extends Error {
  /** Makes the error with `message`, and a `cause` if `options` has one. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

/** A class whose instances are `T`, whatever its constructor takes. */
type Class<T> = abstract new (...args: never[]) => T;

/** The values that {@linkcode assertFalse} lets through. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

function refuse(what: string, msg = "", report = ""): never {
  const reason = msg === "" ? "." : `: ${msg}`;
  throw new AssertionError([what + reason, report].join("\n").trimEnd());
}

function difference(actual: unknown, expected: unknown): string {
  const options = { actual, expected, operator: "deepStrictEqual" };
  return new NodeAssertionError(options).message;
}

/** Asserts that `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Asserts that `expr` is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/** Asserts that `actual` and `expected` are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  refuse("Values are not equal", msg, difference(actual, expected));
}

/** Asserts that `actual` and `expected` are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  const [left, right] = [actual, expected].map((value) => Deno.inspect(value));
  refuse(`Expected actual: ${left} not to be: ${right}`, msg);
}

/** Asserts that `actual` and `expected` are the same value (`Object.is`). */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  refuse("Values are not strictly equal", msg, difference(actual, expected));
}

/** Asserts that `actual` and `expected` are not the same value. */
export function assertNotStrictEquals<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!Object.is(actual, expected)) return;
  refuse(
    `Expected "actual" to not be strictly equal to: ${Deno.inspect(actual)}`,
    msg,
  );
}

/** Asserts that `actual` is neither `null` nor `undefined`. */
export function assertExists<T>(
  actual: T,
  msg?: string,
): asserts actual is NonNullable<T> {
  if (actual !== null && actual !== undefined) return;
  refuse(`Expected actual: "${actual}" to not be null or undefined`, msg);
}

/** Asserts that `actual` is an instance of `expectedType`. */
export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Class<T>,
  msg?: string,
): asserts actual is T {
  if (actual instanceof expectedType) return;
  const { name } = expectedType;
  refuse(
    `Expected object to be an instance of "${name}" but was "${
      className(actual)
    }"`,
    msg,
  );
}

/** Asserts that `actual` matches the regular expression `expected`. */
export function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  if (expected.test(actual)) return;
  refuse(`Expected actual: "${actual}" to match: "${expected}"`, msg);
}

/** Asserts that the text `actual` contains `expected`. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void {
  if (actual.includes(expected)) return;
  refuse(`Expected actual: "${actual}" to contain: "${expected}"`, msg);
}

/** Asserts that `actual` is greater than `expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) disordered(actual, ">", expected, msg);
}

/** Asserts that `actual` is greater than `expected`, or equal to it. */
export function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!(actual >= expected)) disordered(actual, ">=", expected, msg);
}

/** Asserts that `actual` is less than `expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) disordered(actual, "<", expected, msg);
}

/** Asserts that `actual` is less than `expected`, or equal to it. */
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!(actual <= expected)) disordered(actual, "<=", expected, msg);
}

function disordered(
  actual: unknown,
  operator: string,
  expected: unknown,
  msg = `Expect ${Deno.inspect(actual)} ${operator} ${Deno.inspect(expected)}`,
): never {
  throw new AssertionError(msg);
}

/** Fails. */
export function fail(msg?: string): never {
  refuse("Failed assertion", msg);
}

/** Fails; for code that must not be reached. */
export function unreachable(msg?: string): never {
  refuse("Unreachable", msg);
}

/** Asserts that `fn` throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/**
 * Asserts that `fn` throws an instance of `ErrorClass` whose message contains
 * `msgIncludes`, and returns it.
 */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  classOrMsg?: Class<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  if (typeof classOrMsg === "string") msg = classOrMsg;
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = error;
    if (typeof classOrMsg === "function") {
      assertError(error, "thrown", classOrMsg, msgIncludes, msg);
    }
    return thrown;
  }
  refuse("Expected function to throw", msg);
}

/** Asserts that the promise of `fn` rejects, and resolves to the reason. */
export function assertRejects(
  fn: () => PromiseLike<unknown>,
  msg?: string,
): Promise<unknown>;
/**
 * Asserts that the promise of `fn` rejects with an instance of `ErrorClass`
 * whose message contains `msgIncludes`, and resolves to it.
 */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: Class<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  if (typeof classOrMsg === "string") msg = classOrMsg;
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
  } catch {
    // The same fault as returning something that is not a promise.
  }
  if (typeof promise?.then !== "function") {
    refuse("Function throws when expected to reject", msg);
  }
  try {
    await promise;
  } catch (error) {
    if (typeof classOrMsg === "function") {
      assertError(error, "rejected", classOrMsg, msgIncludes, msg);
    }
    return error;
  }
  refuse("Expected function to reject", msg);
}

function assertError(
  error: unknown,
  how: string,
  ErrorClass: Class<Error>,
  msgIncludes = "",
  msg?: string,
) {
  if (!(error instanceof Error)) {
    refuse(`A non-Error object was ${how}`, msg);
  }
  if (!(error instanceof ErrorClass)) {
    refuse(
      `Expected error to be instance of "${ErrorClass.name}", but was "${
        className(error)
      }"`,
      msg,
    );
  }
  const plain = stripVTControlCharacters;
  if (!plain(error.message).includes(plain(msgIncludes))) {
    refuse(
      `Expected error message to include ${JSON.stringify(msgIncludes)}, ` +
        `but got ${JSON.stringify(error.message)}`,
      msg,
    );
  }
}

function className(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  return value.constructor?.name ?? "Object";
}

type Pair = readonly [object, object];

/** Whether two values are deeply equal; `path` holds the pairs above them. */
function equal(a: unknown, b: unknown, path: readonly Pair[] = []): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object") return false;
  if (a === null || b === null || prototype(a) !== prototype(b)) return false;
  if (isBinary(a)) return isDeepStrictEqual(a, b);
  if (isText(a)) return String(a) === String(b);
  if (a instanceof Date && b instanceof Date) {
    return Object.is(a.getTime(), b.getTime());
  }

  // A pair that comes up again below itself is a cycle on both sides.
  if (path.some(([left, right]) => left === a && right === b)) return true;
  const deeper: Pair[] = [...path, [a, b]];
  if (isCollection(a) && isCollection(b)) return equalItems(a, b, deeper);
  const [left, right] = [properties(a), properties(b)];
  return left.size === right.size &&
    [...left].every(([key, value]) =>
      right.has(key) && equal(value, right.get(key), deeper)
    );
}

/** Whether two collections hold equal items, in whatever order. */
function equalItems(
  a: Collection,
  b: Collection,
  path: readonly Pair[],
): boolean {
  const rest = [...b];
  return a.size === b.size && [...a].every((item) => {
    const match = rest.findIndex((other) => equal(item, other, path));
    if (match >= 0) rest.splice(match, 1);
    return match >= 0;
  });
}

type Collection = Map<unknown, unknown> | Set<unknown>;

function isCollection(value: object): value is Collection {
  return value instanceof Map || value instanceof Set;
}

function isBinary(value: object): boolean {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}

function isText(value: object): boolean {
  return value instanceof RegExp || value instanceof URL ||
    value instanceof URLSearchParams;
}

/** The prototype of `object`; without one it counts as a plain object. */
function prototype(object: object): object {
  return Object.getPrototypeOf(object) ?? Object.prototype;
}

/**
 * What two objects of the same prototype can differ in: of plain objects and
 * arrays the enumerable properties, of others whatever can be read from them,
 * since a class may keep its state behind inherited getters.
 */
function properties(object: object): Map<PropertyKey, unknown> {
  const keys = new Set<PropertyKey>();
  const base = prototype(object);
  if (base === Object.prototype || base === Array.prototype) {
    for (const key of Reflect.ownKeys({ ...object })) keys.add(key);
  } else {
    let level = object;
    while (level !== Object.prototype) {
      for (const key of Reflect.ownKeys(level)) keys.add(key);
      level = prototype(level);
    }
  }
  return new Map([...keys].map((key) => [key, Reflect.get(object, key)]));
}
