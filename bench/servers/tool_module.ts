// What the tool answers with, as the other servers do.

import type { HandlerModule } from "../../server.ts";
import { tell } from "./where.ts";

export default {
  onListen: tell,
  handler: async (conn) => String((await conn.bytes()).length),
} satisfies HandlerModule;
