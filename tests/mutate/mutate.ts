/**
 * Puts small faults into the library, one at a time, and looks whether a test
 * notices each.
 *
 * ```sh
 * deno task mutate --count 100
 * deno task mutate --seed 4711 --file exchange/
 * ```
 *
 * @module
 */

import { execute, type Flags } from "../harness/options.ts";
import { Progress } from "../harness/progress.ts";
import { Random } from "../harness/random.ts";
import { Copy, inPairs, type Mutant, type TestFile } from "./copy.ts";
import { readSurvivors } from "./survivors.ts";

const help =
  `Puts mutants into the library, and prints those that no test notices.

Usage: deno task mutate [options]

Options:
      --seed S   which mutants are drawn [drawn from the clock]
      --count N  how many are tried [100]
      --file P   only mutants of files whose path begins like this, or like one of
                 several: exchange/,conn.ts
  -h, --help     print this help

Mutants that may live stand in tests/mutate/survivors.txt, each with its reason.`;

interface Options {
  seed: number;
  count: number;
  file: string;
}

function read(flags: Flags): Options {
  return {
    seed: flags.whole("seed", 0, 2 ** 32 - 1, Date.now() % 2 ** 31),
    count: flags.whole("count", 1, 1e6, 100),
    file: flags.file("file") ?? "",
  };
}

async function mutate({ seed, count, file }: Options): Promise<number> {
  const progress = Deno.stderr.isTerminal() ? new Progress() : undefined;
  await using copy = await Copy.make((path) =>
    file.split(",").some((beginning) => path.startsWith(beginning))
  );
  const mayLive = readSurvivors();
  const tests = await copy.tests((name) =>
    progress?.show(`without a mutant: ${name}`)
  );
  const drawn = draw(copy.mutants, count, new Random(seed));
  const counts = { killed: 0, known: 0, survived: 0 };
  let tried = 0;
  await inPairs(drawn, async (mutant) => {
    const fate = mayLive(mutant)
      ? "known"
      : await isNoticed(copy, tests, mutant)
      ? "killed"
      : "survived";
    counts[fate]++;
    progress?.show(
      `${++tried} of ${drawn.length} mutants, ${counts.survived} survived`,
    );
    if (fate !== "survived") return;
    progress?.end();
    const { file, line, original, replacement } = mutant;
    console.error(`${file}:${line}\n  - ${original}\n  + ${replacement}`);
  });
  progress?.end();
  console.log(
    `seed ${seed}: ${drawn.length} of ${copy.mutants.length} mutants, ` +
      `${counts.killed} killed, ${counts.known} may live, ` +
      `${counts.survived} survived`,
  );
  return counts.survived === 0 ? 0 : 1;
}

/** Whether a file of tests that passes by a mutant notices it: fast ones first. */
async function isNoticed(
  copy: Copy,
  tests: readonly TestFile[],
  mutant: Mutant,
): Promise<boolean> {
  for (const test of tests) {
    if (!test.passes.has(mutant.id)) continue;
    if (await copy.notices(test, mutant)) return true;
  }
  return false;
}

/** Draws some, in an order that is the same for the same seed. */
function draw(
  mutants: readonly Mutant[],
  count: number,
  random: Random,
): Mutant[] {
  const left = [...mutants];
  const drawn: Mutant[] = [];
  while (drawn.length < count && left.length > 0) {
    drawn.push(...left.splice(random.int(0, left.length - 1), 1));
  }
  return drawn;
}

if (import.meta.main) {
  const flags = { string: ["seed", "count", "file"] };
  await execute({ name: "mutate", help, flags, read, run: mutate });
}
