// halfclose_serve.ts WORK WHERE LIMITS

import { serve } from "../../server.ts";
import { large } from "./large.ts";
import { limits } from "./limits.ts";
import { place, tell } from "./where.ts";

const [work, where, on] = Deno.args;
const streaming = work === "stream";

serve(
  { ...place(where), ...limits(on), streaming, onListen: tell },
  async (conn) => {
    if (streaming) {
      let size = 0;
      for await (const chunk of conn.readable) size += chunk.length;
      return String(size);
    }
    if (work === "text") return String((await conn.text()).length);
    const request = await conn.bytes();
    return work === "answer" ? large : String(request.length);
  },
);
