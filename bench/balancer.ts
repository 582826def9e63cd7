/**
 * Replicas of the tool behind HAProxy and nginx, with the files in `deploy/`:
 * how many exchanges a second 1, 2 and 4 of them have. Their handler waits for
 * 5 ms, so that one of them has 200 at most.
 *
 * ```sh
 * deno task bench:balancer
 * deno task bench:balancer --rounds 9 --seconds 3
 * ```
 *
 * Rounds are interleaved, and the ratios are taken within each round.
 *
 * @module
 */

import { balance, type BalancerName, Replica } from "../tests/balancer.ts";
import { execute, type Flags } from "../tests/harness/options.ts";
import { Progress } from "../tests/harness/progress.ts";
import { muster } from "./field.ts";
import { runLoad } from "./measure.ts";
import { median } from "./results.ts";
import { figure, ratio, table } from "./tables.ts";

const help = `Measures replicas of the tool behind HAProxy and nginx.

Usage: deno task bench:balancer [options]

Options:
      --rounds N     how often, 1 to 99; medians are told [5]
      --seconds S    how long each time, over 0 [1]
  -h, --help         print this help`;

interface Options {
  rounds: number;
  seconds: number;
}

const HANDLER = "bench/servers/wait_5ms.ts";

/** The clients, who ask all the time. */
const CLIENTS = { clients: 16, request: 64, answer: 0, where: "tcp" } as const;

/** How clients come to how many replicas. The first is what the others are compared to. */
const setups: { title: string; by?: BalancerName; replicas: number }[] = [
  { title: "1 replica, without a balancer", replicas: 1 },
  { title: "1 replica behind HAProxy", by: "haproxy", replicas: 1 },
  { title: "2 replicas behind HAProxy", by: "haproxy", replicas: 2 },
  { title: "4 replicas behind HAProxy", by: "haproxy", replicas: 4 },
  { title: "1 replica behind nginx", by: "nginx", replicas: 1 },
  { title: "2 replicas behind nginx", by: "nginx", replicas: 2 },
  { title: "4 replicas behind nginx", by: "nginx", replicas: 4 },
];

/** Runs all rounds, and tells of them. */
async function bench({ rounds, seconds }: Options): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "halfclose-bench-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const { load } = await muster([], folder);
  const measure = async (port: number) => {
    const result = await runLoad(CLIENTS, `${port}`, seconds, load);
    return result.exchanges / result.seconds;
  };
  const progress = new Progress();
  const figures = setups.map((): number[] => []);
  for (let round = 1; round <= rounds; round++) {
    await using first = await Replica.start(HANDLER);
    await using second = await Replica.start(HANDLER);
    await using third = await Replica.start(HANDLER);
    await using fourth = await Replica.start(HANDLER);
    const replicas = [first, second, third, fourth];
    for (const [i, { title, by, replicas: count }] of setups.entries()) {
      progress.show(`round ${round} of ${rounds}: ${title}`);
      if (by === undefined) {
        figures[i]?.push(await measure(first.port));
      } else {
        await using balancer = await balance(by, replicas.slice(0, count));
        figures[i]?.push(await measure(balancer.port));
      }
    }
  }
  progress.end();
  const rows = setups.map(({ title }, i) => {
    const ratios = figures[i]?.map((value, round) =>
      value / (figures[0]?.[round] ?? NaN)
    );
    return [
      title,
      figure(median(figures[i] ?? [])),
      ratio(median(ratios ?? [])),
    ];
  });
  const heading = ["16 clients, 5 ms each", "exchanges/s", "without = 1"];
  console.log(table([heading, ...rows]).join("\n"));
  return 0;
}

await execute({
  name: "bench:balancer",
  help,
  flags: { string: ["rounds", "seconds"] },
  read: (flags: Flags): Options => ({
    rounds: flags.whole("rounds", 1, 99, 5),
    seconds: flags.seconds("seconds", 10, 1),
  }),
  run: bench,
});
