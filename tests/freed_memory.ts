// Prints how much memory the kernel gets back of 40 MiB that are freed, after a small
// request and after a large one. It is a program, as that changes a whole process.

import { type Conn, serve } from "../mod.ts";
import { ask, local } from "./sockets.ts";

const read = Deno.args[0] as "bytes" | "arrayBuffer";
const server = serve(local, async (conn: Conn) => void await conn[read]());

function givenBack(): number {
  const blocks = Array.from(
    { length: 40 },
    () => new Uint8Array(1_048_576).fill(1),
  );
  const before = Deno.memoryUsage().rss;
  for (const { buffer } of blocks) buffer.transfer(0);
  return before - Deno.memoryUsage().rss;
}

await ask(server.addr, "x");
const small = givenBack();
await ask(server.addr, "x".repeat(262_144));
const large = givenBack();
await server.shutdown();
console.log(JSON.stringify({ small, large }));
