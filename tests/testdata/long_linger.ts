// A client that sends on and on after its response, and is never silent: it is
// given up all the same. Run with `fast_clock.ts`.
import { serve } from "../../server.ts";

const server = serve({
  hostname: "127.0.0.1",
  port: 0,
  streaming: true,
  lingerTimeout: 29_000,
}, () => "response");
const client = await Deno.connect({ port: server.addr.port });
const began = performance.now();
try {
  for (;;) {
    await client.write(new Uint8Array(1));
    await new Promise((resolve) => setImmediate(resolve));
  }
} catch {
  const seconds = (performance.now() - began) / 1000;
  console.log(seconds >= 30 ? "after 30 s" : `after ${seconds} s`);
}
client.close();
await server.shutdown();
