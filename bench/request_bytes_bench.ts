// Reading a request: gathering its bytes, and handing them over.

import { RequestBytes } from "../exchange/request_bytes.ts";
import { connections } from "./in_memory.ts";

const borrowed = new Uint8Array(65_536);
const sizes: [name: string, size: number][] = [
  ["64 B", 64],
  ["64 KiB", 65_536],
  ["1 MiB", 1_048_576],
  ["64 MiB", 67_108_864],
];

/** As much as one read brings at most. */
const READ = 262_144;

for (const [name, size] of sizes) {
  Deno.bench(`RequestBytes gathers ${name}`, { group: name }, () => {
    const request = new RequestBytes(borrowed);
    for (let left = size; left > 0;) {
      const read = Math.min(left, READ, request.room.length);
      request.add(read);
      left -= read;
    }
    request.take();
  });
  const next = connections(new Uint8Array(size));
  Deno.bench(
    `bytes() of ${name}, with its exchange`,
    { group: name },
    async () => {
      const conn = await next();
      await conn.bytes();
      await conn.respond();
    },
  );
  const nextStreamed = connections(new Uint8Array(size), { streaming: true });
  Deno.bench(`readable of ${name}, with its exchange`, {
    group: name,
  }, async () => {
    const conn = await nextStreamed();
    for await (const _ of conn.readable);
    await conn.respond();
  });
}
