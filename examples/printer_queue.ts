/**
 * Printer queue: takes jobs for a printer that is slow, or off, and passes them
 * on to it in the order in which they came. A job is on disk before its client is
 * told so, and stays there until the printer has taken it. The queue therefore
 * survives a restart, also of the machine, and a job that was under way is
 * printed again.
 *
 * The file of a job gets its final name when the job is whole. What a crash leaves
 * unfinished was never promised to anybody, and is removed.
 *
 * ```sh
 * deno run -N -R=examples,queue -W=queue jsr:@halfclose/server examples/printer_queue.ts
 * halfclose send --file report.ps localhost:9100
 * ```
 *
 * @module
 */

import { request } from "@halfclose/server/client";
import type { Conn } from "@halfclose/server/server";

const printer = { hostname: "localhost", port: 9101 };
const folder = "queue";
/** How long to wait before a printer that is off is tried again. */
const RETRY_MS = 1_000;

/** The files of the jobs that wait, in the order of their names. */
const waiting: string[] = await findJobs();
let next = Number(/\d+/.exec(waiting.at(-1) ?? "0")) + 1;
let hasJob = Promise.withResolvers<void>();

async function findJobs(): Promise<string[]> {
  await Deno.mkdir(folder, { recursive: true });
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  for (const name of names.filter((name) => name.endsWith(".part"))) {
    await Deno.remove(`${folder}/${name}`);
  }
  return names.filter((name) => name.endsWith(".job")).sort();
}

async function handler(conn: Conn): Promise<string> {
  const number = `${next++}`.padStart(12, "0");
  const part = `${folder}/${number}.part`;
  try {
    using file = await Deno.open(part, { write: true, createNew: true });
    for await (const chunk of conn.readable) {
      for (let at = 0; at < chunk.length;) {
        at += await file.write(chunk.subarray(at));
      }
    }
    // Scanners and probes send nothing.
    if (conn.bytesRead === 0) {
      await Deno.remove(part);
      return "an empty job is not queued\n";
    }
    await file.sync();
    await Deno.rename(part, `${folder}/${number}.job`);
  } catch (error) {
    await Deno.remove(part);
    throw error;
  }
  waiting.push(`${number}.job`);
  hasJob.resolve();
  return `job ${Number(number)} is in the queue\n`;
}

async function printAll(): Promise<never> {
  for (;;) {
    const [name] = waiting;
    if (name === undefined) {
      await hasJob.promise;
      hasJob = Promise.withResolvers();
    } else if (await print(`${folder}/${name}`)) {
      waiting.shift();
    } else {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Prints a job, and removes it if the printer has taken it. */
async function print(job: string): Promise<boolean> {
  try {
    const { readable } = await Deno.open(job);
    const reply = await request(printer, readable);
    // A printer closes when it has read all of the job.
    await reply.bytes();
    await Deno.remove(job);
    return true;
  } catch (error) {
    complain(`cannot print ${job} for now: ${(error as Error).message}`);
    return false;
  }
}

/** Writes to standard error. A full disk must not end the queue. */
function complain(message: string): void {
  try {
    console.error(message);
  } catch {
    // Nobody can be told.
  }
}

printAll();

export default {
  port: 9100,
  streaming: true,
  maxRequestBytes: Infinity,
  deadline: Infinity,
  // Who prints may think about the next page for minutes.
  idleTimeout: 10 * 60_000,
  handler,
};
