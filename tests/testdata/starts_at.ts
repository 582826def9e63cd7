// Listens on a Unix socket whenever a line of standard input names its path, says
// how that went, and closes it at the next line.

import { listen, type Listener } from "../../server.ts";

let listener: Listener | undefined;
const text = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
for await (const line of text) {
  const path = line.trim();
  if (path === "close") {
    listener?.close();
    listener = undefined;
    console.log("closed");
    continue;
  }
  try {
    listener = listen({ path });
    console.log("listens");
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.log(`${error.name}: ${error.message}`);
  }
}
