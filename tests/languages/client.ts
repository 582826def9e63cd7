const [hostname = "", port] = Deno.args;
const conn = await Deno.connect({ hostname, port: Number(port) });
const writer = conn.writable.getWriter();
await writer.write(await new Response(Deno.stdin.readable).bytes());
await conn.closeWrite();
await conn.readable.pipeTo(Deno.stdout.writable);
