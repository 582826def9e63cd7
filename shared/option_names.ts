/**
 * Names of options that do not exist.
 *
 * @module
 */

import { nearest, nearestName } from "./nearest.ts";

/** The names that options may have. */
export interface KnownNames {
  /** All of them. */
  readonly all: readonly string[];
  /** Those that were not given. */
  readonly missing: readonly string[];
  /** Those of functions that were not given. */
  readonly missingCallbacks: readonly string[];
}

/** A name that does not exist, and the one that was meant, if any is similar. */
export interface UnknownName {
  readonly name: string;
  readonly meant: string | undefined;
}

/**
 * Finds a name that does not exist. An own field must be an option. What is
 * inherited, a getter or a method of a class may be anything, unless it looks like
 * an option that was not given. Symbols are nobody's options.
 *
 * @param given The options as given. No getter is called.
 * @param known The names that exist.
 * @returns The first such name.
 */
export function findUnknown(
  given: object,
  known: KnownNames,
): UnknownName | undefined {
  const own = Object.keys(given).find((name) => !known.all.includes(name));
  if (own !== undefined) {
    return { name: own, meant: nearestName(own, known.all) };
  }
  for (const [name, isMethod] of membersOf(given)) {
    if (known.all.includes(name)) continue;
    const missing = isMethod ? known.missingCallbacks : known.missing;
    const meant = nearest(name, missing);
    if (meant !== undefined) return { name, meant };
  }
  return undefined;
}

/** Whether something is made by a class, or inherits otherwise. */
export function isOfClass(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype !== null && prototype !== Object.prototype;
}

/** All members of an object, its own and inherited, and whether each is a method. */
function membersOf(given: object): Map<string, boolean> {
  const members = new Map<string, boolean>();
  let holder: object | null = given;
  while (holder !== null && holder !== Object.prototype) {
    const own = Object.getOwnPropertyDescriptors(holder);
    for (const [name, { value }] of Object.entries(own)) {
      if (name !== "constructor") {
        members.set(name, typeof value === "function");
      }
    }
    holder = Object.getPrototypeOf(holder);
  }
  return members;
}
