import { report } from "./report.ts";

// Only for requests that fit into the buffer.
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
report(listener.addr);
const buffer = new Uint8Array(65_536);
for await (const conn of listener) {
  let size = 0;
  for (;;) {
    const read = await conn.read(buffer.subarray(size));
    if (read === null) break;
    size += read;
  }
  const request = buffer.slice(0, size);
  for (let sent = 0; sent < size;) {
    sent += await conn.write(request.subarray(sent));
  }
  conn.close();
}
