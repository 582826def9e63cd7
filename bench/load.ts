// load.ts PORT CLIENTS EXCHANGES BYTES: prints the seconds that it took.

const [port = 0, clients = 1, exchanges = 1, bytes = 1] = Deno.args.map(Number);
const request = new Uint8Array(bytes).fill(120);
let left = exchanges;

async function client(): Promise<void> {
  const buffer = new Uint8Array(65_536);
  while (left-- > 0) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    for (let sent = 0; sent < bytes;) {
      sent += await conn.write(request.subarray(sent));
    }
    await conn.closeWrite();
    let size = 0;
    for (;;) {
      const read = await conn.read(buffer);
      if (read === null) break;
      size += read;
    }
    conn.close();
    if (size !== bytes) {
      throw new Error(`${size} bytes came back, not ${bytes}`);
    }
  }
}

const start = performance.now();
await Promise.all(Array.from({ length: clients }, client));
console.log((performance.now() - start) / 1000);
