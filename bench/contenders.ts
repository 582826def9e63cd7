// Who runs in the races, and how each is started.

const servers = `${import.meta.dirname}/servers`;
const deno = [Deno.execPath(), "run", "--no-config", "-A"];

/** What `--only` calls them. */
export type Name =
  | "listen"
  | "byob"
  | "no-limits"
  | "serve"
  | "by-hand"
  | "one-buffer"
  | "node"
  | "python"
  | "go"
  | "bun"
  | "c";

/** A kind of server. */
export interface Contender {
  readonly title: string;
  /** What it is, where the title does not say. */
  readonly note?: string;
  /** Prints the version of what it needs. */
  readonly version: readonly string[];
  /** Builds it as a file, once. */
  readonly build?: (output: string) => readonly string[];
  /** Starts it, what was built included. */
  readonly start: (
    work: string,
    where: string,
    built: string,
  ) => readonly string[];
}

const denoVersion = [Deno.execPath(), "--version"];

export const contenders: { readonly [name in Name]: Contender } = {
  listen: {
    title: "halfclose listen()",
    version: denoVersion,
    start: (work, where) => [
      ...deno,
      `${servers}/halfclose_listen.ts`,
      work,
      where,
    ],
  },
  byob: {
    title: "halfclose listen(), BYOB",
    note: "reads `readable` with a buffer of its own",
    version: denoVersion,
    start: (_, where) => [
      ...deno,
      `${servers}/halfclose_listen.ts`,
      "byob",
      where,
    ],
  },
  "no-limits": {
    title: "halfclose listen(), limits off",
    version: denoVersion,
    start: (work, where) => [
      ...deno,
      `${servers}/halfclose_listen.ts`,
      work,
      where,
      "off",
    ],
  },
  serve: {
    title: "halfclose serve()",
    version: denoVersion,
    start: (work, where) => [
      ...deno,
      `${servers}/halfclose_serve.ts`,
      work,
      where,
    ],
  },
  "by-hand": {
    title: "Deno by hand",
    note: "`Deno.listen`, a new buffer for each read",
    version: denoVersion,
    start: (work, where) => [...deno, `${servers}/by_hand.ts`, work, where],
  },
  "one-buffer": {
    title: "Deno by hand, one buffer",
    note: "`Deno.listen`, one buffer for all reads",
    version: denoVersion,
    start: (work, where) => [
      ...deno,
      `${servers}/by_hand_one_buffer.ts`,
      work,
      where,
    ],
  },
  node: {
    title: "Node",
    note: "`net`, concurrent by nature",
    version: ["node", "--version"],
    start: (work) => ["node", `${servers}/node.mjs`, work],
  },
  python: {
    title: "Python",
    note: "`socketserver.TCPServer`",
    version: ["python3", "--version"],
    start: (work) => ["python3", `${servers}/python.py`, work],
  },
  go: {
    title: "Go",
    note: "`net`, `io.ReadAll`",
    version: ["go", "version"],
    build: (output) => ["go", "build", "-o", output, `${servers}/go/main.go`],
    start: (work, _, built) => [built, work],
  },
  bun: {
    title: "Bun",
    note: "`Bun.listen`, concurrent by nature",
    version: ["bun", "--version"],
    start: (work) => ["bun", `${servers}/bun.js`, work],
  },
  c: {
    title: "C",
    note: "system calls and nothing else",
    version: ["cc", "--version"],
    build: (output) => ["cc", "-O2", "-o", output, `${servers}/c.c`],
    start: (work, _, built) => [built, work],
  },
};

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
    const told = await output(version);
    if (told === undefined) {
      missing.set(name, `there is no ${program}`);
    } else if (build && await output(build(built(name))) === undefined) {
      missing.set(name, `${program} cannot build it`);
    } else {
      versions.set(name, told.split("\n")[0] ?? "");
    }
  }
  const source = `${import.meta.dirname}/load`;
  const inC = built("load");
  const inGo = built("tls");
  const inTypeScript = [...deno, `${source}/load.ts`];
  const hasC = await output(
    ["cc", "-O2", "-pthread", "-o", inC, `${source}/load.c`],
  ) !== undefined;
  const hasGo = await output(
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

/** What a program prints, or `undefined` if there is no such program or it fails. */
async function output(
  [program = "", ...args]: readonly string[],
): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(program, {
      args,
      stdin: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
