// The module of the tool, which responds as the other servers do.

import type { HandlerModule } from "../../server.ts";
import { tell } from "./where.ts";

export default {
  onListen: tell,
  handler: async (conn) => String((await conn.bytes()).length),
} satisfies HandlerModule;
