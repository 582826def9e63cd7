// Two servers on one port: the one that stops first must not send its sentinel to
// the other one, and nobody is lost.
import { serve } from "../../server.ts";

const requests: string[] = [];
const options = { hostname: "127.0.0.1", reusePort: true };
const handler = async (conn: { text(): Promise<string> }) => {
  requests.push(await conn.text());
};
const one = serve({ ...options, port: 0 }, handler);
const two = serve({ ...options, port: one.addr.port }, handler);
const clients = await Promise.all(
  Array.from({ length: 20 }, async () => {
    const conn = await Deno.connect({ port: one.addr.port });
    await conn.write(new TextEncoder().encode("x"));
    await conn.closeWrite();
    return conn;
  }),
);
await one.shutdown();
await two.shutdown();
for (const client of clients) await new Response(client.readable).text();
console.log(
  requests.join("") === "x".repeat(20) ? "all served" : requests.join(),
);
