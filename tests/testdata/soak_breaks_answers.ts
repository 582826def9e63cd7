// A server for the soak that now and then cuts a response, mangles one, or fails.
import { answer, serveForSoak } from "../soak/server.ts";

await serveForSoak(async (conn) => {
  const chunks = await answer(conn);
  if (conn.id % 100 === 0) return chunks.slice(0, -1);
  if (conn.id % 150 === 0) return [Uint8Array.of(255), ...chunks];
  if (conn.id % 220 === 0) throw new Error("The handler failed");
  return chunks;
});
