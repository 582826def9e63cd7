/**
 * Finger: tells who is who, and who there is, as
 * {@link https://www.rfc-editor.org/rfc/rfc1288 | RFC 1288} has it. `finger`
 * always connects to port 79, which is for root to listen on.
 *
 * A client of finger never half-closes. Its request ends with its line: `until`.
 * A query for another host (`alice@there`) is refused, as the RFC advises.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/finger.ts
 * finger alice@localhost
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const users = new Map([
  ["alice", { name: "Alice Archer", plan: "Lunch at noon." }],
  ["bob", { name: "Bob Baker", plan: "On holiday until Monday." }],
]);

async function handler(conn: Conn): Promise<string> {
  // "/W" in front of the user asks for more. There is no more to tell.
  const query = (await conn.text()).trim().replace(/^\/W\b\s*/i, "");
  if (query.includes("@")) return "Finger forwarding service denied\r\n";
  if (query === "") return list();
  const user = users.get(query.toLowerCase());
  if (!user) return "No such user\r\n";
  return `Name: ${user.name}\r\nPlan: ${user.plan}\r\n`;
}

function list(): string {
  return Array.from(users, ([login, { name }]) => {
    return `${login.padEnd(10)}${name}\r\n`;
  }).join("");
}

export default {
  port: 79,
  // The RFC says "\r\n". This also serves clients that end a line with "\n".
  until: "\n",
  maxRequestBytes: 256,
  handler,
};
