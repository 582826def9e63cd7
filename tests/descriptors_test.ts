// Servers that are short of descriptors, and that stop nevertheless.

import { assertEquals } from "@std/assert";
import { connect, exchangeOn } from "./sockets.ts";
import { temporaryFolder, testIf } from "./support.ts";
import { decode } from "./bytes.ts";
import { connectTls } from "./tls.ts";
import { ToldServer, type Where, withDescriptors } from "./told_server.ts";

const testShort = testIf.bind(undefined, Deno.build.os !== "windows", "ulimit");

/** A server that is left a few descriptors, and what connects to it. */
async function shortServer(where: Where, readAhead: number) {
  const folder = await temporaryFolder();
  const path = `${folder.path}/s`;
  const wrapper = withDescriptors(80);
  const server = await ToldServer.start({ where, readAhead, path, wrapper });
  const dial = (): Promise<Deno.Conn> =>
    where === "tls"
      ? connectTls((server.place as { port: number }).port)
      : connect(server.place);
  return {
    server,
    dial,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

for (const where of ["tcp", "tls", "unix", "given"] as const) {
  for (const readAhead of [0, 8]) {
    testShort(
      `Server.shutdown() serves everybody with few descriptors (${where}, reading ${readAhead} ahead)`,
      async (t) => {
        for (const left of [0, 1, 2, 3, 6, 9]) {
          await t.step(`${left} left`, async () => {
            await using short = await shortServer(where, readAhead);
            const { server } = short;
            const holder = await short.dial();
            await server.says(/^let in$/);
            await server.order(`leave ${left}`);
            const clients = await Promise.all([1, 2, 3].map(short.dial));
            const waiting = clients.map((client) => exchangeOn(client, "x"));
            await server.order("stop");
            const all = [exchangeOn(holder, "x"), ...waiting];
            assertEquals(
              (await Promise.all(all)).map(decode),
              Array(4).fill("x"),
            );
            await server.says(/^done stop$/);
            assertEquals(await server.ended(), 0);
          });
        }
      },
    );
  }
}

for (const left of [0, 1, 2, 3]) {
  testShort(
    `Server.shutdown() ends an idle server (${left} left)`,
    async (t) => {
      for (const where of ["tcp", "unix"] as const) {
        await t.step(where, async () => {
          await using short = await shortServer(where, 0);
          const { server } = short;
          await exchangeOn(await short.dial(), "x");
          await server.order(`leave ${left}`);
          await server.order("stop");
          await server.says(/^done stop$/);
          assertEquals(await server.ended(), 0);
        });
      }
    },
  );
}
