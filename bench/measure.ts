// One run of one server in one case.

import { onStop } from "../tests/harness/options.ts";
import {
  cpuTimes,
  memory,
  peakMemory,
  resetPeak,
} from "../tests/harness/proc.ts";
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

/** How long clients are at a server, in seconds. */
export interface Duration {
  /** Before it is measured: until then its code is still being compiled. */
  warmUp: number;
  /** While it is measured. */
  seconds: number;
}

/** A server, and what has clients at it for some seconds. */
export interface RunningServer {
  readonly pid: number;
  load(seconds: number): Promise<Load>;
}

/** What a load generator tells. */
export interface Load {
  exchanges: number;
  seconds: number;
  cpu: number;
}

/** After that long, V8 has compiled what small exchanges need. */
export const WARM_UP_SECONDS = 1.5;

/** How long a run may take beside its seconds: exchanges that have begun, say. */
const GRACE_MS = 30_000;

const running = new Set<Deno.ChildProcess>();

/** Ends whatever runs. */
function endAll(): void {
  for (const child of running) kill(child);
}

/**
 * Does something in a new folder, and removes it in the end. If the process is told
 * to stop, whatever runs is ended, too.
 */
export async function inFolder(
  act: (folder: string) => Promise<number>,
): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "halfclose-bench-" });
  const clear = () => Deno.removeSync(folder, { recursive: true });
  onStop(() => {
    endAll();
    clear();
    Deno.exit(1);
  });
  try {
    return await act(folder);
  } finally {
    clear();
  }
}

/**
 * Runs a server, has clients at it for a while, and ends it.
 *
 * @throws {Error} If the server does not listen, replies wrongly or too late.
 */
export function measure(
  race: Case,
  name: Name,
  { warmUp, seconds }: Duration,
  field: Field,
  folder: string,
): Promise<Run> {
  const total = warmUp + seconds;
  return withServer(race, name, total, field, folder, async (server) => {
    const { pid, load } = server;
    resetPeak(pid);
    const idle = memory(pid);
    await load(warmUp);
    const before = cpuTimes(pid);
    const result = await load(seconds);
    const after = cpuTimes(pid);
    const peak = peakMemory(pid);
    const run: Run = {
      exchanges: result.exchanges,
      seconds: result.seconds,
      loadShare: result.cpu / result.seconds,
    };
    if (before && after) {
      const cpu = after.user - before.user + (after.system - before.system);
      run.cpuPerExchange = cpu / result.exchanges;
      run.serverShare = cpu / result.seconds;
    }
    if (idle !== undefined && peak !== undefined) {
      run.idle = idle;
      run.peak = peak - idle;
    }
    return run;
  });
}

/**
 * Starts a server, and ends it when all is done.
 *
 * @param seconds How long clients are at it, about.
 * @param act What to do with it.
 * @throws {Error} If the server does not listen, replies wrongly or too late.
 */
export async function withServer<Result>(
  race: Case,
  name: Name,
  seconds: number,
  field: Field,
  folder: string,
  act: (server: RunningServer) => Promise<Result>,
): Promise<Result> {
  const path = `${folder}/${crypto.randomUUID().slice(0, 8)}.sock`;
  const where = race.where === "unix" ? path : race.where;
  const command = contenders[name].start(race.work, where, field.built(name));
  const server = start(command, "piped");
  const log = server.stderr.pipeTo(new WritableStream());
  const guard = setTimeout(endAll, seconds * 2000 + GRACE_MS);
  try {
    const told = await firstLine(server);
    if (told === undefined) throw new Error("the server did not start");
    const address = race.where === "unix"
      ? path
      : race.where === "tls"
      ? `tls:${told}`
      : told;
    const silent = contenders[name].alone ? 0 : race.silent;
    return await act({
      pid: server.pid,
      load: (seconds) =>
        runLoad({ ...race, silent }, address, seconds, field.load),
    });
  } finally {
    clearTimeout(guard);
    kill(server);
    await server.status;
    await log;
    running.delete(server);
  }
}

/** Has clients at a server. */
export async function runLoad(
  { clients, silent = 0, request, answer, where }:
    & Pick<Case, "clients" | "request" | "answer" | "where">
    & Partial<Pick<Case, "silent">>,
  address: string,
  seconds: number,
  load: Field["load"],
): Promise<Load> {
  const child = start([
    ...load[where],
    address,
    ...[clients, seconds, request, answer, silent].map(String),
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
