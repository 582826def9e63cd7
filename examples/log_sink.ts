/**
 * Log sink: prints each line that it is sent, after the time and the address of
 * its sender, and never responds. Add `>>all.log` to keep the lines in a file.
 *
 * It takes one request at a time, and none that a reset or a limit cut short, so
 * that the lines of two senders never mix. Control characters become question
 * marks, so that nobody can forge a line.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/log_sink.ts
 * printf 'disk 91%% full\nfan failed\n' | nc -N localhost 8080
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

async function handler(conn: Conn<Deno.NetAddr>): Promise<void> {
  const request = await conn.text();
  const time = new Date().toISOString();
  // A dot matches all but the end of a line: empty lines are left out.
  for (const [line] of request.matchAll(/.+/g)) {
    const printable = line.replaceAll(/(?!\t)[\p{Cc}\p{Cf}]/gu, "?");
    console.log(`${time} ${conn.remoteAddr.hostname} ${printable}`);
  }
}

export default {
  // A sender that stays connected, as rsyslog does: see the rotating log.
  until: { idle: 1_000 },
  readAhead: 8,
  deadline: 10 * 60_000,
  handler,
};
