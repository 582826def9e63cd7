// One run of one server in one case.

import {
  cpuTime,
  memory,
  peakMemory,
  resetPeak,
} from "../tests/proofs/proc.ts";
import { decoded, kill, lines, spawn } from "../tests/programs.ts";
import type { Case } from "./cases.ts";
import { contenders, type Name } from "./contenders.ts";
import type { Field } from "./field.ts";

/** What one run gave. Whatever the system does not tell is left out. */
export interface Run {
  exchanges: number;
  seconds: number;
  /** Seconds of CPU time that one exchange took of the server. */
  cpuPerExchange?: number;
  /** The server's share of one CPU: at about 1 or more, it was the slower side. */
  serverShare?: number;
  /** The same of the load generator. */
  loadShare: number;
  /** Bytes of memory, before the first exchange. */
  idle?: number;
  /** By how many bytes its memory grew over that at most. */
  peak?: number;
}

/** What a load generator tells. */
interface Load {
  exchanges: number;
  seconds: number;
  cpu: number;
}

/** How long a run may take beside its seconds: exchanges that have begun, say. */
const GRACE_MS = 30_000;
/** The part of a run that comes before it, to warm up. */
const WARM_UP = 0.5;

const running = new Set<Deno.ChildProcess>();

/** Ends whatever runs. */
export function endAll(): void {
  for (const child of running) kill(child);
}

/**
 * Runs a server, has clients at it for a while, and ends it.
 *
 * @throws {Error} If the server does not listen, answers wrongly or too late.
 */
export async function measure(
  race: Case,
  name: Name,
  seconds: number,
  field: Field,
  folder: string,
): Promise<Run> {
  const path = `${folder}/${crypto.randomUUID().slice(0, 8)}.sock`;
  const where = race.where === "unix" ? path : race.where;
  const command = contenders[name].start(race.work, where, field.built(name));
  const server = start(command);
  const guard = setTimeout(endAll, seconds * 2000 + GRACE_MS);
  try {
    const told = await firstLine(server);
    if (told === undefined) throw new Error("the server did not start");
    const address = race.where === "unix"
      ? path
      : race.where === "tls"
      ? `tls:${told}`
      : told;
    const load = (seconds: number) => runLoad(race, address, seconds, field);
    resetPeak(server.pid);
    const idle = memory(server.pid);
    await load(seconds * WARM_UP);
    const cpuBefore = cpuTime(server.pid);
    const result = await load(seconds);
    const cpuAfter = cpuTime(server.pid);
    const peak = peakMemory(server.pid);
    const run: Run = {
      exchanges: result.exchanges,
      seconds: result.seconds,
      loadShare: result.cpu / result.seconds,
    };
    if (cpuBefore !== undefined && cpuAfter !== undefined) {
      run.cpuPerExchange = (cpuAfter - cpuBefore) / result.exchanges;
      run.serverShare = (cpuAfter - cpuBefore) / result.seconds;
    }
    if (idle !== undefined && peak !== undefined) {
      run.idle = idle;
      run.peak = peak - idle;
    }
    return run;
  } finally {
    clearTimeout(guard);
    kill(server);
    await server.status;
    running.delete(server);
  }
}

/** Has clients at a server. */
async function runLoad(
  { clients, request, answer, where }: Case,
  address: string,
  seconds: number,
  field: Field,
): Promise<Load> {
  const child = start([
    ...field.load[where],
    address,
    ...[clients, seconds, request, answer].map(String),
  ], "piped");
  try {
    const { code, stdout, stderr } = decoded(await child.output());
    if (code === 0) return JSON.parse(stdout);
    throw new Error(stderr.trim() || "it took too long");
  } finally {
    running.delete(child);
  }
}

function start(
  [program = "", ...args]: readonly string[],
  stderr: "piped" | "null" = "null",
): Deno.ChildProcess {
  const child = spawn(program, args, { stderr });
  running.add(child);
  return child;
}

async function firstLine(
  child: Deno.ChildProcess,
): Promise<string | undefined> {
  for await (const line of lines(child.stdout)) return line.trim();
  return undefined;
}
