/**
 * LPD: a printer for CUPS (`lpd://`), `lpr` and `rlpr`, as
 * {@link https://www.rfc-editor.org/rfc/rfc1179 | RFC 1179} has it. Each file of a
 * job becomes one in the folder `jobs`. Port 515 is for root to listen on.
 *
 * A dialogue: lines, and files of the length that these tell.
 *
 * ```sh
 * deno run -N -R=examples -W=jobs jsr:@halfclose/server examples/lpd.ts
 * printf '\002ours\n\0035 dfA001me\nhello\0' | nc -N localhost 515
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const decoder = new TextDecoder();
const [OK, NO] = ["\0", "\x01"];

async function* handler(conn: Conn) {
  const request = await conn.readUntil("\n");
  // Receive a job. Nobody need ask how long the queue is.
  const isJob = request?.[0] === 2;
  yield isJob ? OK : NO;
  if (!isJob) return;
  await Deno.mkdir("jobs", { recursive: true });
  for (let part = 1;; part++) {
    const command = await conn.readUntil("\n");
    if (command === null) return;
    // The head of the job, or its data: "\x02" or "\x03", its size, a space.
    const size = parseInt(decoder.decode(command.subarray(1)));
    if (!(command[0] === 2 || command[0] === 3) || !(size >= 0)) break;
    yield OK;
    const file = await conn.readExactly(size);
    const end = await conn.readExactly(1); // a zero says that this was all
    if (file === null || end?.[0] !== 0) break;
    const kind = command[0] === 2 ? "head" : "data";
    await Deno.writeFile(`jobs/${conn.id}-${part}.${kind}`, file);
    yield OK;
  }
  yield NO;
}

export default {
  port: 515,
  streaming: true,
  maxRequestBytes: 1024 ** 3,
  deadline: 60 * 60_000,
  handler,
};
