// A handler module that mostly waits, as one does that asks a database.

import type { Conn } from "../../server.ts";

export default async (conn: Conn): Promise<string> => {
  const { length } = await conn.bytes();
  await new Promise((resolve) => setTimeout(resolve, 5));
  return String(length);
};
