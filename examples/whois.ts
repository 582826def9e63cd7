/**
 * Whois: a directory to ask for one name at a time, as
 * {@link https://www.rfc-editor.org/rfc/rfc3912 | RFC 3912} has it. The port of
 * that RFC is 43, which is for root to listen on: `--port 43`.
 *
 * A client of whois never half-closes. Its request ends with its line: `until`.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/whois.ts
 * whois -h localhost -p 4343 alice
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const directory = new Map([
  ["alice", { name: "Alice Archer", room: "1.04", phone: "+1 555 0100" }],
  ["bob", { name: "Bob Baker", room: "2.17", phone: "+1 555 0101" }],
]);

async function handler(conn: Conn): Promise<string> {
  const name = (await conn.text()).trim().toLowerCase();
  const entry = directory.get(name);
  if (!entry) return "% no such name\r\n";
  return Object.entries(entry)
    .map(([field, value]) => `${`${field}:`.padEnd(8)}${value}\r\n`)
    .join("");
}

export default {
  port: 4343,
  // The RFC says "\r\n". This also serves clients that end a line with "\n".
  until: "\n",
  maxRequestBytes: 256,
  handler,
};
