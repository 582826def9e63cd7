// The clients of a stop: traffic.c, a program of its own.

import { decoded, kill, printed, spawn } from "../programs.ts";
import type { Place } from "../sockets.ts";

/** Who comes. */
export interface Traffic {
  /** Clients that connect again as soon as they are answered. */
  clients: number;
  /** Clients that arrive at random, whatever becomes of others: a second. */
  rate: number;
}

/** What came of their connections. */
export interface Outcomes {
  /** Got the whole answer. */
  answered: number;
  /** Could not connect, and so know that nobody has taken their request. */
  refused: number;
  /** Connected, and got no reply or not all of it: why. */
  lost: string[];
}

/**
 * Builds the program.
 *
 * @param folder Where to.
 * @returns Its path.
 */
export async function buildTraffic(folder: string): Promise<string> {
  const program = `${folder}/traffic`;
  const source = `${import.meta.dirname}/traffic.c`;
  const built = await printed(
    ["cc", "-O2", "-pthread", "-o", program, source, "-lm"],
  );
  if (built !== undefined) return program;
  throw new Error("cannot build traffic.c, install a C compiler as cc");
}

/** Lets clients come until the server refuses one, or `signal` is aborted. */
export async function come(
  program: string,
  place: Place,
  { clients, rate }: Traffic,
  seed: number,
  signal?: AbortSignal,
): Promise<Outcomes> {
  const where = "port" in place ? place.port : (place as Deno.UnixAddr).path;
  const args = [where, clients, rate, seed].map(String);
  const child = spawn(program, args);
  signal?.addEventListener("abort", () => kill(child, "SIGTERM"));
  const { code, stdout, stderr } = decoded(await child.output());
  if (code !== 0) throw new Error(stderr.trim());
  const lines = stdout.trim().split("\n");
  return {
    answered: lines.filter((line) => line === "answered").length,
    refused: lines.filter((line) => line === "refused").length,
    lost: lines.filter((line) => line.startsWith("lost "))
      .map((line) => line.slice("lost ".length)),
  };
}
