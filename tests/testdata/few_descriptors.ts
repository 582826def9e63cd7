// A server that has no descriptors left until it is told to free them.
import { serve } from "../../server.ts";

const files: Deno.FsFile[] = [];
const server = serve({
  hostname: "127.0.0.1",
  port: 0,
  readAhead: Number(Deno.args[0]),
  onListen: ({ port }) => console.log(`port ${port}`),
  onExchange: ({ outcome, phase }) => console.log(`${outcome} ${phase}`),
  onAcceptError: (error) => console.log((error as { code?: string }).code),
}, (conn) => conn.bytes());
try {
  for (;;) files.push(Deno.openSync(new URL(import.meta.url)));
} catch {
  // None is left.
}
const buffer = new Uint8Array(4);
await Deno.stdin.read(buffer);
for (const file of files) file.close();
while (await Deno.stdin.read(buffer) !== null);
await server.shutdown();
