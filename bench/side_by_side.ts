/**
 * This module and others, side by side: loops written by hand over `Deno.listen`,
 * Node, Python, Go, Bun and C, whichever of them the machine has. All do the same
 * work, and every reply is checked.
 *
 * ```sh
 * deno task bench
 * deno task bench --case 64B,1MiB --only listen,by-hand,go --rounds 9
 * deno task bench --full --json results.json --svg bench/results.svg
 * ```
 *
 * Each takes one connection at a time, but for Node and Bun, which have no other
 * way than to serve all at once. Rounds are interleaved, so that a noisy machine
 * is noisy for all: what counts are the ratios, which are taken within each round.
 * The load comes from the same machine: where the server's share of a CPU is well
 * below 100 %, it was not the slower side.
 *
 * @module
 */

import { messageOf } from "../tests/harness/errors.ts";
import { execute, type Flags } from "../tests/harness/options.ts";
import { Progress } from "../tests/harness/progress.ts";
import { type Case, cases } from "./cases.ts";
import { chart } from "./chart.ts";
import { contenders, type Name } from "./contenders.ts";
import { type Field, muster } from "./field.ts";
import {
  type Duration,
  inFolder,
  measure,
  type Run,
  WARM_UP_SECONDS,
} from "./measure.ts";
import { type CaseResults, type Report, summarize } from "./results.ts";
import { caseTable, summaryTables } from "./tables.ts";

const help = `Measures this module and others, side by side.

Usage: deno task bench [options]

Options:
      --full         run all cases, and for longer
      --case A,B     run these: ${listed(cases.map(({ name }) => name))}
      --only A,B     with these: ${listed(Object.keys(contenders))}
      --rounds N     how often, 1 to 99; medians are told [5]
      --seconds S    how long each time, up to 60 [0.4, with --full 0.7]
      --warm-up S    how long before that, up to 60 [${WARM_UP_SECONDS}]
      --json FILE    write all figures there
      --svg FILE     draw them there
  -h, --help         print this help`;

function listed(names: string[]): string {
  return names.join(" ").replaceAll(/(.{1,44})(?: |$)/g, "$1\n").trim()
    .replaceAll("\n", `\n${" ".repeat(21)}`);
}

interface Options {
  races: readonly Case[];
  only: ReadonlySet<Name>;
  rounds: number;
  duration: Duration;
  json: string | undefined;
  svg: string | undefined;
}

class Benchmark {
  readonly #options: Options;
  readonly #field: Field;
  readonly #folder: string;
  readonly #progress = new Progress();

  constructor(options: Options, field: Field, folder: string) {
    this.#options = options;
    this.#field = field;
    this.#folder = folder;
  }

  /** Runs all cases, and tells of each as soon as it is over. */
  async run(): Promise<Report> {
    const { races, rounds, duration } = this.#options;
    const { versions, missing, loadedBy } = this.#field;
    for (const [name, version] of versions) {
      const { title, note } = contenders[name];
      console.log(`${title}: ${note} (${version})`);
    }
    for (const [name, why] of missing) {
      console.log(`${contenders[name].title}: left out, ${why}`);
    }
    if (loadedBy.tcp === "Deno") {
      console.log("The load is slow, as it comes from Deno: there is no cc");
    }
    const results: CaseResults[] = [];
    for (const race of races) {
      const result = await this.#race(race, results.length);
      this.#progress.end();
      console.log(`\n${caseTable(result)}`);
      results.push(result);
    }
    return {
      deno: Deno.version.deno,
      system: `${Deno.build.os} ${Deno.build.arch}`,
      cpus: navigator.hardwareConcurrency,
      loadedBy,
      rounds,
      ...duration,
      versions: Object.fromEntries(versions),
      missing: Object.fromEntries(missing),
      cases: results,
    };
  }

  async #race(race: Case, before: number): Promise<CaseResults> {
    const { races, only, rounds, duration } = this.#options;
    const names = race.contenders.filter((name) =>
      only.has(name) && this.#field.versions.has(name)
    );
    const runs = new Map(names.map((name): [Name, Run[]] => [name, []]));
    const failures = new Map<Name, string>();
    for (let round = 0; round < rounds; round++) {
      // The first server of one round is the last of the next.
      const order = round % 2 === 0 ? names : names.toReversed();
      for (const name of order) {
        if (failures.has(name)) continue;
        this.#progress.show(
          `case ${before + 1} of ${races.length}, ${race.title}: ` +
            `round ${round + 1} of ${rounds}, ${contenders[name].title}`,
        );
        try {
          const run = await measure(
            race,
            name,
            duration,
            this.#field,
            this.#folder,
          );
          runs.get(name)?.push(run);
        } catch (error) {
          failures.set(name, messageOf(error));
        }
      }
    }
    return summarize(race, runs, failures);
  }
}

function read(flags: Flags): Options {
  const full = flags.has("full");
  const all = full || flags.text("case") !== undefined;
  const chosen = flags.names("case", cases.map(({ name }) => name));
  const races = cases.filter(({ name, quick, where }) =>
    chosen.has(name) && (all || quick) &&
    (where !== "unix" || Deno.build.os !== "windows")
  );
  return {
    races,
    // Only those that are in a case: nobody shall wait for an empty table.
    only: flags.names("only", contendersOf(races)),
    rounds: flags.whole("rounds", 1, 99, 5),
    duration: {
      warmUp: flags.seconds("warm-up", 60, WARM_UP_SECONDS),
      seconds: flags.seconds("seconds", 60, full ? 0.7 : 0.4),
    },
    json: flags.output("json"),
    svg: flags.output("svg"),
  };
}

/** Who is in any of these cases. */
function contendersOf(races: readonly Case[]): Name[] {
  return Array.from(new Set(races.flatMap(({ contenders }) => contenders)));
}

/** Runs it, and returns the exit status. */
function bench(options: Options): Promise<number> {
  const { only, json, svg } = options;
  return inFolder(async (folder) => {
    const field = await muster(only, folder);
    const report = await new Benchmark(options, field, folder).run();
    if (report.cases.length > 1) console.log(`\n${summaryTables(report)}`);
    if (json) {
      await Deno.writeTextFile(json, `${JSON.stringify(report, null, 2)}\n`);
    }
    if (svg) await Deno.writeTextFile(svg, chart(report));
    return report.cases.some(({ failures }) => failures.length > 0) ? 1 : 0;
  });
}

await execute({
  name: "bench",
  help,
  flags: {
    boolean: ["full"],
    string: ["case", "only", "rounds", "seconds", "warm-up", "json", "svg"],
  },
  read,
  run: bench,
});
