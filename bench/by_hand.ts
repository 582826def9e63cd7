import { report } from "./report.ts";

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
report(listener.addr);
for await (const conn of listener) {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const buffer = new Uint8Array(65_536);
    const read = await conn.read(buffer);
    if (read === null) break;
    chunks.push(buffer.subarray(0, read));
    size += read;
  }
  const request = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    request.set(chunk, at);
    at += chunk.length;
  }
  for (let sent = 0; sent < size;) {
    sent += await conn.write(request.subarray(sent));
  }
  conn.close();
}
