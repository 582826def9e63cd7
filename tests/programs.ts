// Programs that are run: what they print, and how they end.

/** The folder of the checkout, where programs are run. */
export const root = `${import.meta.dirname}/..`;

/** The flags for the import map that the tests themselves run under. */
export function importMap(): string[] {
  const url = import.meta.resolve("@std/cli/parse-args");
  if (!url.startsWith("file:")) return [];
  const path = url.startsWith(import.meta.resolve("../offline/"))
    ? `${root}/offline/import_map.json`
    : Deno.env.get("HALFCLOSE_IMPORT_MAP");
  if (path) return [`--import-map=${path}`];
  throw new Error("HALFCLOSE_IMPORT_MAP must be the path of the import map");
}

/** The flags that tell `deno install` what the imports mean: it takes one of both. */
export function importsForInstall(): string[] {
  const map = importMap();
  return map.length > 0 ? map : ["--config", `${root}/deno.json`];
}

/** What a program has printed, and its exit status. */
export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

/** Starts a program whose output can be read, and which has nothing to read. */
export function spawn(
  program: string,
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Deno.ChildProcess {
  return new Deno.Command(program, {
    args: [...args],
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
  }).spawn();
}

/** Runs a program to its end. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options?: Deno.CommandOptions,
): Promise<Output> {
  return decoded(await spawn(program, args, options).output());
}

/** Runs Deno to its end. */
export function runDeno(...args: string[]): Promise<Output> {
  return runProgram(Deno.execPath(), args);
}

/** The output of a program as text. */
export function decoded(
  { code, stdout, stderr }: Deno.CommandOutput,
): Output {
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** What a program prints, or `undefined` if there is no such program or it fails. */
export async function printed(
  [program = "", ...args]: readonly string[],
): Promise<string | undefined> {
  try {
    const { code, stdout } = await runProgram(program, args);
    return code === 0 ? stdout.trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether system calls can be traced: it may be forbidden even if strace is there. */
export async function canTrace(): Promise<boolean> {
  return await printed(["strace", "-e", "trace=none", "true"]) !== undefined;
}

/**
 * The words before a program that run it in a network of its own, where all ports
 * are free. Only root can do this.
 *
 * @param setup A command of the shell that prepares the network.
 */
export function inOwnNetwork(setup = "true"): string[] {
  const script = `ip link set lo up && ${setup} && exec "$@"`;
  return ["unshare", "--net", "sh", "-c", script, "sh"];
}

/** The words before a program without the rights of root over files. */
export const withoutRights = Deno.build.os === "windows" || Deno.uid() !== 0
  ? []
  : ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"];

/** Sends a signal to a program, unless it has ended by itself. */
export function kill(
  child: Deno.ChildProcess,
  signal: Deno.Signal = "SIGKILL",
): void {
  try {
    child.kill(signal);
  } catch {
    // It has.
  }
}

/** The lines of a program's output, as they come. */
export async function* lines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}
