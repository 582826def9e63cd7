/**
 * The variables of the environment.
 *
 * @module
 */

/** A variable of the environment, if we may read it. */
export function variable(name: string): string | undefined {
  return mayUse(name) ? Deno.env.get(name) : undefined;
}

/** Removes a variable from the environment, if we may. */
export function unset(name: string): void {
  if (mayUse(name)) Deno.env.delete(name);
}

function mayUse(variable: string): boolean {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted";
}
