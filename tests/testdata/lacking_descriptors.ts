// Has `node:net` accept from an inherited socket while descriptors lack, and says
// who has accepted: the first server, or one that opens the socket anew.

import net from "node:net";

const [fd = ""] = Deno.args;
const accepted: string[] = [];

function open(name: string, fd: number): net.Server {
  return net.createServer((socket) => {
    accepted.push(name);
    socket.destroy();
  }).listen({ fd });
}

const first = open("first", Number(fd));
const { port } = first.address() as net.AddressInfo;

/** Has the event loop look for connections, a few times. */
async function turnsOfIo(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function areAccepted(count: number): Promise<void> {
  while (accepted.length < count) await turnsOfIo();
}

const connect = () => Deno.connect({ hostname: "127.0.0.1", port });

await connect();
await areAccepted(1);
const files: Deno.FsFile[] = [];
try {
  for (;;) files.push(Deno.openSync("/dev/null"));
} catch {
  files.pop()?.close(); // The client takes the last descriptor.
}
await connect();
await turnsOfIo();
for (const file of files) file.close();
await connect();
await turnsOfIo();

const { _handle } = first as { _handle?: { fdForIpc?(): number } };
open("second", _handle?.fdForIpc?.() ?? -1);
await areAccepted(3);
console.log(accepted.join(" "));
Deno.exit();
