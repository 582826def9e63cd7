/**
 * Munin: a node that tells the load of its machine, in
 * {@link https://guide.munin-monitoring.org/en/latest/master/network-protocol.html | munin's protocol}.
 *
 * A dialogue: each line is answered.
 *
 * ```sh
 * deno run -N -R=examples --allow-sys=loadavg jsr:@halfclose/server examples/munin.ts
 * printf 'fetch load\nquit\n' | nc -N localhost 4949
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const decoder = new TextDecoder();

async function* handler(conn: Conn) {
  yield "# munin node at here\n";
  for (;;) {
    const line = await conn.readUntil("\n");
    if (line === null) return;
    const [verb = "", what] = decoder.decode(line).trim().split(" ");
    if (verb === "quit") return;
    else if (verb === "cap") yield "cap\n";
    else if (verb === "nodes") yield "here\n.\n";
    else if (verb === "list") yield "load\n";
    else if (verb === "config" && what === "load") {
      yield "graph_title Load\nload.label load\n.\n";
    } else if (verb === "fetch" && what === "load") {
      yield `load.value ${Deno.loadavg()[0]}\n.\n`;
    } else yield "# Unknown command\n.\n";
  }
}

export default {
  port: 4949,
  streaming: true,
  handler,
};
