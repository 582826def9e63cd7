/**
 * Lines: answers a line with a line. This one tells the weekday of a date.
 *
 * The request ends with its first line (`until`), so that clients that never
 * half-close are served, too: plain `nc`, `telnet`, and bash's `/dev/tcp`.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/lines.ts
 * echo 2000-02-29 | nc localhost 8080
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const weekday = new Intl.DateTimeFormat("en", {
  weekday: "long",
  timeZone: "UTC",
});

async function handler(conn: Conn): Promise<string> {
  const line = (await conn.text()).trim();
  const date = new Date(/^\d{4}-\d\d-\d\d$/.test(line) ? line : NaN);
  // `Date` takes February 30 for March 1.
  const exists = !isNaN(+date) && date.toISOString().startsWith(line);
  return `${exists ? weekday.format(date) : "send a date: YYYY-MM-DD"}\r\n`;
}

export default {
  until: "\n",
  maxRequestBytes: 256,
  handler,
};
