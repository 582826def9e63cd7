/**
 * What a mistyped word may have meant.
 *
 * @module
 */

/** How short a part of a word may be to tell which word it is. */
const SHORTEST_PART = 3;

/**
 * Finds the name that was meant by another one: the nearest, or else one that
 * begins or ends with it, or with which it begins or ends, as `host` and
 * `hostname`.
 *
 * @param typed What was typed.
 * @param names What could have been meant.
 * @returns The name, or `undefined` if none is similar.
 */
export function nearestName(
  typed: string,
  names: readonly string[],
): string | undefined {
  return nearest(typed, names) ??
    names.find((name) => isPart(typed, name) || isPart(name, typed));
}

function isPart(part: string, whole: string): boolean {
  const [small, large] = [part.toLowerCase(), whole.toLowerCase()];
  return small.length >= SHORTEST_PART &&
    (large.startsWith(small) || large.endsWith(small));
}

/**
 * Finds the word that is nearest to a mistyped one, in capitals or not.
 *
 * @param typed What was typed.
 * @param words What could have been meant.
 * @returns The word, or `undefined` if none is similar.
 */
export function nearest(
  typed: string,
  words: readonly string[],
): string | undefined {
  // One typing error for every three letters, and at least one.
  let best = Math.max(1, Math.floor(typed.length / 3)) + 1;
  let found: string | undefined;
  for (const word of words) {
    const distance = editDistance(typed.toLowerCase(), word.toLowerCase());
    if (distance >= Math.min(best, word.length)) continue;
    best = distance;
    found = word;
  }
  return found;
}

/**
 * How many letters must be inserted, left out, replaced or swapped with their
 * neighbour to turn one word into another.
 */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      current[column] = Math.min(
        (last[column] ?? Infinity) + 1,
        (current[column - 1] ?? Infinity) + 1,
        (last[column - 1] ?? Infinity) + (same ? 0 : 1),
        swapped ? (beforeLast[column - 2] ?? Infinity) + 1 : Infinity,
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? Infinity;
}
