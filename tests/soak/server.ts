// The server under test, in a process of its own. It counts what it records.

import process from "node:process";
import { type Conn, type Handler, type Outcome, serve } from "../../server.ts";
import {
  END,
  lengthIn,
  limits,
  refusal,
  Request,
  type Until,
} from "./exchanges.ts";
import { heard, say } from "./processes.ts";

/** What the server is told as it starts. */
export interface Settings {
  readAhead: number;
  /** What ends requests, if the FIN alone does not. */
  until: Until | undefined;
}

/** What the server says when it is told to `"measure"`. */
export interface Measures {
  /** Bytes that live objects and buffers take. */
  heap: number;
  /** Bytes that V8 holds for objects, whether they live or not. */
  held: number;
  /** Bytes of the process in memory. */
  rss: number;
  /** Microseconds of CPU time so far. */
  cpu: number;
}

/** What the server says at last, when it was told to `"stop"`. */
export interface Counts {
  /** Connections that had their turn. */
  accepted: number;
  /** Records. */
  records: number;
  /** Records whose number was not the next one, or came twice. */
  misnumbered: number;
  outcomes: Partial<Record<Outcome, number>>;
}

/** The request as often as it asks for, and a mark that this was all. */
export async function answer(conn: Conn<Deno.NetAddr>): Promise<Uint8Array[]> {
  const request = await conn.bytes();
  const times = Request.timesOf(request);
  return [...Array<Uint8Array>(times).fill(request), Uint8Array.of(END)];
}

/** Serves until it is told to stop, or nobody is left to tell it. */
export async function serveForSoak(
  handler: Handler<Deno.NetAddr> = answer,
): Promise<void> {
  const counts: Counts = {
    accepted: 0,
    records: 0,
    misnumbered: 0,
    outcomes: {},
  };
  const { readAhead, until }: Settings = JSON.parse(
    Deno.args[0] ?? '{"readAhead":0}',
  );
  const numbers = new Numbers();
  const server = serve({
    ...limits,
    readAhead,
    ...(until !== undefined && {
      until: until === "length" ? lengthIn : until.delimiter,
    }),
    hostname: "127.0.0.1",
    port: 0,
    allow: () => {
      counts.accepted++;
      return true;
    },
    onRefuse: (error) =>
      refusal("option" in error ? error.option : "maxRequestBytes"),
    onExchange: ({ id, outcome }) => {
      if (!numbers.accepts(id, readAhead)) counts.misnumbered++;
      counts.records++;
      counts.outcomes[outcome] = (counts.outcomes[outcome] ?? 0) + 1;
    },
  }, handler);
  say(server.addr.port);
  for await (const line of heard()) {
    if (line === "measure") say(measure());
    if (line !== "stop") continue;
    await server.shutdown();
    say(counts);
  }
  Deno.exit();
}

/** The numbers of records: each comes once, and none is left out. */
class Numbers {
  /** All up to this one have come, and some after it. */
  #all = 0;
  readonly #early = new Set<number>();

  /** Whether a number may come now: read ahead, some come before their turn. */
  accepts(id: number, readAhead: number): boolean {
    if (id <= this.#all || this.#early.has(id)) return false;
    if (readAhead === 0 && id !== this.#all + 1) return false;
    this.#early.add(id);
    while (this.#early.delete(this.#all + 1)) this.#all++;
    return true;
  }
}

function measure(): Measures {
  const { gc } = globalThis as { gc?: () => void };
  // What a first one finalizes, a second one frees.
  for (let i = 0; i < 2; i++) gc?.();
  const { heapUsed, heapTotal, external, rss } = Deno.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    heap: heapUsed + external,
    held: heapTotal,
    rss,
    cpu: user + system,
  };
}

if (import.meta.main) await serveForSoak();
