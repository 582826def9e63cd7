/**
 * Pipeline: two servers, of which the first passes on what it makes of a request
 * to the second, as `sort | uniq` does. The FIN travels through both, so that
 * each stage knows where its input ends, and nothing has to be framed.
 *
 * The second stage may as well run on another machine: only its address is known
 * to the first.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/pipeline.ts
 * printf 'b\na\nb\n' | nc -N localhost 8080
 * ```
 *
 * @module
 */

import { request } from "@halfclose/server/client";
import { type Conn, serve } from "@halfclose/server/server";

/** The second stage: leaves out lines that are the same as the one before. */
const unique = serve({ hostname: "127.0.0.1", port: 0 }, async (conn) => {
  const lines = linesOf(await conn.text());
  return lines.filter((line, at) => line !== lines[at - 1]).join("");
});

/** The first stage: sorts lines, and replies with what the second one does. */
export default async (conn: Conn) => {
  const sorted = linesOf(await conn.text()).sort();
  const reply = await request(unique.addr, sorted.join(""));
  // Passed on as it comes.
  return reply.readable;
};

function linesOf(text: string): string[] {
  return (text.match(/.+/g) ?? []).map((line) => `${line}\n`);
}
