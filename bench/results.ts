// What comes of many runs.

import type { Case } from "./cases.ts";
import type { Name } from "./contenders.ts";
import type { Field } from "./field.ts";
import type { Duration, Run } from "./measure.ts";

/** How one contender did in one case: medians, and all they are of. */
export interface Result {
  contender: Name;
  /** In the unit of the case. */
  value: number;
  /** Its speed, where that of the baseline is 1: the median of all rounds. */
  toBaseline?: number;
  /** The speed of `listen()`, where its own is 1. */
  listenToIt?: number;
  cpuPerExchange?: number;
  serverShare?: number;
  loadShare: number;
  peak?: number;
  runs: Run[];
}

/** All that is known of a case. */
export interface CaseResults {
  name: string;
  title: string;
  unit: Case["unit"];
  baseline: Name;
  request: number;
  answer: number;
  clients: number;
  results: Result[];
  /** Contenders that did not get through, and why. */
  failures: { contender: Name; message: string }[];
}

/** All that is known. */
export interface Report extends Duration {
  deno: string;
  system: string;
  cpus: number;
  /** What the load generators are written in. */
  loadedBy: Field["loadedBy"];
  rounds: number;
  versions: { [name in Name]?: string };
  missing: { [name in Name]?: string };
  cases: CaseResults[];
}

/** Sums up the runs of one case, all of which have the same rounds. */
export function summarize(
  race: Case,
  runs: ReadonlyMap<Name, Run[]>,
  failures: ReadonlyMap<Name, string>,
): CaseResults {
  const results = Array.from(runs).flatMap(([contender, mine]): Result[] => {
    const [first] = mine;
    if (!first || failures.has(contender)) return [];
    const result: Result = {
      contender,
      value: median(mine.map((run) => valueOf(race, run))),
      loadShare: median(mine.map(({ loadShare }) => loadShare)),
      runs: mine,
    };
    for (const figure of ["cpuPerExchange", "serverShare", "peak"] as const) {
      const known = mine.flatMap((run) => run[figure] ?? []);
      if (known.length > 0) result[figure] = median(known);
    }
    const against = (name: Name) => {
      const theirs = failures.has(name) ? undefined : runs.get(name);
      return theirs &&
        median(mine.map((run, i) => speed(run) / speed(theirs[i])));
    };
    const toBaseline = against(race.baseline);
    if (toBaseline !== undefined) result.toBaseline = toBaseline;
    const toListen = against("listen");
    if (toListen !== undefined) result.listenToIt = 1 / toListen;
    return [result];
  });
  const { name, title, unit, baseline, request, answer, clients } = race;
  return {
    name,
    title,
    unit,
    baseline,
    request,
    answer,
    clients,
    results,
    failures: Array.from(
      failures,
      ([contender, message]) => ({ contender, message }),
    ),
  };
}

function speed(run: Run | undefined): number {
  return run ? run.exchanges / run.seconds : NaN;
}

function valueOf({ unit, request, answer }: Case, run: Run): number {
  if (unit === "µs") return 1e6 / speed(run);
  return unit === "MB/s"
    ? speed(run) * Math.max(request, answer) / 1e6
    : speed(run);
}

/** The middle one, or between the two in the middle. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1];
  return ((sorted[low] ?? NaN) + (sorted[high] ?? NaN)) / 2;
}
