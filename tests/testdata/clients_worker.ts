/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

// Clients on a thread of their own, as the other one has its event loop blocked.
import { readText, send } from "../sockets.ts";

self.addEventListener("message", async ({ data }: MessageEvent) => {
  const { addr, count, connected } = data;
  const clients = await Promise.all(
    Array.from({ length: count }, (_, i) => send(addr, `client ${i}`)),
  );
  Atomics.store(new Int32Array(connected), 0, 1);
  const answers = clients.map((client) => readText(client).catch(String));
  self.postMessage(await Promise.all(answers));
});
