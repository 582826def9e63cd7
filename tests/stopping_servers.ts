// Stops five servers of each kind, and prints how many descriptors are left of
// them. It is a program, as the tests of other files share the process of a test.

import { serve, type ServeOptions } from "../mod.ts";
import { descriptors } from "./harness/proc.ts";
import { ask, local } from "./sockets.ts";

const [folder] = Deno.args;

const places: Record<string, () => ServeOptions> = {
  "its own port": () => local,
  "a given listener": () => ({ listener: Deno.listen(local) }),
  "a Unix socket": () => ({ path: `${folder}/s` }),
};

const left: Record<string, number> = {};
for (const [name, place] of Object.entries(places)) {
  const stop = async () => {
    const server = serve(place() as typeof local, (conn) => conn.bytes());
    const reply = await ask(server.addr, "hello");
    if (reply !== "hello") throw new Error(`${name}: ${reply}`);
    await server.shutdown();
  };
  await stop();
  const before = descriptors() ?? 0;
  for (let i = 0; i < 5; i++) await stop();
  left[name] = (descriptors() ?? 0) - before;
}
console.log(JSON.stringify(left));
