// A server for the soak that keeps what it was sent, and opens files.
import { answer, serveForSoak } from "../soak/server.ts";

const kept: unknown[] = [];

await serveForSoak(async (conn) => {
  const chunks = await answer(conn);
  kept.push(chunks);
  if (conn.id % 100 === 0) kept.push(Deno.openSync(new URL(import.meta.url)));
  return chunks;
});
