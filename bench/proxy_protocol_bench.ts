// A small exchange with and without the header of a proxy, of each version.

import { binary, ipv4Pair, withChecksum } from "../tests/proxy_headers.ts";
import { connections } from "./in_memory.ts";

const request = new Uint8Array(64);
const addresses = ipv4Pair([[192, 0, 2, 1], 4711], [[192, 0, 2, 2], 443]);
const line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n";

const headers: [name: string, header: Uint8Array | undefined][] = [
  ["no header", undefined],
  ["version 1", new TextEncoder().encode(line)],
  ["version 2", binary({ addresses })],
  ["version 2 with a checksum", withChecksum({ addresses })],
];

for (const [name, header] of headers) {
  const bytes = new Uint8Array([...header ?? [], ...request]);
  const next = connections(bytes, { proxyProtocol: header !== undefined });
  Deno.bench(`64 bytes after ${name}`, async () => {
    const conn = await next();
    await conn.respond(await conn.bytes());
  });
}
