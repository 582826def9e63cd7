/**
 * The permissions of Deno that the tool needs.
 *
 * @module
 */

import { printable } from "./wording.ts";

/**
 * Checks a permission before it is used. Otherwise Deno would prompt for it at
 * the terminal, and all clients would wait for the answer.
 *
 * @param descriptor What is needed.
 * @param action What for, to follow "Cannot".
 * @throws {Deno.errors.NotCapable} If it is not granted: the message names the
 * flag of Deno that grants it.
 */
export async function ensurePermission(
  descriptor: Deno.PermissionDescriptor,
  action: string,
): Promise<void> {
  const flag = await missingFlag(descriptor);
  if (flag === undefined) return;
  throw new Deno.errors.NotCapable(
    `Cannot ${action} without permission: run deno with ${flag}`,
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
      return `-I=${descriptor.host} (--allow-import)`;
    default:
      return `--allow-${descriptor.name}`;
  }
}
