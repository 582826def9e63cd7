/**
 * Where the time of an exchange goes: how much of each server's CPU time is its
 * own and how much the kernel's, and which system calls it makes. It takes Linux
 * and `strace`.
 *
 * ```sh
 * deno task bench:calls
 * deno task bench:calls --case readable-1MiB --only read,c
 * ```
 *
 * The CPU times are taken without `strace`, in a load of its own.
 *
 * @module
 */

import { cpuTimes } from "../tests/harness/proc.ts";
import { execute, type Flags, UsageError } from "../tests/harness/options.ts";
import { kill, lines, printed, spawn } from "../tests/programs.ts";
import { type Case, cases } from "./cases.ts";
import { contenders, type Name } from "./contenders.ts";
import { type Field, muster } from "./field.ts";
import { inFolder, WARM_UP_SECONDS, withServer } from "./measure.ts";
import { median } from "./results.ts";
import { figure, table } from "./tables.ts";

const help = `Tells where the time of an exchange goes.

Usage: deno task bench:calls [options]

Options:
      --case NAME    the case, as deno task bench knows it [64B]
      --only A,B     with these servers of the case [all]
      --rounds N     how often, 1 to 99; medians are told [3]
      --seconds S    how long each time, up to 60 [1]
  -h, --help         print this help`;

interface Options {
  race: Case;
  names: readonly Name[];
  rounds: number;
  seconds: number;
}

/** What one exchange takes. */
interface Cost {
  /** Microseconds of CPU time. */
  user: number;
  system: number;
  /** System calls, by their names. */
  calls: Map<string, number>;
  /** Those that gave an error: mostly that nothing is there yet. */
  failed: number;
}

/** Calls that are fewer for an exchange are not told. */
const LEAST_CALLS = 0.05;

async function costOf(
  { race, seconds }: Options,
  name: Name,
  field: Field,
  folder: string,
): Promise<Cost> {
  return await withServer(
    race,
    name,
    WARM_UP_SECONDS + 2 * seconds,
    field,
    folder,
    async ({ pid, load }) => {
      await load(WARM_UP_SECONDS);
      const before = cpuTimes(pid);
      const { exchanges } = await load(seconds);
      const after = cpuTimes(pid);
      if (!before || !after) throw new Error("Linux tells no CPU times");
      const took = (kind: "user" | "system") =>
        1e6 * (after[kind] - before[kind]) / exchanges;
      const traced = await trace(pid, `${folder}/calls`, () => load(seconds));
      return { user: took("user"), system: took("system"), ...traced };
    },
  );
}

/** Counts system calls while clients are at a server. */
async function trace(
  pid: number,
  file: string,
  load: () => Promise<{ exchanges: number }>,
): Promise<Pick<Cost, "calls" | "failed">> {
  const strace = spawn("strace", ["-f", "-c", "-p", `${pid}`, "-o", file], {
    stdout: "null",
  });
  // It says when it is attached, also to new threads, and ends if nobody listens.
  const said = lines(strace.stderr);
  const { value } = await said.next();
  const heard = Array.fromAsync(said);
  if (!value?.includes(" attached")) throw new Error(value ?? "no strace");
  const { exchanges } = await load();
  kill(strace, "SIGINT");
  await Promise.all([strace.status, heard]);
  const calls = new Map<string, number>();
  let failed = 0;
  for (const line of (await Deno.readTextFile(file)).split("\n")) {
    // Share, seconds, microseconds for a call, calls, errors if any, and name.
    const row = /^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(\d+)? +(\w+)$/.exec(line);
    const [, count, errors = 0, name = "total"] = row ?? [];
    if (name === "total") continue;
    calls.set(name, Number(count) / exchanges);
    failed += Number(errors) / exchanges;
  }
  return { calls, failed };
}

function rowOf(name: Name, costs: Cost[]): string[] {
  const middle = (of: (cost: Cost) => number) => median(costs.map(of));
  const names = new Set(costs.flatMap(({ calls }) => [...calls.keys()]));
  const all = Array.from(names, (name): [string, number] => [
    name,
    middle(({ calls }) => calls.get(name) ?? 0),
  ]).toSorted(([, a], [, b]) => b - a);
  const sum = all.reduce((sum, [, count]) => sum + count, 0);
  const told = all.filter(([, count]) => count >= LEAST_CALLS)
    .map(([name, count]) => `${name} ${count.toFixed(1)}`);
  return [
    contenders[name].title,
    `${figure(middle(({ user }) => user))} µs`,
    `${figure(middle(({ system }) => system))} µs`,
    sum.toFixed(1),
    middle(({ failed }) => failed).toFixed(1),
    told.join(", "),
  ];
}

function read(flags: Flags): Options {
  const known = cases.map(({ name }) => name);
  const named = flags.names("case", known, ["64B"]);
  const [race, ...others] = cases.filter(({ name }) => named.has(name));
  if (!race || others.length > 0) {
    throw new UsageError(`--case takes one, not ${[...named].join(", ")}`);
  }
  return {
    race,
    names: Array.from(flags.names("only", race.contenders)),
    rounds: flags.whole("rounds", 1, 99, 3),
    seconds: flags.seconds("seconds", 60, 1),
  };
}

/** Tells of each server, and returns the exit status. */
async function tellCosts(options: Options): Promise<number> {
  if (await printed(["strace", "--version"]) === undefined) {
    console.error("bench:calls: there is no strace");
    return 1;
  }
  return await inFolder(async (folder) => {
    const field = await muster(options.names, folder);
    const names = options.names.filter((name) => field.versions.has(name));
    const costs = new Map(names.map((name): [Name, Cost[]] => [name, []]));
    for (let round = 0; round < options.rounds; round++) {
      for (const [name, mine] of costs) {
        mine.push(await costOf(options, name, field, folder));
      }
    }
    const heading = ["user", "system", "system calls", "failed", "which"];
    const rows = Array.from(costs, ([name, mine]) => rowOf(name, mine));
    const lines = table([[options.race.title, ...heading], ...rows]);
    console.log(lines.join("\n"));
    return 0;
  });
}

await execute({
  name: "bench:calls",
  help,
  flags: { string: ["case", "only", "rounds", "seconds"] },
  read,
  run: tellCosts,
});
