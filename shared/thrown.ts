/**
 * Whatever was thrown: its words, its class, and a console that takes both. None
 * of it can throw, but what was thrown may run code of its own at each touch.
 *
 * @module
 */

import { printable } from "./printable.ts";

/**
 * The message of whatever was thrown: that of an error, or the value as text.
 *
 * @param thrown What was thrown: any value, however hostile.
 * @returns Its words. It never throws.
 */
export function messageOf(thrown: unknown): string {
  const error = errorOf(thrown);
  if (!error) return textOf(thrown);
  return attempt(() => {
    const { message } = error;
    // An error without a message has at least a name.
    return message === "" ? String(error) : textOf(message);
  }) ?? "an error whose message cannot be read";
}

/**
 * The stack trace of whatever was thrown.
 *
 * @param thrown What was thrown: any value, however hostile.
 * @returns The trace, or `undefined` if there is none. It never throws.
 */
export function stackOf(thrown: unknown): string | undefined {
  return attempt(() => errorOf(thrown)?.stack);
}

/** What a value is, for messages: "a Promise", "an Array". It never throws. */
export function typeOf(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  const name = attempt(() => value.constructor?.name) || "object";
  return /^[AEIOU]/i.test(name) ? `an ${name}` : `a ${name}`;
}

/**
 * Any value as `Deno.inspect()` shows it, for messages about a wrong one.
 *
 * @param value The value, however hostile.
 * @param depth How deep to look into it.
 * @returns Its words. It never throws.
 */
export function inspected(value: unknown, depth = 0): string {
  return attempt(() => Deno.inspect(value, { depth })) ?? messageOf(value);
}

/**
 * What caused whatever was thrown.
 *
 * @param thrown What was thrown: any value, however hostile.
 * @returns The cause of an error that has one, or else `thrown` itself. It never
 * throws.
 */
export function causeOf(thrown: unknown): unknown {
  try {
    return errorOf(thrown)?.cause ?? thrown;
  } catch {
    return thrown;
  }
}

/**
 * An error of the same class that also says what could not be done.
 *
 * @param thrown What was thrown. It is left as it is unless it is an error.
 * @param what What could not be done.
 * @param reason Why, where that is known better than the error says.
 */
export function named(thrown: unknown, what: string, reason?: string): unknown {
  const error = errorOf(thrown);
  if (!error) return thrown;
  const ErrorClass = error.constructor as new (
    message: string,
    options: ErrorOptions,
  ) => Error;
  return new ErrorClass(`${what}: ${reason ?? messageOf(error)}`, {
    cause: error,
  });
}

/**
 * Whether what was thrown is of a class.
 *
 * @param thrown What was thrown: any value, however hostile.
 * @param type The class.
 * @returns What `instanceof` says, or `false` where that throws, as it does for a
 * revoked proxy.
 */
export function isOf<Type>(
  thrown: unknown,
  type: abstract new (...args: never[]) => Type,
): thrown is Type {
  try {
    return thrown instanceof type;
  } catch {
    return false;
  }
}

/**
 * Writes to standard error with `console.error`. What a client has sent, and an
 * error quotes, does nothing to a terminal. If writing fails, for example as the
 * disk is full, nobody can be told, and nothing happens.
 *
 * @param parts What to write. What cannot be inspected is put into words.
 */
export function writeToConsole(...parts: unknown[]): void {
  const lines = parts.map(shown).join(" ").split("\n");
  try {
    console.error(lines.map(printable).join("\n"));
  } catch {
    // Nobody can be told.
  }
}

/** A value as the console shows it. */
function shown(value: unknown): string {
  if (typeof value === "string") return value;
  return attempt(() => Deno.inspect(value)) ?? messageOf(value);
}

function errorOf(thrown: unknown): Error | undefined {
  return isOf(thrown, Error) ? thrown : undefined;
}

/** Any value as text. `String()` throws for some, and `Deno.inspect()` for others. */
function textOf(value: unknown): string {
  return attempt(() => String(value)) ??
    attempt(() => Deno.inspect(value, { depth: 0 })) ??
    "something that cannot be shown";
}

/** What `make` returns, if it does not throw and that is text. */
function attempt(make: () => unknown): string | undefined {
  try {
    const made = make();
    return typeof made === "string" ? made : undefined;
  } catch {
    return undefined;
  }
}
