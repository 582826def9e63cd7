// by_hand_one_buffer.ts WORK WHERE: as by_hand.ts, but all reads share a buffer.

import { large } from "./large.ts";
import { open, tell } from "./where.ts";

const [work, where] = Deno.args;
const listener = open(where);
tell(listener.addr);

const buffer = new Uint8Array(65_536);
for await (const conn of listener) {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const read = await conn.read(buffer);
    if (read === null) break;
    if (work !== "stream") chunks.push(buffer.slice(0, read));
    size += read;
  }
  if (work !== "stream" && chunks.length > 1) {
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
