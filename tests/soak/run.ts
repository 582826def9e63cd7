// The run of a soak: the processes of the server and of the clients, and what is
// counted and measured of them.

import { peakMemory, resetPeak } from "../harness/proc.ts";
import { pause, writeAll } from "../sockets.ts";
import { behave, connectTo } from "./behaved.ts";
import type { Task } from "./clients.ts";
import { limits, Request, type Until } from "./exchanges.ts";
import { type Footprint, footprintOf } from "./footprint.ts";
import { Child } from "./processes.ts";
import type { Counts, Measures, Settings } from "./server.ts";
import { doneOf, emptyTally, sumUp, type Tally } from "./tally.ts";

/** What is to be run. */
export interface Plan {
  /** Exchanges in all. */
  n: number;
  /** Processes that clients run in. */
  clients: number;
  /** The share of clients that do not behave. */
  hostile: number;
  seed: number;
  /** How many requests the server reads ahead. */
  readAhead: number;
  /** What ends requests, if the FIN alone does not. */
  until: Until | undefined;
  /** The file of the server under test. */
  server: string;
}

/** What has come of it so far. */
export interface Findings {
  tally: Tally;
  /** Exchanges of the run's own: they behave. */
  own: number;
  /** Connections of the run's own whose record may be anything. */
  held: number;
  /** Exchanges between the two measurements, and what they took. */
  measured: number;
  seconds: number;
  first: Footprint | undefined;
  last: Footprint | undefined;
  /** The most memory in between, where the system tells. */
  peak: number | undefined;
  counts: Counts | undefined;
}

/** Connections that are open at a time, in all processes together. */
const IN_FLIGHT = 32;
/** Clients that wait in the backlog when the server is told to stop. */
const LAST = 100;

export class Run {
  readonly #plan: Plan;
  readonly #onProgress: (done: number) => void;
  readonly #children = new Set<Child<unknown>>();
  readonly #server: Child<unknown>;
  /** The newest tally of each process of clients. */
  readonly #tallies: Tally[] = [];
  readonly #found: Omit<Findings, "tally"> = {
    own: 0,
    held: 0,
    measured: 0,
    seconds: 0,
    first: undefined,
    last: undefined,
    peak: undefined,
    counts: undefined,
  };

  constructor(plan: Plan, onProgress: (done: number) => void) {
    this.#plan = plan;
    this.#onProgress = onProgress;
    const { readAhead, until } = plan;
    const settings: Settings = { readAhead, until };
    this.#server = this.#start(plan.server, [JSON.stringify(settings)], [
      "--v8-flags=--expose-gc",
    ]);
  }

  get findings(): Findings {
    return { ...this.#found, tally: sumUp(this.#tallies) };
  }

  /** Runs all of it. */
  async all(): Promise<void> {
    const { n } = this.#plan;
    const found = this.#found;
    const port = await this.#hear<number>();
    const tenth = Math.floor(n / 10);
    const last = n - Math.min(LAST, tenth);
    await this.#exchange(port, 0, tenth);
    found.first = await this.#measure(port);
    const peakIsTold = resetPeak(this.#server.pid);
    const began = performance.now();
    await this.#exchange(port, tenth, last);
    found.measured = last - tenth;
    found.seconds = (performance.now() - began) / 1000;
    if (peakIsTold) found.peak = peakMemory(this.#server.pid);
    found.last = await this.#measure(port);
    await this.#stopWithFullBacklog(port, last);
  }

  /** Ends whatever still runs. */
  async end(): Promise<void> {
    await Promise.all(Array.from(this.#children, (child) => child.end()));
  }

  #start<Message>(
    file: string,
    args: string[],
    flags?: string[],
  ): Child<Message> {
    const child = new Child<Message>(file, args, flags);
    this.#children.add(child);
    return child;
  }

  /** Has clients do the exchanges from one number to another. */
  async #exchange(
    port: number,
    from: number,
    to: number,
    lastOnes = false,
    onTally = () => {},
  ): Promise<void> {
    const { clients, hostile, seed, until } = this.#plan;
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
        until,
      };
      const child = this.#start<Tally>(file, [JSON.stringify(task)]);
      const at = this.#tallies.push(emptyTally()) - 1;
      for (;;) {
        const tally = await child.hear();
        if (!tally) throw new Error("A process of clients ended too soon");
        this.#tallies[at] = tally;
        this.#onProgress(doneOf(this.findings.tally));
        onTally();
        if (tally.done) break;
      }
      await child.end();
      this.#children.delete(child);
    }));
  }

  async #measure(port: number): Promise<Footprint> {
    // First in, first out: once this one is answered, all before it are over,
    await behave(port, new Request(this.#plan.n, 100, 1), () => {});
    this.#found.own++;
    // and after this long none of them can linger.
    await pause(limits.lingerTimeout);
    await this.#server.tell("measure");
    return footprintOf(this.#server.pid, await this.#hear<Measures>());
  }

  /** Stops the server as clients wait, none of which may be lost. */
  async #stopWithFullBacklog(port: number, from: number): Promise<void> {
    const { n } = this.#plan;
    // Has its turn until all the others are there, or its time is up.
    using holder = await connectTo(port);
    this.#found.held++;
    const before = this.findings.tally.sent;
    const waiting = Promise.withResolvers<void>();
    const exchanged = this.#exchange(port, from, n, true, () => {
      if (this.findings.tally.sent - before === n - from) waiting.resolve();
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
    this.#found.counts = await this.#hear<Counts>();
  }

  async #hear<Message>(): Promise<Message> {
    const message = await this.#server.hear();
    if (message === undefined) throw new Error("The server ended by itself");
    return message as Message;
  }
}
