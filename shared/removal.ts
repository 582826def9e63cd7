/**
 * Lists of the few things that are under way.
 *
 * @module
 */

/**
 * Removes an item from a list that contains it once. The order of the others stays.
 *
 * @param list The list.
 * @param item The item.
 */
export function removeFrom<T>(list: T[], item: T): void {
  list.splice(list.indexOf(item), 1);
}
