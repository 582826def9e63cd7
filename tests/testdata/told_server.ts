// A server that echoes, says what happens to it, and does what it is told.
import { serve } from "../../server.ts";

// Deno wants descriptors for signals after half a second, and panics without.
Deno.addSignalListener("SIGTERM", () => Deno.exit());

const [where = "tcp", readAhead = "0", path = "", fd = ""] = Deno.args;
const local = { hostname: "127.0.0.1", port: 0 };
const testdata = import.meta.dirname;
const read = (name: string) => Deno.readTextFileSync(`${testdata}/${name}`);

const server = serve({
  ...where === "unix"
    ? { path }
    : where === "given"
    ? { listener: Deno.listen(local) }
    : where === "inherited"
    ? { fd: Number(fd) }
    : where === "tls"
    ? { ...local, cert: read("localhost.pem"), key: read("localhost.key") }
    : local,
  readAhead: Number(readAhead),
  // A test that waits for one of these waits for ever.
  deadline: Infinity,
  idleTimeout: Infinity,
  onListen: (addr) => console.log(`port ${"port" in addr ? addr.port : 0}`),
  allow() {
    console.log("let in");
    return true;
  },
  onExchange: ({ outcome, phase }) => console.log(`over ${outcome} ${phase}`),
  onAcceptError: (error) => console.log(`told ${error.message}`),
}, (conn) => conn.bytes());
server.finished.catch(() => {});

const files: Deno.FsFile[] = [];
const free = () => files.splice(0).forEach((file) => file.close());

const orders: Record<string, (count: number) => unknown> = {
  /** Takes all descriptors but some. */
  leave(count) {
    try {
      for (;;) files.push(Deno.openSync(new URL(import.meta.url)));
    } catch {
      files.splice(0, count).forEach((file) => file.close());
    }
  },
  free,
  async stop() {
    await server.shutdown();
    free();
  },
};

for await (
  const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())
) {
  for (const order of line.trim().split("\n")) {
    const [name = "", count] = order.split(" ");
    const done = orders[name]?.(Number(count));
    console.log(`begun ${name}`);
    await done;
    console.log(`done ${name}`);
  }
}
