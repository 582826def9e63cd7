// Modules of npm, for tests only.

/** A module of npm, if it can be had. */
export async function fromNpm<Module>(
  specifier: string,
): Promise<Module | undefined> {
  try {
    return await import(`npm:${specifier}`);
  } catch {
    return undefined;
  }
}
