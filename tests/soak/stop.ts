// One stop of the tool under traffic, and what came of each connection.

import type { Random } from "../harness/random.ts";
import { pause } from "../sockets.ts";
import { Tool } from "../tool.ts";
import { come, type Outcomes, type Traffic } from "./traffic.ts";

/** How the tool is run, and who its clients are. */
export interface Setting extends Traffic {
  /** How many requests the tool reads ahead. */
  readAhead: number;
  /** Whether it listens on a Unix socket. */
  unix: boolean;
  /** The file that is run. */
  server: string;
}

/** What came of the connections of one stop. */
export interface Stopped extends Outcomes {
  /** From the signal to the end of the tool, in milliseconds. */
  took: number;
}

/** When the tool is told to stop, after its clients have begun. */
const MIN_MS = 50;
const MAX_MS = 250;

/**
 * Starts the tool and its clients, and stops it at a random moment.
 *
 * @param setting How the tool is run.
 * @param clients The program that they are.
 * @param folder Where its socket can be.
 */
export async function stopUnderTraffic(
  setting: Setting,
  clients: string,
  folder: string,
  random: Random,
): Promise<Stopped> {
  const { readAhead, unix, server } = setting;
  await using tool = await Tool.listening([
    ...unix ? ["--unix", `${folder}/stop.sock`] : [],
    ...readAhead > 0 ? ["--read-ahead", `${readAhead}`] : [],
  ], { entry: server, ...unix && Tool.allowing(folder) });
  const coming = come(clients, tool.addr, setting, random.int(0, 2 ** 31));
  await pause(random.int(MIN_MS, MAX_MS));
  const signalled = performance.now();
  tool.kill("SIGTERM");
  const { code } = await tool.ending();
  const took = performance.now() - signalled;
  const outcomes = await coming;
  if (code !== 0) throw new Error(`The server ended with status ${code}`);
  return { ...outcomes, took };
}
