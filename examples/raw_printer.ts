/**
 * Raw printer: what speaks to port 9100 of a network printer (JetDirect,
 * AppSocket) can print to it. Each job becomes a file in the folder `jobs`, just
 * as it came: PostScript, PCL and PJL alike.
 *
 * A job is streamed, so it may be larger than memory. It has its name only when
 * it is whole; one that a reset or a limit cuts short leaves nothing, nor does one
 * that is empty. There is no response. (To keep requests and send receipts, use
 * `--sink`.)
 *
 * ```sh
 * deno run -N -R=examples,jobs -W=jobs jsr:@halfclose/server examples/raw_printer.ts
 * halfclose send --file report.ps localhost:9100
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const folder = "jobs";

async function handler(conn: Conn) {
  const time = new Date().toISOString().replaceAll(":", "");
  const job = `${folder}/${time}-${conn.id}.prn`;
  const part = `${job}.part`;
  await Deno.mkdir(folder, { recursive: true });
  const file = await Deno.open(part, { write: true, createNew: true });
  try {
    await conn.readable.pipeTo(file.writable);
    // Scanners and probes send nothing.
    if (conn.bytesRead === 0) await Deno.remove(part);
    else await Deno.rename(part, job);
  } catch (error) {
    await Deno.remove(part);
    throw error;
  }
}

export default {
  port: 9100,
  streaming: true,
  maxRequestBytes: Infinity,
  deadline: Infinity,
  // Who prints may think about the next page for minutes.
  idleTimeout: 10 * 60_000,
  handler,
};
