// A server that just closes when it is told to stop, which resets its backlog.
import { listen } from "../../server.ts";

const listener = listen({ hostname: "127.0.0.1", port: 0 });
Deno.addSignalListener("SIGTERM", () => listener.close());
const { hostname, port } = listener.addr;
const now = new Date().toISOString();
console.error(`${now} INFO listening on ${hostname}:${port}`);
for await (const conn of listener) await conn.respond(await conn.bytes());
Deno.exit();
