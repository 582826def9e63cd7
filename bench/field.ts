// Who is there on this machine, and what makes the load.

import { printed } from "../tests/programs.ts";
import { contenders, deno, type Name } from "./contenders.ts";

/** What is there of them on this machine. */
export interface Field {
  /** The versions of those that can run. */
  readonly versions: ReadonlyMap<Name, string>;
  /** Why the others cannot. */
  readonly missing: ReadonlyMap<Name, string>;
  /** Starts the load generator for a transport. */
  readonly load: { [where in "tcp" | "unix" | "tls"]: readonly string[] };
  /** What each load generator is written in. */
  readonly loadedBy: {
    [where in "tcp" | "unix" | "tls"]: "C" | "Go" | "Deno";
  };
  /** Where what was built for a contender is. */
  built(name: Name): string;
}

/**
 * Looks which contenders there are, and builds those that must be. Nothing is
 * ever installed.
 */
export async function muster(
  names: Iterable<Name>,
  folder: string,
): Promise<Field> {
  const built = (name: string) => `${folder}/${name}`;
  const versions = new Map<Name, string>();
  const missing = new Map<Name, string>();
  for (const name of names) {
    const { version, build } = contenders[name];
    const [program = ""] = version;
    const told = await printed(version);
    if (told === undefined) {
      missing.set(name, `there is no ${program}`);
    } else if (build && await printed(build(built(name))) === undefined) {
      missing.set(name, `${program} cannot build it`);
    } else {
      versions.set(name, told.split("\n")[0] ?? "");
    }
  }
  const source = `${import.meta.dirname}/load`;
  const inC = built("load");
  const inGo = built("tls");
  const inTypeScript = [...deno, `${source}/load.ts`];
  const hasC = await printed(
    ["cc", "-O2", "-pthread", "-o", inC, `${source}/load.c`],
  ) !== undefined;
  const hasGo = await printed(
    ["go", "build", "-o", inGo, `${source}/tls.go`],
  ) !== undefined;
  const plain = hasC ? [inC] : inTypeScript;
  const by = hasC ? "C" : "Deno";
  return {
    versions,
    missing,
    load: { tcp: plain, unix: plain, tls: hasGo ? [inGo] : inTypeScript },
    loadedBy: { tcp: by, unix: by, tls: hasGo ? "Go" : "Deno" },
    built,
  };
}
