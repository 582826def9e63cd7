// load.ts ADDRESS CLIENTS SECONDS REQUEST ANSWER SILENT
//
// What load.c does, for machines without a C compiler, and for TLS: there
// ADDRESS is `tls:PORT`.

import process from "node:process";
import { whenThereIsRoom } from "../../tests/sockets.ts";
import { caCerts } from "../../tests/tls.ts";

const [address = "", ...numbers] = Deno.args;
const [clients = 1, seconds = 1, request = 0, answer = 0, silents = 0] = numbers
  .map(Number);
const expected = new TextEncoder().encode(
  answer > 0 ? "x".repeat(answer) : String(request),
);
const block = new Uint8Array(1_048_576).fill(120);

async function connect(): Promise<Deno.Conn> {
  if (address.includes("/")) {
    return await Deno.connect({ transport: "unix", path: address });
  }
  const [port, scheme] = address.split(":").toReversed();
  const conn = await Deno.connect({
    hostname: "127.0.0.1",
    port: Number(port),
  });
  if (scheme !== "tls") return conn;
  // Or it would keep each request back until the handshake is acknowledged.
  conn.setNoDelay();
  return await Deno.startTls(conn, { hostname: "localhost", caCerts });
}

async function exchange(buffer: Uint8Array): Promise<void> {
  using conn = await whenThereIsRoom(connect);
  for (let sent = 0; sent < request;) {
    sent += await conn.write(block.subarray(0, request - sent));
  }
  await conn.closeWrite();
  let size = 0;
  for (;;) {
    const read = await conn.read(buffer);
    if (read === null) break;
    const right = buffer[0] === expected[size] &&
      buffer[read - 1] === expected[size + read - 1];
    size += read;
    if (!right) throw new Error("the reply is wrong");
  }
  if (size !== expected.length) throw new Error("the reply is cut");
}

let exchanges = 0;

async function client(): Promise<void> {
  const buffer = new Uint8Array(262_144);
  do {
    await exchange(buffer);
    exchanges++;
  } while (performance.now() < end);
}

async function silent(conn: Deno.Conn): Promise<never> {
  const buffer = new Uint8Array(4096);
  for (;; conn = await whenThereIsRoom(connect)) {
    // Whether it is closed or reset: it has been cut.
    while (await conn.read(buffer).catch(() => null) !== null);
    conn.close();
  }
}

for (let i = 0; i < silents; i++) silent(await whenThereIsRoom(connect));

const start = performance.now();
const end = start + seconds * 1000;
const before = process.cpuUsage();
try {
  await Promise.all(Array.from({ length: clients }, client));
} catch (error) {
  console.error(`load: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
const took = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
const cpu = (user + system) / 1e6;
console.log(JSON.stringify({ exchanges, seconds: took, cpu }));
Deno.exit();
