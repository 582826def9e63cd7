/**
 * A proof that nothing is lost and nobody is stuck: a server in a process of its
 * own, and clients in others, some of which do not behave. Every byte of every
 * answer is checked, every connection must have its one record, and neither
 * memory nor descriptors may grow. Whatever is amiss makes it exit with 1.
 *
 * ```sh
 * deno task soak
 * deno task soak -n 100000 --hostile 0.05 --minutes 5
 * ```
 *
 * It measures after the first tenth, once the runtime has warmed up, and again
 * before the end, both times when nobody is connected and garbage has been
 * collected. The last clients of all are waiting in the backlog when the server
 * is told to stop, and must be answered, too.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { resolve } from "node:path";
import { behave, connect, messageOf, writeAll } from "./behaved.ts";
import type { Tally, Task } from "./clients.ts";
import { limits, Request } from "./exchanges.ts";
import { kinds } from "./hostile.ts";
import { Child } from "./processes.ts";
import type { Counts, Measures } from "./server.ts";

const help = `Proves that nothing is lost and nobody is stuck.

Usage: deno task soak [options]

Options:
  -n COUNT           exchanges in all [1000000]
  -c, --clients N    processes that clients run in, 1 to 32 [4]
      --hostile P    share of clients that do not behave, 0 to 1 [0.01]
      --minutes M    longest time that it may take [20]
      --seed S       what the clients do is drawn from it [1]
      --server FILE  the server under test [tests/soak/server.ts]
  -h, --help         print this help`;

/** Connections that are open at a time, in all processes together. */
const IN_FLIGHT = 32;
/** Clients that wait in the backlog when the server is told to stop. */
const LAST = 100;
/**
 * By how many bytes live objects may seem to grow, as compiled code and inline
 * caches come late: 3 bytes for each of a million exchanges are too many.
 */
const HEAP_TOLERANCE = 2 * 1024 ** 2;
/**
 * By how many bytes the process may beside what V8 holds for objects: its
 * allocator does not give all back. V8 itself enlarges its young generation at
 * some time or other, by more than this, and whatever it holds.
 */
const NATIVE_TOLERANCE = 16 * 1024 ** 2;
const MAX_FAULTS = 10;

interface Options {
  n: number;
  clients: number;
  hostile: number;
  minutes: number;
  seed: number;
  server: string;
}

/** What a server's process takes, when nobody is connected. */
interface Footprint extends Measures {
  /** Where the system tells. */
  descriptors: number | undefined;
}

/** Memory of a process that V8 does not hold. */
function native({ rss, held }: Footprint): number {
  return rss - held;
}

/** Arguments that cannot be understood: its message names the one at fault. */
class UsageError extends Error {}

const children = new Set<Child<unknown>>();

function start<Message>(
  file: string,
  args: string[],
  flags?: string[],
): Child<Message> {
  const child = new Child<Message>(file, args, flags);
  children.add(child);
  return child;
}

async function endAll(): Promise<void> {
  await Promise.all(Array.from(children, (child) => child.end()));
}

class Soak {
  readonly #options: Options;
  readonly #server: Child<unknown>;
  readonly #progress: Progress;
  readonly #started = performance.now();
  /** The newest tally of each process of clients. */
  readonly #tallies: Tally[] = [];
  /** Exchanges of our own: they behave. */
  #own = 0;
  /** Connections of our own whose record may be anything. */
  #held = 0;
  #seconds = 0;
  #first: Footprint | undefined;
  #last: Footprint | undefined;
  #peak: number | undefined;
  #counts: Counts | undefined;
  /** What is amiss, beside what the clients tell. */
  readonly #amiss: string[] = [];

  constructor(options: Options) {
    this.#options = options;
    this.#server = start(options.server, [], ["--v8-flags=--expose-gc"]);
    this.#progress = new Progress(options.n);
  }

