/**
 * The permissions of Deno that the tool needs.
 *
 * @module
 */

import { printable } from "../../shared/printable.ts";

/**
 * Checks permissions before they are used. Otherwise Deno would prompt for them
 * at the terminal, and all clients would wait for the answer.
 *
 * @param action What for, to follow "Cannot".
 * @param needed What is needed.
 * @throws {Deno.errors.NotCapable} If one is not granted: the message names the
 * flags of Deno that grant all that lack.
 */
export async function ensurePermissions(
  action: string,
  ...needed: Deno.PermissionDescriptor[]
): Promise<void> {
  const flags = await Promise.all(needed.map(missingFlag));
  const missing = flags.filter((flag) => flag !== undefined);
  if (missing.length === 0) return;
  throw new Deno.errors.NotCapable(
    `Cannot ${action} without permission. Run deno with ` +
      missing.join(" and "),
  );
}

/**
 * Looks whether a permission is granted, without a prompt.
 *
 * @param descriptor What is needed.
 * @returns The flag of Deno that grants it, unless it is granted.
 */
export async function missingFlag(
  descriptor: Deno.PermissionDescriptor,
): Promise<string | undefined> {
  const { state } = await Deno.permissions.query(descriptor);
  return state === "granted" ? undefined : printable(flagOf(descriptor));
}

/** The flag that grants a permission, in short and in full. */
function flagOf(descriptor: Deno.PermissionDescriptor): string {
  switch (descriptor.name) {
    case "net":
      return descriptor.host?.startsWith("unix:/")
        ? `-N=${descriptor.host} (--allow-net)`
        : "-N (--allow-net)";
    case "read":
      return `-R=${descriptor.path} (--allow-read)`;
    case "write":
      return `-W=${descriptor.path} (--allow-write)`;
    case "run":
      return `--allow-run=${descriptor.command}`;
    case "import":
      // A list replaces that of Deno, from which the tool itself may come.
      return `-I=${descriptor.host},jsr.io:443 (--allow-import)`;
    default:
      return `--allow-${descriptor.name}`;
  }
}
