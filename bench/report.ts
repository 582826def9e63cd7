// What every contender shares: it tells its port, and its CPU time when asked.

import process from "node:process";

export function report({ port }: Deno.NetAddr): void {
  console.log(port);
  (async () => {
    const buffer = new Uint8Array(1);
    while (await Deno.stdin.read(buffer) !== null) {
      const { user, system } = process.cpuUsage();
      console.log(user + system);
    }
    Deno.exit();
  })();
}
