// by_hand.ts WORK WHERE: the loop as one would write it, a new buffer for a read.

import { large } from "./large.ts";
import { open, tell } from "./where.ts";

const [work, where] = Deno.args;
const listener = open(where);
tell(listener.addr);

for await (const conn of listener) {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const buffer = new Uint8Array(65_536);
    const read = await conn.read(buffer);
    if (read === null) break;
    if (work !== "stream") chunks.push(buffer.subarray(0, read));
    size += read;
  }
  if (work !== "stream") {
    const request = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      request.set(chunk, at);
      at += chunk.length;
    }
    size = work === "text"
      ? new TextDecoder().decode(request).length
      : request.length;
  }
  const answer = work === "answer"
    ? large
    : new TextEncoder().encode(String(size));
  for (let sent = 0; sent < answer.length;) {
    sent += await conn.write(answer.subarray(sent));
  }
  conn.close();
}
