// halfclose_listen.ts WORK WHERE LIMITS AHEAD IDLE

import { listen } from "../../server.ts";
import { large } from "./large.ts";
import { limits } from "./limits.ts";
import { place, tell } from "./where.ts";

const [work = "", where, on, ahead = "0", idle] = Deno.args;
const reads = work.startsWith("read");
const streaming = reads || work === "stream" || work === "byob";
const readAhead = Number(ahead);
const options = {
  ...place(where),
  ...limits(on),
  ...(idle && { idleTimeout: Number(idle) }),
  streaming,
  readAhead,
};
const listener = listen(options);
tell(listener.addr);

// Large reads take fewer turns of the event loop.
const buffer = new Uint8Array(work === "read-256KiB" ? 262_144 : 65_536);

for await (const conn of listener) {
  if (work === "stream") {
    let size = 0;
    for await (const chunk of conn.readable) size += chunk.length;
    await conn.respond(String(size));
  } else if (reads) {
    let size = 0;
    for (;;) {
      const read = await conn.read(buffer);
      if (read === null) break;
      size += read;
    }
    await conn.respond(String(size));
  } else if (work === "byob") {
    const reader = conn.readable.getReader({ mode: "byob" });
    let size = 0;
    let view = new Uint8Array(65_536);
    for (;;) {
      const { done, value } = await reader.read(view);
      if (done) break;
      size += value.length;
      view = new Uint8Array(value.buffer);
    }
    await conn.respond(String(size));
  } else if (work === "text") {
    const request = await conn.text();
    await conn.respond(String(request.length));
  } else {
    const request = await conn.bytes();
    await conn.respond(work === "answer" ? large : String(request.length));
  }
}
