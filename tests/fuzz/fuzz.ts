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

import { parseArgs } from "@std/cli/parse-args";
import { descriptors } from "../support.ts";
import { findFaults } from "./model.ts";
import { pause, play } from "./play.ts";
import { makeSchedule, type Schedule } from "./schedule.ts";

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

async function main(args: string[]): Promise<number> {
  const flags = parseArgs(args, {
    string: ["seed", "count", "jobs"],
    default: { jobs: "4" },
  });
  const first = Number(flags.seed ?? Date.now() % 2 ** 31);
  const count = Number(flags.count ?? (flags.seed === undefined ? 1000 : 1));
  const numbers = [first, count, Number(flags.jobs)];
  if (!numbers.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    console.error("fuzz: --seed, --count and --jobs take whole numbers");
    return 2;
  }
  let next = first;
  let found = 0;
  let tried = 0;
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    found++;
    console.error(`\nnobody handled, with seeds up to ${next - 1}:`);
    console.error(event.reason);
  });
  // The first ones of their kind also open what the runtime keeps.
  for (let seed = 1; seed <= 10; seed++) await tryOut(seed);
  const before = descriptors();
  const work = async () => {
    while (next < first + count) {
      const seed = next++;
      const faults = await tryOut(seed);
      tried++;
      progress(`${tried} of ${count} schedules, ${found} findings`);
      if (faults.length === 0) continue;
      found++;
      console.error(`\nseed ${seed}:\n  ${faults.join("\n  ")}`);
      console.error(describe(makeSchedule(seed)));
      console.error(`play it again: deno task fuzz --seed ${seed}`);
    }
  };
  await Promise.all(Array.from({ length: Number(flags.jobs) }, work));
  const left = await descriptorsLeft(before);
  console.log(
    `\nseeds ${first} to ${next - 1}: ${tried} schedules, ${found} findings, ` +
      `${left} descriptors left open`,
  );
  return found === 0 && left === 0 ? 0 : 1;
}

function progress(text: string): void {
  if (!Deno.stderr.isTerminal()) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`\r${text}`));
}

/** How many more descriptors are open, once those are closed that will be. */
async function descriptorsLeft(before: number): Promise<number> {
  for (let i = 0; i < 100 && descriptors() > before; i++) await pause(50);
  return Math.max(descriptors() - before, 0);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
