// by_hand.ts WHERE [PROGRAM ARGS]: a loop over Deno.listen(). WHERE is a port, tls:PORT
// or the path of a Unix socket. It reads with `conn.read()`, as `conn.readable` closes
// the socket at the client's FIN.

import { Buffer } from "node:buffer";

const [where = "", program, ...args] = Deno.args;

function listen(): Deno.Listener {
  const [, tls, port] = /^(tls:)?(\d+)$/.exec(where) ?? [];
  if (port === undefined) {
    return Deno.listen({ transport: "unix", path: where });
  }
  const address = { hostname: "127.0.0.1", port: Number(port) };
  if (!tls) return Deno.listen(address);
  const cert = Deno.readTextFileSync("cert.pem");
  const key = Deno.readTextFileSync("key.pem");
  return Deno.listenTls({ ...address, cert, key });
}

async function* read(conn: Deno.Conn): AsyncGenerator<Uint8Array> {
  for (;;) {
    const chunk = new Uint8Array(65_536);
    const size = await conn.read(chunk);
    if (size === null) return;
    yield chunk.subarray(0, size);
  }
}

async function answer(conn: Deno.Conn): Promise<Uint8Array> {
  if (!program) return Buffer.concat(await Array.fromAsync(read(conn)));
  const child = new Deno.Command(program, {
    args,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = child.output();
  const input = child.stdin.getWriter();
  for await (const chunk of read(conn)) await input.write(chunk);
  await input.close();
  return (await output).stdout;
}

for await (const conn of listen()) {
  try {
    const response = await answer(conn);
    for (let sent = 0; sent < response.length;) {
      sent += await conn.write(response.subarray(sent));
    }
  } catch (error) {
    console.error(error);
  }
  conn.close();
}
