// A module for the tool whose handler throws hostile values.

import type { Conn } from "../../mod.ts";
import { hostile } from "../hostile.ts";

const values = Object.values(hostile);

export default async (conn: Conn) => {
  const text = await conn.text();
  if (text === "well?") return "well";
  throw values[Number(text)]?.();
};
