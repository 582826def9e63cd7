/**
 * How many connections are lost when the tool is told to stop under traffic: it
 * is started and stopped many times, each time at a random moment. A connection
 * is answered whole, or refused before it is established, or else it is lost.
 *
 * ```sh
 * deno task soak:stops
 * deno task soak:stops --clients 0 --rate 500
 * ```
 *
 * Clients that wait for their answers before they connect again must not lose
 * one connection. Of clients that arrive at random, one may come between the
 * last look at the backlog and the close: one stop in twenty may lose some.
 * It needs a C compiler, `cc`: its clients must leave the processor to the tool.
 *
 * @module
 */

import { resolve } from "node:path";
import { messageOf } from "../harness/errors.ts";
import { execute, type Flags } from "../harness/options.ts";
import { Progress } from "../harness/progress.ts";
import { Random } from "../harness/random.ts";
import { count } from "./report.ts";
import { type Setting, type Stopped, stopUnderTraffic } from "./stop.ts";
import { buildTraffic } from "./traffic.ts";

const help = `Counts the connections that are lost when the tool is stopped.

Usage: deno task soak:stops [options]

Options:
  -n COUNT           stops [100]
  -c, --clients N    clients that connect again once they are answered [8]
      --rate R       clients that arrive at random, per second [0]
      --read-ahead N how many requests the tool reads ahead [0]
      --unix         have it listen on a Unix socket
      --seed S       when it is stopped is drawn from it [1]
      --server FILE  the server that is stopped [cli.ts]
  -h, --help         print this help`;

/** The share of stops that may lose a client that arrives at random. */
const UNLUCKY = 1 / 20;
const MAX_FAULTS = 10;

interface Options extends Setting {
  n: number;
  seed: number;
}

function read(flags: Flags): Options {
  return {
    n: flags.whole("n", 1, 1e6, 100),
    clients: flags.whole("clients", 0, 1000, 8),
    rate: flags.whole("rate", 0, 10_000, 0),
    readAhead: flags.whole("read-ahead", 0, 1000, 0),
    unix: flags.has("unix"),
    seed: flags.whole("seed", 0, 2 ** 32 - 1, 1),
    server: resolve(
      flags.file("server") ?? `${import.meta.dirname}/../../cli.ts`,
    ),
  };
}

async function stops({ n, seed, ...setting }: Options): Promise<number> {
  const progress = new Progress();
  const random = new Random(seed);
  const stopped: Stopped[] = [];
  let failure: string | undefined;
  const folder = await Deno.makeTempDir();
  try {
    const clients = await buildTraffic(folder);
    while (stopped.length < n) {
      stopped.push(await stopUnderTraffic(setting, clients, folder, random));
      progress.show(`${stopped.length} of ${n} stops`);
    }
  } catch (error) {
    failure = messageOf(error);
  }
  await Deno.remove(folder, { recursive: true });
  progress.end();
  const unlucky = stopped.filter(({ lost }) => lost.length > 0);
  report(stopped, unlucky.length);
  const allowed = setting.rate > 0 ? Math.floor(n * UNLUCKY) : 0;
  if (unlucky.length > allowed) {
    failure ??= `${unlucky.length} stops lost some, ${allowed} may`;
  }
  if (failure !== undefined) console.log(`amiss: ${failure}`);
  return failure === undefined ? 0 : 1;
}

function report(stopped: Stopped[], unlucky: number): void {
  const times = stopped.map(({ took }) => took).sort((a, b) => a - b);
  const faults = stopped.flatMap(({ lost }) => lost);
  const sum = (field: "answered" | "refused") =>
    stopped.reduce((total, result) => total + result[field], 0);
  const milliseconds = (time = 0) => `${time.toFixed(0)} ms`;
  const rows: [name: string, value: string][] = [
    ["stops", count(stopped.length)],
    ["  that lost some", count(unlucky)],
    ["answered", count(sum("answered"))],
    ["refused", count(sum("refused"))],
    ["lost", count(faults.length)],
    ["median time of a stop", milliseconds(times[times.length >> 1])],
    ["longest", milliseconds(times.at(-1))],
  ];
  for (const [name, value] of rows) {
    console.log(`${name.padEnd(30)} ${value.padStart(20)}`);
  }
  for (const fault of faults.slice(0, MAX_FAULTS)) console.log(`lost ${fault}`);
}

await execute({
  name: "soak:stops",
  help,
  flags: {
    boolean: ["unix"],
    string: ["n", "clients", "rate", "read-ahead", "seed", "server"],
    alias: { clients: "c" },
  },
  read,
  run: stops,
});
