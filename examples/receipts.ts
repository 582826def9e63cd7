/**
 * Receipts: a sender that may remove its file, because it knows that the server
 * has kept it. The server responds with the line that `sha256sum` prints, once the
 * request is on the disk. The sender compares the hash with its own: whatever
 * happened on the way, only the whole file has that hash.
 *
 * This file is both sides. `--sink` of the command-line tool does the same as the
 * server, and `halfclose send --receipt` the same as the sender.
 *
 * ```sh
 * deno run -N -R=examples,kept -W=kept jsr:@halfclose/server examples/receipts.ts
 * deno run -N -R examples/receipts.ts report.pdf localhost 8080
 * ```
 *
 * @module
 */

import { request } from "@halfclose/server/client";
import type { Conn } from "@halfclose/server/server";

const folder = "kept";

/** The server's side. */
async function handler(conn: Conn): Promise<string> {
  const bytes = await conn.bytes();
  // Probes and scanners send nothing.
  if (bytes.length === 0) return "nothing to keep\n";
  const name = crypto.randomUUID();
  await Deno.mkdir(folder, { recursive: true });
  const path = `${folder}/.${name}.part`;
  using file = await Deno.open(path, { write: true, createNew: true });
  for (let at = 0; at < bytes.length;) {
    at += await file.write(bytes.subarray(at));
  }
  await file.sync();
  await Deno.rename(path, `${folder}/${name}`);
  return `${await sha256(bytes)}  ${name}\n`;
}

/** The sender's side: whether the server has kept all of a file. */
export async function send(path: string, hostname: string, port: number) {
  const bytes = await Deno.readFile(path);
  const reply = await request({ hostname, port, timeout: 60_000 }, bytes);
  return (await reply.text()).startsWith(`${await sha256(bytes)}  `);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(hash).toHex();
}

export default { handler };

if (import.meta.main) {
  const [path = "", hostname = "", port] = Deno.args;
  const isKept = await send(path, hostname, Number(port));
  console.log(isKept ? "kept" : "not confirmed");
  if (!isKept) Deno.exit(1);
}
