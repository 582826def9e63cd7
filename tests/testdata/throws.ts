// A server whose handler throws, one hostile value after the other.

import { serve } from "../../mod.ts";
import { hostile } from "../hostile.ts";

const values = Object.values(hostile);

serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: (addr) => console.log((addr as Deno.NetAddr).port),
}, async (conn) => {
  const text = await conn.text();
  if (text === "well?") return "well";
  const make = values[Number(text)];
  if (!make) JSON.parse(text);
  throw make?.();
});
