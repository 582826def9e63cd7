/**
 * Label printer: keeps labels in ZPL in the folder `labels`, each as a file, if
 * they are whole. A sender that is killed midway looks as if it had ended, so the
 * server checks that a label ends as ZPL does: with `^XZ`.
 *
 * ```sh
 * deno run -N -R=examples -W=labels jsr:@halfclose/server examples/label_printer.ts
 * printf '^XA^FO50,50^FDfragile^FS^XZ' | nc -N localhost 9100
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

async function handler(conn: Conn) {
  const label = await conn.text();
  if (!/\^XZ\s*$/.test(label)) {
    throw new Error("The label does not end with ^XZ: it is not kept");
  }
  const time = new Date().toISOString().replaceAll(":", "");
  await Deno.mkdir("labels", { recursive: true });
  await Deno.writeTextFile(`labels/${time}-${conn.id}.zpl`, label);
}

export default {
  port: 9100,
  // A printer gets no words about its mistakes.
  onRefuse: () => "",
  onError: () => "",
  handler,
};
