/**
 * Printer status: a raw printer that responds to what a job asks in PJL. Many
 * jobs begin with such a question, and their senders wait for the response before
 * they go on. Each job becomes a file in the folder `jobs`, just as it came.
 *
 * A dialogue: the responses go out while the job comes in. The job itself is
 * streamed, so it may be larger than memory.
 *
 * ```sh
 * deno run -N -R=examples,jobs -W=jobs jsr:@halfclose/server examples/printer_status.ts
 * printf '\033%%-12345X@PJL INFO STATUS\r\n\033%%-12345X' | nc -N localhost 9100
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const folder = "jobs";

/** The responses to `@PJL INFO …`. */
const responses = new Map([
  ["ID", '"halfclose"\r\n'],
  ["STATUS", 'CODE=10001\r\nDISPLAY="Ready"\r\nONLINE=TRUE\r\n'],
]);

/** No question is longer than this. */
const LONGEST = 32;

async function* handler(conn: Conn) {
  const time = new Date().toISOString().replaceAll(":", "");
  const job = `${folder}/${time}-${conn.id}.prn`;
  const part = `${job}.part`;
  await Deno.mkdir(folder, { recursive: true });
  const file = await Deno.open(part, { write: true, createNew: true });
  let isWhole = false;
  try {
    const writer = file.writable.getWriter();
    const decoder = new TextDecoder("latin1");
    let text = "";
    for await (const chunk of conn.readable) {
      await writer.write(chunk);
      // A question may be cut in two.
      text = text.slice(-LONGEST) + decoder.decode(chunk);
      for (const [question, what = ""] of text.matchAll(questions)) {
        text = text.slice(text.indexOf(question) + question.length);
        yield `@PJL INFO ${what}\r\n${responses.get(what) ?? '"?"\r\n'}\f`;
      }
    }
    await writer.close();
    isWhole = true;
  } finally {
    // Scanners and probes send nothing.
    if (isWhole && conn.bytesRead > 0) await Deno.rename(part, job);
    else await Deno.remove(part);
  }
}

const questions = /@PJL INFO ([A-Z]+)\s*?\n/g;

export default {
  port: 9100,
  streaming: true,
  maxRequestBytes: Infinity,
  deadline: Infinity,
  // Who prints may think about the next page for minutes.
  idleTimeout: 10 * 60_000,
  handler,
};
