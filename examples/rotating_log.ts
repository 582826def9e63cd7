/**
 * Rotating log: keeps the lines that programs send, as a small syslog does, in
 * `logs/current.log`. When that file is full it gets the time as its name, and
 * all but the last few files are removed, so that the disk never fills up.
 *
 * It takes one request at a time, so that the lines of two senders never mix,
 * and nothing has to be locked. `logger` sends a line and closes, which counts as
 * a FIN. For rsyslog put this line into `/etc/rsyslog.conf`; it begins a new
 * connection for every hundred lines, so that no request is endless:
 *
 * ```
 * action(type="omfwd" protocol="tcp" target="localhost" port="5514" RebindInterval="100" action.resumeRetryCount="-1")
 * ```
 *
 * ```sh
 * deno run -N -R=examples,logs -W=logs jsr:@halfclose/server examples/rotating_log.ts
 * logger --tcp --server localhost --port 5514 'disk 91% full'
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const folder = "logs";
const current = `${folder}/current.log`;
const MAX_BYTES = 1024 * 1024;
const KEPT_FILES = 5;

async function handler(conn: Conn<Deno.NetAddr>): Promise<void> {
  const request = await conn.text();
  const time = new Date().toISOString();
  const lines = Array.from(request.matchAll(/.+/g), ([line]) => {
    // Control characters could forge a line, and those of format hide one.
    const printable = line.replaceAll(/(?!\t)[\p{Cc}\p{Cf}]/gu, "?");
    return `${time} ${conn.remoteAddr.hostname} ${printable}\n`;
  });
  if (lines.length === 0) return;
  await Deno.mkdir(folder, { recursive: true });
  if (await sizeOf(current) >= MAX_BYTES) await rotate(time);
  await Deno.writeTextFile(current, lines.join(""), { append: true });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

async function rotate(time: string): Promise<void> {
  await Deno.rename(current, `${folder}/${time.replaceAll(":", "")}.log`);
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  // Times sort as names do.
  const old = names.filter((name) => /^\d.*\.log$/.test(name)).sort();
  for (const name of old.slice(0, -KEPT_FILES)) {
    await Deno.remove(`${folder}/${name}`);
  }
}

export default {
  port: 5514,
  // rsyslog never ends its connection: what it has sent is taken after a pause.
  until: { idle: 1_000 },
  // Others are read meanwhile.
  readAhead: 8,
  deadline: 10 * 60_000,
  handler,
};
