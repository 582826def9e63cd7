// Serves on an inherited socket of its own, again and again, and prints how many
// descriptors are open after each time: `tcp`, or the path of a Unix socket.
import { serve } from "../../server.ts";
import { KeptSocket } from "../kept_socket.ts";
import { ask } from "../sockets.ts";

const [where = "tcp"] = Deno.args;
using kept = where === "tcp" ? KeptSocket.tcp() : KeptSocket.unix(where);
const large = new Uint8Array(100_000);
for (let round = 0; round < 4; round++) {
  const fd = kept.lend();
  // Its first write has to wait, so that it takes a second descriptor.
  const server = serve({ fd, streaming: true }, () => large);
  for (let i = 0; i < 20; i++) await ask(kept.place);
  await server.shutdown();
  await new Promise((resolve) => setTimeout(resolve));
  console.log([...Deno.readDirSync("/proc/self/fd")].length);
}
