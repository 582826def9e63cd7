// respond() with each type of body: 64 bytes in all, and 1 MiB.

import type { ResponseBody } from "../server.ts";
import { connections } from "./in_memory.ts";

const CHUNKS = 16;

const types: [name: string, make: (size: number) => () => ResponseBody][] = [
  ["nothing", () => () => undefined],
  ["a string", (size) => {
    const text = "x".repeat(size);
    return () => text;
  }],
  ["a Uint8Array", (size) => {
    const bytes = new Uint8Array(size);
    return () => bytes;
  }],
  ["an ArrayBuffer", (size) => {
    const buffer = new ArrayBuffer(size);
    return () => buffer;
  }],
  ["a Blob", (size) => {
    const blob = new Blob([new Uint8Array(size)]);
    return () => blob;
  }],
  ["an iterable", (size) => {
    const chunks = chunksOf(size);
    return () => chunks;
  }],
  ["an async iterable", (size) => {
    const chunks = chunksOf(size);
    return async function* () {
      yield* chunks;
    };
  }],
  ["a ReadableStream", (size) => {
    const chunks = chunksOf(size);
    return () => ReadableStream.from(chunks);
  }],
];

function chunksOf(size: number): Uint8Array[] {
  return Array.from({ length: CHUNKS }, () => new Uint8Array(size / CHUNKS));
}

const next = connections(new Uint8Array(64));

for (const [name, size] of [["64 B", 64], ["1 MiB", 1_048_576]] as const) {
  for (const [type, make] of types) {
    const body = make(size);
    Deno.bench(`respond() with ${type}`, { group: name }, async () => {
      const conn = await next();
      await conn.respond(body());
    });
  }
}
