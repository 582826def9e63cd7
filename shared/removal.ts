/**
 * Lists of the few things that are under way.
 *
 * @module
 */

/**
 * Removes an item from a list, if it is there. The order of the others stays.
 *
 * @param list The list.
 * @param item The item.
 */
export function removeFrom<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}