  /** Runs all of it. */
  async run(): Promise<void> {
    const { n } = this.#options;
    const port = await this.#hear<number>();
    const tenth = Math.floor(n / 10);
    const last = Math.min(LAST, tenth);
    await this.#exchange(port, 0, tenth);
    this.#first = await this.#measure(port);
    const peakIsTold = resetPeak(this.#server.pid);
    const began = performance.now();
    await this.#exchange(port, tenth, n - last);
    this.#seconds = (performance.now() - began) / 1000;
    if (peakIsTold) this.#peak = peak(this.#server.pid);
    this.#last = await this.#measure(port);
    await this.#stopWithFullBacklog(port, n - last);
  }

  /** Has clients do the exchanges from one number to another. */
  async #exchange(
    port: number,
    from: number,
    to: number,
    lastOnes = false,
    onTally = () => {},
  ): Promise<void> {
    const { clients, hostile, seed } = this.#options;
    const file = `${import.meta.dirname}/clients.ts`;
    await Promise.all(Array.from({ length: clients }, async (_, i) => {
      const task: Task = {
        port,
        seed,
        from: from + i,
        to,
        step: clients,
        inFlight: Math.ceil((lastOnes ? LAST : IN_FLIGHT) / clients),
        hostile: lastOnes ? 0 : hostile,
        ordinal: i,
      };
      const child = start<Tally>(file, [JSON.stringify(task)]);
      const at = this.#tallies.length++;
      for (;;) {
        const tally = await child.hear();
        if (!tally) throw new Error("A process of clients ended too soon");
        this.#tallies[at] = tally;
        this.#progress.show(this.#done);
        onTally();
        if (tally.done) break;
      }
      await child.end();
      children.delete(child);
    }));
  }

  async #measure(port: number): Promise<Footprint> {
    // First in, first out: once this one is answered, all before it are over,
    await behave(port, new Request(this.#options.n, 100, 1), () => {});
    this.#own++;
    // and after this long none of them can linger.
    await new Promise((done) => setTimeout(done, limits.lingerTimeout));
    await this.#server.tell("measure");
    const measures = await this.#hear<Measures>();
    return { ...measures, descriptors: descriptors(this.#server.pid) };
  }

  /** Stops the server as clients wait, none of which may be lost. */
  async #stopWithFullBacklog(port: number, from: number): Promise<void> {
    const { n } = this.#options;
    // Has its turn until all the others are there, or its time is up.
    using holder = await connect(port);
    this.#held++;
    const before = this.#sum(({ sent }) => sent);
    const waiting = Promise.withResolvers<void>();
    const exchanged = this.#exchange(port, from, n, true, () => {
      if (this.#sum(({ sent }) => sent) - before === n - from) {
        waiting.resolve();
      }
    });
    const holding = setInterval(
      () => writeAll(holder, Uint8Array.of(1)).catch(() => {}),
      limits.idleTimeout / 4,
    );
    try {
      // If one cannot even connect, they end before all of them have waited.
      await Promise.race([waiting.promise, exchanged]);
    } finally {
      clearInterval(holding);
    }
    await this.#server.tell("stop");
    await holder.closeWrite().catch(() => {});
    await exchanged;
    this.#counts = await this.#hear<Counts>();
  }

