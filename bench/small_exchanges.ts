/**
 * Small exchanges, side by side: this module against loops written by hand over
 * `Deno.listen`, which have none of its limits. Every contender reads the whole
 * request into one contiguous buffer and sends it back.
 *
 * ```sh
 * deno task bench
 * deno task bench --rounds 9 --exchanges 40000 --bytes 64 --clients 8
 * ```
 *
 * Rounds are interleaved, so that a noisy machine is noisy for all. What counts
 * are the ratios; the load comes from the same machine and is part of the wall
 * time, so the server's own CPU time is given, too.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";

const contenders: [name: string, file: string][] = [
  ["by hand, a buffer per read", "by_hand.ts"],
  ["by hand, one buffer", "by_hand_one_buffer.ts"],
  ["halfclose listen()", "with_listen.ts"],
  ["halfclose serve()", "with_serve.ts"],
];

const flags = parseArgs(Deno.args, {
  string: ["rounds", "exchanges", "bytes", "clients"],
});
const rounds = Number(flags.rounds ?? 7);
const exchanges = Number(flags.exchanges ?? 20_000);
const bytes = Number(flags.bytes ?? 64);
const clients = Number(flags.clients ?? 8);
if (bytes < 1 || bytes > 65_535) {
  console.error(
    "--bytes must be from 1 to 65535: this is about small exchanges",
  );
  Deno.exit(2);
}
/** Load comes from more than one process, lest it be the slower side. */
const loaders = Math.min(2, clients);

interface Result {
  /** Exchanges per second. */
  rate: number;
  /** Microseconds of the server's CPU time for one exchange. */
  cpu: number;
}

function run(file: string, args: string[], stdin: "piped" | "null") {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-config",
      "-A",
      `${import.meta.dirname}/${file}`,
      ...args,
    ],
    stdin,
    stdout: "piped",
  }).spawn();
}

async function measure(file: string): Promise<Result> {
  const server = run(file, [], "piped");
  const output = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = parseInt((await output.read()).value ?? "");
  const load = async (count: number) => {
    const each = Math.ceil(count / loaders);
    const processes = Array.from(
      { length: loaders },
      () =>
        run(
          "load.ts",
          [port, clients / loaders, each, bytes].map(String),
          "null",
        ),
    );
    const outputs = await Promise.all(
      processes.map((loader) => loader.output()),
    );
    if (outputs.some(({ code }) => code !== 0)) {
      throw new Error("The load failed");
    }
    const seconds = outputs.map(({ stdout }) =>
      parseFloat(new TextDecoder().decode(stdout))
    );
    return each * loaders / Math.max(...seconds);
  };
  const stdin = server.stdin.getWriter();
  const cpuTime = async () => {
    await stdin.write(new Uint8Array(1));
    return parseFloat((await output.read()).value ?? "");
  };
  await load(exchanges / 4);
  const before = await cpuTime();
  const rate = await load(exchanges);
  const cpu = (await cpuTime() - before) / exchanges;
  await stdin.close();
  await output.cancel();
  await server.status;
  return { rate, cpu };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

const results = new Map<string, Result[]>();
for (let round = 1; round <= rounds; round++) {
  for (const [name, file] of contenders) {
    await Deno.stderr.write(
      new TextEncoder().encode(`\r\x1b[Kround ${round} of ${rounds}: ${name}`),
    );
    const soFar = results.get(name) ?? [];
    results.set(name, [...soFar, await measure(file)]);
  }
}
await Deno.stderr.write(new TextEncoder().encode("\r\x1b[K"));

console.log(
  `${bytes} bytes, ${clients} clients, ${exchanges} exchanges a round, ` +
    `medians of ${rounds} interleaved rounds`,
);
const [base] = results.values();
console.table(Object.fromEntries(
  Array.from(results, ([name, all]) => {
    const rate = median(all.map(({ rate }) => rate));
    const cpu = median(all.map(({ cpu }) => cpu));
    const ratios = all.map(({ rate }, i) => rate / (base?.[i]?.rate ?? NaN));
    return [name, {
      "exchanges/s": Math.round(rate),
      "ratio": Number(median(ratios).toFixed(2)),
      "server CPU µs/exchange": Number(cpu.toFixed(1)),
    }];
  }),
));
