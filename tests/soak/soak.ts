/**
 * A proof that nothing is lost and nobody is stuck: a server in a process of its
 * own, and clients in others, some of which do not behave. Every byte of every
 * answer is checked, every connection must have its one record, and neither
 * memory nor descriptors may grow. Whatever is amiss makes it exit with 1.
 *
 * ```sh
 * deno task soak
 * deno task soak -n 100000 --hostile 0.05 --minutes 5
 * deno task soak --read-ahead 8 --until '\r\n'
 * deno task soak --length
 * ```
 *
 * It measures after the first tenth, once the runtime has warmed up, and again
 * before the end, both times when nobody is connected and garbage has been
 * collected. The last clients of all are waiting in the backlog when the server
 * is told to stop, and must be answered, too.
 *
 * @module
 */

import { resolve } from "node:path";
import { messageOf } from "../harness/errors.ts";
import { bytes } from "../../cli/args/flag_kinds.ts";
import { execute, type Flags, onStop, UsageError } from "../harness/options.ts";
import { Progress } from "../harness/progress.ts";
import type { Until } from "./exchanges.ts";
import { count, report } from "./report.ts";
import { type Plan, Run } from "./run.ts";

const help = `Proves that nothing is lost and nobody is stuck.

Usage: deno task soak [options]

Options:
  -n COUNT           exchanges in all [1000000]
  -c, --clients N    processes that clients run in, 1 to 32 [4]
      --hostile P    share of clients that do not behave, 0 to 1 [0.01]
      --minutes M    longest time that it may take [20]
      --seed S       what the clients do is drawn from it [1]
      --read-ahead N how many requests the server reads ahead [0]
      --until TEXT   a delimiter that ends requests, in ASCII: \\n, \\r\\n
      --length       requests tell their length, as a function for \`until\` reads it
      --server FILE  the server under test [tests/soak/server.ts]
  -h, --help         print this help`;

interface Options extends Plan {
  minutes: number;
}

function read(flags: Flags): Options {
  return {
    n: flags.whole("n", 1000, 1e9, 1_000_000),
    clients: flags.whole("clients", 1, 32, 4),
    hostile: flags.number(
      "hostile",
      (p) => p >= 0 && p <= 1,
      "from 0 to 1",
      0.01,
    ),
    minutes: flags.number("minutes", (m) => m > 0 && m <= 10_000, "over 0", 20),
    seed: flags.whole("seed", 0, 2 ** 32 - 1, 1),
    readAhead: flags.whole("read-ahead", 0, 1000, 0),
    until: readUntil(flags),
    server: resolve(flags.file("server") ?? `${import.meta.dirname}/server.ts`),
  };
}

/** What ends requests besides the FIN. */
function readUntil(flags: Flags): Until | undefined {
  const delimiter = readDelimiter(flags);
  if (!flags.has("length")) {
    return delimiter === undefined ? undefined : { delimiter };
  }
  if (delimiter === undefined) return "length";
  throw new UsageError("--until and --length exclude each other");
}

/** In ASCII, as what clients send is not, and must not hold it. */
function readDelimiter(flags: Flags): string | undefined {
  const text = flags.text("until");
  if (text === undefined) return undefined;
  const delimiter = bytes("").read(text);
  if (delimiter?.length && delimiter.every((byte) => byte < 128)) {
    return String.fromCharCode(...delimiter);
  }
  throw new UsageError(`--until must be ASCII text, received "${text}"`);
}

/** Runs it within its time, and returns the exit status. */
async function soak({ minutes, ...plan }: Options): Promise<number> {
  const progress = new Progress();
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const run = new Run(plan, (done) => {
    const percent = Math.floor(100 * done / plan.n);
    const whole = `${count(done)} of ${count(plan.n)} (${percent} %)`;
    progress.show(`${whole}, ${Math.round(seconds())} s`);
  });
  const ended = Promise.withResolvers<string | undefined>();
  setTimeout(
    () => ended.resolve(`it did not end within ${minutes} minutes`),
    minutes * 60_000,
  );
  onStop((signal) => ended.resolve(`stopped by ${signal}`));
  run.all().then(
    () => ended.resolve(undefined),
    (error) => ended.resolve(messageOf(error)),
  );
  const failure = await ended.promise;
  await run.end();
  progress.end();
  return report(run.findings, plan.n, seconds(), failure) ? 0 : 1;
}

await execute({
  name: "soak",
  help,
  flags: {
    string: [
      "n",
      "clients",
      "hostile",
      "minutes",
      "seed",
      "read-ahead",
      "until",
      "server",
    ],
    boolean: ["length"],
    alias: { clients: "c" },
  },
  read,
  run: soak,
});