  async #hear<Message>(): Promise<Message> {
    const message = await this.#server.hear();
    if (message === undefined) throw new Error("The server ended by itself");
    return message as Message;
  }

  #sum(count: (tally: Tally) => number): number {
    return this.#tallies.reduce((sum, tally) => sum + count(tally), 0);
  }

  get #wrong() {
    return {
      lost: this.#sum(({ wrong }) => wrong.lost),
      mangled: this.#sum(({ wrong }) => wrong.mangled),
      failed: this.#sum(({ wrong }) => wrong.failed),
    };
  }

  #hostile(name: string): number {
    return this.#sum(({ hostile }) => hostile[name] ?? 0);
  }

  get #allHostile(): number {
    return kinds.reduce((sum, { name }) => sum + this.#hostile(name), 0);
  }

  get #good(): number {
    return this.#sum(({ good }) => good);
  }

  get #done(): number {
    return this.#good + this.#allHostile;
  }

  /**
   * Says how it went.
   *
   * @param failure What ended it before its time.
   * @returns Whether all is well.
   */
  report(failure?: string): boolean {
    this.#progress.end();
    const amiss = failure === undefined
      ? [...this.#judgeRecords(), ...this.#judgeFootprint()]
      : [failure];
    const { n } = this.#options;
    const { lost, mangled, failed } = this.#wrong;
    const rows: [string, string | number][] = [
      ["exchanges", this.#done],
      ["unfinished", n - this.#done],
      ["lost", lost],
      ["wrong bytes", mangled],
      ["errors", failed],
      ["well-behaved", this.#good],
      ["hostile", this.#allHostile],
      ...kinds.map(({ name }): [string, number] => [
        `  ${name}`,
        this.#hostile(name),
      ]),
      ...this.#recordRows(),
      ...this.#footprintRows(),
    ];
    const faults = this.#tallies.flatMap((tally) => tally.faults);
    for (const [name, value] of rows) {
      const text = typeof value === "number" ? count(value) : value;
      console.log(`${name.padEnd(30)} ${text.padStart(20)}`);
    }
    for (const fault of faults.slice(0, MAX_FAULTS)) console.log(fault);
    for (const line of amiss) console.log(`amiss: ${line}`);
    return amiss.length === 0 && lost + mangled + failed === 0 &&
      this.#good + this.#allHostile === n;
  }

  #recordRows(): [string, string | number][] {
    if (!this.#counts) return [];
    const { records, outcomes } = this.#counts;
    return [
      ["records", records],
      ...Object.entries(outcomes).map(([outcome, number]): [string, number] => [
        `  ${outcome}`,
        number,
      ]),
    ];
  }

  #footprintRows(): [string, string | number][] {
    const [first, last] = [this.#first, this.#last];
    if (!first || !last) return [];
    const { n } = this.#options;
    const part = n - Math.floor(n / 10) - Math.min(LAST, Math.floor(n / 10));
    const unknown = "not to be had";
    const pair = (one: string, other: string) => `${one} → ${other}`;
    return [
      ["exchanges/s", Math.round(part / this.#seconds)],
      [
        "server CPU per exchange",
        `${((last.cpu - first.cpu) / part).toFixed(1)} µs`,
      ],
      ["server heap", pair(mebibytes(first.heap), mebibytes(last.heap))],
      ["  held by V8", pair(mebibytes(first.held), mebibytes(last.held))],
      ["server memory", pair(mebibytes(first.rss), mebibytes(last.rss))],
      ["  beside V8", pair(mebibytes(native(first)), mebibytes(native(last)))],
      [
        "  peak in between",
        this.#peak === undefined ? unknown : mebibytes(this.#peak),
      ],
      [
        "server descriptors",
        first.descriptors === undefined || last.descriptors === undefined
          ? unknown
          : pair(String(first.descriptors), String(last.descriptors)),
      ],
      [
        "time",
        `${((performance.now() - this.#started) / 1000).toFixed(0)} s`,
      ],
    ];
  }

  /** One record for each connection, and each as its client would have it. */
  #judgeRecords(): string[] {
    if (!this.#counts) return ["the server kept no count"];
    const { accepted, records, misnumbered, outcomes } = this.#counts;
    const amiss: string[] = [];
    if (records !== accepted) {
      amiss.push(`${records} records of ${accepted} connections`);
    }
    if (misnumbered > 0) amiss.push(`${misnumbered} records out of order`);
    const done = kinds.map((kind) => ({
      ...kind,
      done: this.#hostile(kind.name),
    }));
    const behaved = this.#good + this.#own;
    const wrong = Object.values(this.#wrong).reduce((a, b) => a + b);
    const check = (what: string, is: number, least: number, most: number) => {
      if (is < least || is > most + this.#held + wrong) {
        amiss.push(`${is} ${what}, expected from ${least} to ${most}`);
      }
    };
    const sum = (of: typeof done) => of.reduce((sum, k) => sum + k.done, 0);
    const seen = done.filter(({ unseen }) => !unseen);
    check("records", records, behaved + sum(seen), behaved + sum(done));
    const known = new Set(["ok", ...kinds.flatMap(({ outcomes }) => outcomes)]);
    for (const [outcome, number] of Object.entries(outcomes)) {
      if (!known.has(outcome)) amiss.push(`${number} records say "${outcome}"`);
    }
    for (const outcome of known) {
      const always = seen.filter(({ outcomes }) =>
        outcomes.every((one) => one === outcome)
      );
      const perhaps = done.filter(({ outcomes }) =>
        outcomes.some((one) => one === outcome)
      );
      const others = outcome === "ok" ? behaved : 0;
      check(
        `records that say "${outcome}"`,
        (outcomes as Record<string, number>)[outcome] ?? 0,
        others + sum(always),
        others + sum(perhaps),
      );
    }
    return amiss;
  }

  /** Nothing may be kept of exchanges that are over. */
  #judgeFootprint(): string[] {
    const [first, last] = [this.#first, this.#last];
    if (!first || !last) return ["the server was not measured"];
    const amiss: string[] = [];
    const check = (what: string, grown: number, tolerance: number) => {
      if (grown <= tolerance) return;
      amiss.push(
        `the server's ${what} grew by ${mebibytes(grown)}, more than the ` +
          `${mebibytes(tolerance)} tolerated`,
      );
    };
    check("heap", last.heap - first.heap, HEAP_TOLERANCE);
    check("memory beside V8", native(last) - native(first), NATIVE_TOLERANCE);
    const { descriptors = NaN } = last;
    // Where they are not told, the table says so.
    if (descriptors > (first.descriptors ?? NaN)) {
      amiss.push(
        `the server had ${first.descriptors} descriptors open, then ` +
          `${last.descriptors}`,
      );
    }
    return amiss;
  }
}

/** Says how far it is: in place on a terminal, now and then elsewhere. */
class Progress {
  readonly #total: number;
  readonly #terminal = Deno.stderr.isTerminal();
  readonly #started = performance.now();
  #shown = -Infinity;

  constructor(total: number) {
    this.#total = total;
  }

  show(done: number): void {
    const now = performance.now();
    if (now - this.#shown < (this.#terminal ? 250 : 15_000)) return;
    this.#shown = now;
    const seconds = Math.round((now - this.#started) / 1000);
    const percent = Math.floor(100 * done / this.#total);
    const line = `${count(done)} of ${count(this.#total)} (${percent} %), ` +
      `${seconds} s`;
    this.#write(this.#terminal ? `\r\x1b[K${line}` : `${line}\n`);
  }

  end(): void {
    if (this.#terminal) this.#write("\r\x1b[K");
  }

  #write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  }
}

// What Linux tells of a process. Other systems do not, or not so.

function descriptors(pid: number): number | undefined {
  return whereTold(() =>
    Array.from(Deno.readDirSync(`/proc/${pid}/fd`)).length
  );
}

/** The most memory that a process has had since `resetPeak()`, in bytes. */
function peak(pid: number): number | undefined {
  return whereTold(() => {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  });
}

/** @returns Whether `peak()` will tell of what comes now. */
function resetPeak(pid: number): boolean {
  const reset = () => {
    Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5");
    return true;
  };
  return whereTold(reset) ?? false;
}

function whereTold<Result>(ask: () => Result): Result | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    return ask();
  } catch {
    // Containers may keep it to themselves.
    return undefined;
  }
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** Digits in groups of three. */
function count(number: number): string {
  return String(number).replaceAll(/\B(?=(\d{3})+$)/g, " ");
}

function readOptions(args: string[]): Options | "help" {
  const flags = parseArgs(args, {
    boolean: ["help"],
    string: ["n", "clients", "hostile", "minutes", "seed", "server"],
    alias: { clients: "c", help: "h" },
    unknown: (arg) => {
      throw new UsageError(`unexpected argument "${arg}", see --help`);
    },
  });
  if (flags.help) return "help";
  const number = (
    flag: "n" | "clients" | "hostile" | "minutes" | "seed",
    isRight: (value: number) => boolean,
    expected: string,
    otherwise: number,
  ) => {
    const text = flags[flag];
    if (text === undefined) return otherwise;
    const value = Number(text);
    if (text.trim() !== "" && isRight(value)) return value;
    const name = flag.length === 1 ? `-${flag}` : `--${flag}`;
    throw new UsageError(`${name} must be ${expected}, received "${text}"`);
  };
  const whole = (from: number, to: number) => (value: number) =>
    Number.isInteger(value) && value >= from && value <= to;
  const n = "a whole number from 1000 to 1000000000";
  const seed = "a whole number from 0 to 4294967295";
  const server = flags.server ?? `${import.meta.dirname}/server.ts`;
  if (server === "") throw new UsageError("--server needs a value: a file");
  return {
    n: number("n", whole(1000, 1e9), n, 1_000_000),
    clients: number("clients", whole(1, 32), "a whole number from 1 to 32", 4),
    hostile: number("hostile", (p) => p >= 0 && p <= 1, "from 0 to 1", 0.01),
    minutes: number("minutes", (m) => m > 0 && m <= 10_000, "over 0", 20),
    seed: number("seed", whole(0, 2 ** 32 - 1), seed, 1),
    server: resolve(server),
  };
}

/** Runs it within its time, and returns the exit status. */
async function main(args: string[]): Promise<number> {
  let options: Options | "help";
  try {
    options = readOptions(args);
  } catch (error) {
    console.error(`soak: ${messageOf(error)}`);
    return 2;
  }
  if (options === "help") {
    console.log(help);
    return 0;
  }
  const soak = new Soak(options);
  const ended = Promise.withResolvers<string | undefined>();
  const { minutes } = options;
  setTimeout(
    () => ended.resolve(`it did not end within ${minutes} minutes`),
    minutes * 60_000,
  );
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    if (Deno.build.os === "windows" && signal === "SIGTERM") continue;
    Deno.addSignalListener(signal, () => ended.resolve(`stopped by ${signal}`));
  }
  soak.run().then(
    () => ended.resolve(undefined),
    (error) => ended.resolve(messageOf(error)),
  );
  const failure = await ended.promise;
  await endAll();
  return soak.report(failure) ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
