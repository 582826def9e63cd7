// Listens on a Unix socket, and says how that went, what lies in its folder then,
// and how many sockets are left open.

import { listen } from "../../server.ts";

const [path = "", folder = ""] = Deno.args;

/** How many sockets are open that were bound in the folder, if that is shown. */
function bound(): number {
  try {
    const sockets = Deno.readTextFileSync("/proc/net/unix").split("\n");
    return sockets.filter((socket) => socket.includes(`${folder}/`)).length;
  } catch {
    return 0;
  }
}

try {
  listen({ path, mode: 0o600 }).close();
  console.log("fine");
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.log(`${error.name}: ${error.message}`);
}
console.log(Array.from(Deno.readDirSync(folder), ({ name }) => name).join());
console.log(bound());
