/**
 * Plays schedules made of seeds against the server, and holds what happens
 * against what it promises.
 *
 * ```sh
 * deno task fuzz --count 10000
 * deno task fuzz --seed 4711
 * ```
 *
 * @module
 */

import {
  execute,
  type Flags,
  type Seeds,
  seedsOf,
} from "../harness/options.ts";
import { descriptors } from "../harness/proc.ts";
import { Progress } from "../harness/progress.ts";
import { pause } from "../sockets.ts";
import { findFaults } from "./model.ts";
import { play } from "./play.ts";
import { makeSchedule, type Schedule } from "./schedule.ts";

const help =
  `Plays random schedules, and holds what happens against the promises.

Usage: deno task fuzz [options]

Options:
      --seed S   the first seed [drawn from the clock]
      --count N  how many seeds, one after the other [1000, with --seed 1]
      --jobs N   how many at a time, 1 to 64 [4]
  -h, --help     print this help`;

/** Longer than any schedule takes that does not hang. */
const STUCK_MS = 50_000;

/** Plays the schedule of a seed, and tells what is wrong with what happened. */
export async function tryOut(seed: number): Promise<string[]> {
  const stuck = Promise.withResolvers<string[]>();
  const timer = setTimeout(() => stuck.resolve(["it hangs"]), STUCK_MS);
  const schedule = makeSchedule(seed);
  try {
    const trying = play(schedule).then(
      (events) => findFaults(schedule, events),
      (error) => [`the server ended: ${Deno.inspect(error)}`],
    );
    return await Promise.race([trying, stuck.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** What one has to know to think about a finding. */
export function describe(schedule: Schedule): string {
  const clients = schedule.clients.map(({ request, ...client }) => ({
    size: request.length,
    ...client,
  }));
  return Deno.inspect({ ...schedule, clients }, { depth: 5 });
}

interface Options extends Seeds {
  jobs: number;
}

function read(flags: Flags): Options {
  return {
    ...seedsOf(flags, 1000),
    jobs: flags.whole("jobs", 1, 64, 4),
  };
}

/** Plays them, and returns the exit status. */
async function fuzz({ first, count, jobs }: Options): Promise<number> {
  // Elsewhere nothing but findings is told.
  const progress = Deno.stderr.isTerminal() ? new Progress() : undefined;
  let next = first;
  let found = 0;
  let tried = 0;
  const tell = (what: string) => {
    found++;
    progress?.end();
    console.error(what);
  };
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    tell(`nobody handled, with seeds up to ${next - 1}:`);
    console.error(event.reason);
  });
  // The first ones of their kind also open what the runtime keeps.
  for (let seed = 1; seed <= 10; seed++) await tryOut(seed);
  const before = openDescriptors();
  const work = async () => {
    while (next < first + count) {
      const seed = next++;
      const faults = await tryOut(seed);
      tried++;
      progress?.show(`${tried} of ${count} schedules, ${found} findings`);
      if (faults.length === 0) continue;
      tell(`seed ${seed}:\n  ${faults.join("\n  ")}`);
      console.error(describe(makeSchedule(seed)));
      console.error(`play it again: deno task fuzz --seed ${seed}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  progress?.end();
  const left = await descriptorsLeft(before);
  console.log(
    `seeds ${first} to ${next - 1}: ${tried} schedules, ${found} findings, ` +
      `${left} descriptors left open`,
  );
  return found === 0 && left === 0 ? 0 : 1;
}

/** How many more descriptors are open, once those are closed that will be. */
async function descriptorsLeft(before: number): Promise<number> {
  for (let i = 0; i < 100 && openDescriptors() > before; i++) await pause(50);
  return Math.max(openDescriptors() - before, 0);
}

function openDescriptors(): number {
  return descriptors() ?? 0;
}

if (import.meta.main) {
  const flags = { string: ["seed", "count", "jobs"] };
  await execute({ name: "fuzz", help, flags, read, run: fuzz });
}
