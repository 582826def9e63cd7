import { listen } from "../server.ts";
import { report } from "./report.ts";

const listener = listen({ hostname: "127.0.0.1", port: 0 });
report(listener.addr);
for await (const conn of listener) await conn.respond(await conn.bytes());
