// A copy of the checkout with all mutants in it, and its test files.

import { importMap, root, runProgram, spawn } from "../programs.ts";

/** One small fault, put into the library. */
export interface Mutant {
  readonly id: string;
  /** Where it is: the path from the root, and the line from 1 on. */
  readonly file: string;
  readonly line: number;
  /** What stands there, and what takes its place. */
  readonly original: string;
  readonly replacement: string;
}

/** A file of tests, how long it takes, and which mutants it passes by. */
export interface TestFile {
  readonly name: string;
  readonly milliseconds: number;
  readonly passes: ReadonlySet<string>;
}

/** What is mutated. */
const mutated =
  /^(?:server|conn|client)\.ts$|^(?:shared|exchange|client|draining|proxy|metrics|listening|serving)\/\w+\.ts$/;

/** Test files that take minutes, or try programs and not the library. */
const left =
  /^(?:architecture|bench|browser|checkout|cli_|clients_|commands|comparison|container|docs|examples|exchange_page|fuzz|health|languages|lesson|mutate|offline|production|soak|terminal|testing_page|units|view)/;

/** How long a test file may take without a mutant. */
const LONGEST_MS = 120_000;

/** How much longer a test file may take with a mutant. */
const PATIENCE = 4;
const MIN_PATIENCE_MS = 10_000;

/** A copy of the checkout with all mutants of its library. */
export class Copy implements AsyncDisposable {
  readonly mutants: readonly Mutant[];
  readonly #folder: string;

  private constructor(folder: string, mutants: readonly Mutant[]) {
    this.#folder = folder;
    this.mutants = mutants;
  }

  /** Makes the copy, with the mutants of the files that `isMeant`. */
  static async make(isMeant: (file: string) => boolean): Promise<Copy> {
    const folder = await Deno.makeTempDir({ prefix: "mutants" });
    const args = [
      "ls-files",
      "-z",
      "--cached",
      "--others",
      "--exclude-standard",
    ];
    const { stdout } = await runProgram("git", args);
    const files = stdout.split("\0").filter(Boolean);
    for (const file of files) {
      const to = `${folder}/checkout/${file}`;
      await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
      await Deno.copyFile(`${root}/${file}`, to);
    }
    const names = files.filter((file) => mutated.test(file) && isMeant(file));
    return new Copy(folder, await instrument(folder, names));
  }

  /** Runs each file of tests once, without a mutant. */
  async tests(onTest: (name: string) => void): Promise<TestFile[]> {
    const names = Array.from(
      Deno.readDirSync(`${this.#folder}/checkout/tests`),
      ({ name }) => name,
    ).filter((name) => name.endsWith("_test.ts") && !left.test(name));
    const tests: TestFile[] = [];
    await inPairs(names, async (name) => {
      onTest(name);
      const covered = `${this.#folder}/${name}.json`;
      const env = { MUTANTS_COVERED: covered };
      let began = performance.now();
      let ended = await this.#run(name, env, LONGEST_MS);
      if (ended !== "passed") {
        // Others have run beside it.
        began = performance.now();
        ended = await this.#run(name, env, LONGEST_MS);
      }
      if (ended !== "passed") {
        return console.error(
          `${name} ${ended} without a mutant: it is left out`,
        );
      }
      const milliseconds = performance.now() - began;
      const passes = new Set<string>(
        JSON.parse(Deno.readTextFileSync(covered)),
      );
      if (passes.size > 0) tests.push({ name, milliseconds, passes });
    });
    return tests.sort((a, b) => a.milliseconds - b.milliseconds);
  }

  /** Whether a file of tests notices a mutant. */
  async notices(
    { name, milliseconds }: TestFile,
    mutant: Mutant,
  ): Promise<boolean> {
    const patience = Math.max(milliseconds * PATIENCE, MIN_PATIENCE_MS);
    return await this.#run(name, { MUTANT: mutant.id }, patience) !== "passed";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #run(
    name: string,
    env: Record<string, string>,
    patience: number,
  ): Promise<"passed" | "failed" | "hung"> {
    const cwd = `${this.#folder}/checkout`;
    const map = importMap().map((flag) =>
      flag.replace(`${root}/offline`, `${cwd}/offline`)
    );
    const child = spawn(Deno.execPath(), [
      ...["test", "-A", "--no-check", "--quiet", ...map],
      `--preload=${cwd}/tests/mutate/switch.ts`,
      `tests/${name}`,
    ], {
      cwd,
      env: { ...env, DENO_DIR: `${this.#folder}/cache` },
      stdout: "null",
      stderr: "null",
    });
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      child.kill("SIGKILL");
    }, patience);
    const { success } = await child.status;
    clearTimeout(timer);
    return hung ? "hung" : success ? "passed" : "failed";
  }
}

/** Does something with each of a list, two at a time. */
export async function inPairs<Item>(
  items: readonly Item[],
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const work = async () => {
    for (const item of queue) await act(item);
  };
  await Promise.all([work(), work()]);
}

/** What Stryker tells of a mutant: lines and columns are counted from 0. */
interface Told {
  id: string;
  fileName: string;
  /** `"Ignored"` for those of a kind that is left out. */
  status?: string;
  replacement: string;
  location: { start: Position; end: Position };
}

interface Position {
  line: number;
  column: number;
}

async function instrument(folder: string, names: string[]): Promise<Mutant[]> {
  const sources = new Map(names.map((name) => [
    name,
    Deno.readTextFileSync(`${root}/${name}`).split("\n"),
  ]));
  const tool = `${folder}/instrumenter`;
  await Deno.mkdir(tool);
  await Deno.copyFile(
    `${import.meta.dirname}/instrument.mjs`,
    `${tool}/instrument.mjs`,
  );
  const dependencies = { "@stryker-mutator/instrumenter": "10.1.1" };
  await Deno.writeTextFile(
    `${tool}/package.json`,
    JSON.stringify({ type: "module", dependencies }),
  );
  const installed = await runProgram(Deno.execPath(), ["install"], {
    cwd: tool,
  });
  if (installed.code !== 0) throw new Error(installed.stderr);
  const { code, stdout, stderr } = await runProgram(Deno.execPath(), [
    ...["run", "-A", "instrument.mjs", `${folder}/checkout`, ...names],
  ], { cwd: tool });
  if (code !== 0) throw new Error(stderr);
  const mutants: Told[] = JSON.parse(stdout);
  return mutants.filter(({ status }) => status !== "Ignored").map((
    { id, fileName, replacement, location: { start, end } },
  ) => ({
    id,
    file: fileName,
    line: start.line + 1,
    original: onOneLine(textBetween(sources.get(fileName) ?? [], start, end)),
    replacement: onOneLine(replacement),
  }));
}

function textBetween(lines: string[], start: Position, end: Position): string {
  const text = lines.slice(start.line, end.line + 1);
  const last = text.length - 1;
  text[last] = text[last]?.slice(0, end.column) ?? "";
  text[0] = text[0]?.slice(start.column) ?? "";
  return text.join("\n");
}

function onOneLine(code: string): string {
  return code.trim().replaceAll(/\s+/g, " ");
}
