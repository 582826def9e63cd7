/**
 * The oldest Deno that keeps the promises, and the check for it.
 *
 * @module
 */

const OLDEST = "2.9.5";

/**
 * Checks that this Deno is not too old.
 *
 * @param doing What is not possible otherwise, to follow "Cannot".
 * @throws {Deno.errors.NotSupported} If it is older than that.
 */
export function checkDenoVersion(doing: string): void {
  const { deno } = Deno.version;
  if (deno.localeCompare(OLDEST, "en", { numeric: true }) >= 0) return;
  throw new Deno.errors.NotSupported(
    `Cannot ${doing}: halfclose needs Deno ${OLDEST} or later, and this is ` +
      `${deno}. Upgrade it with \`deno upgrade\``,
  );
}
