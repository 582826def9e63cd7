/**
 * Whether we may connect to ourselves.
 *
 * @module
 */

/**
 * Asks for the permission to use a host. Does not prompt, as that would hold up
 * a server that is about to end.
 *
 * @param host The host, with or without a port.
 * @returns Whether it is granted.
 */
export async function isGranted(host: string): Promise<boolean> {
  const { state } = await Deno.permissions.query({ name: "net", host });
  return state === "granted";
}
