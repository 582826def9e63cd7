// Lingering close: who gets the end of the response, and who is given up when.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { encode, pattern } from "./bytes.ts";
import { RudeClient } from "./rude_client.ts";
import { begin, pause, readBytes } from "./sockets.ts";
import { root, runDeno } from "./programs.ts";
import { serveLocally, until } from "./support.ts";

/** Sends a byte now and then until that fails, or it is told to stop. */
function drip(client: Deno.Conn, every: number) {
  let isOver = false;
  const ended = (async () => {
    try {
      while (!isOver) {
        await client.write(encode("."));
        await pause(every);
      }
      return "told";
    } catch {
      return "given up";
    }
  })();
  const stop = () => {
    isOver = true;
    return ended;
  };
  return { ended, stop };
}

Deno.test("lingerTimeout bounds how long a client that lingers may be silent", async () => {
  const { server, records } = serveLocally({
    streaming: true,
    lingerTimeout: 20,
  }, () => "enough");
  const client = await begin(server.addr, "never ends");
  const chunk = new Uint8Array(8);
  assertEquals(await client.read(chunk), 6);
  assertEquals(await client.read(chunk), null);
  // Resolves when the server has let go of the socket.
  await server.shutdown();
  await assertRejects(async () => {
    for (;;) await client.write(chunk);
  });
  client.close();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("a reset while lingering is nobody's business", async () => {
  const { server, records } = serveLocally({ streaming: true }, () => "enough");
  const client = await RudeClient.connect(server.addr);
  await client.write("never ends");
  await records.nth(1);
  await client.reset();
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("lingerTimeout is no limit for a client that sends now and then", async () => {
  const response = pattern(1_000_000);
  const { server, records } = serveLocally(
    { until: "\n", lingerTimeout: 500 },
    () => response,
  );
  const client = await begin(server.addr, "request\n");
  await records.nth(1);
  const dripping = drip(client, 20);
  await pause(1500); // three times as long
  assertEquals(await dripping.stop(), "told");
  // A reset would have destroyed it.
  assertEquals(await readBytes(client), response);
  await server.shutdown();
});

Deno.test("lingering ends after 30 s even if the client is never silent", async () => {
  const { code, stdout, stderr } = await runDeno(
    ...["run", "--no-config", "-N"],
    `--preload=${root}/tests/testdata/fast_clock.ts`,
    `${root}/tests/testdata/long_linger.ts`,
  );
  assertEquals([code, stdout], [0, "after 30 s\n"], stderr);
});

Deno.test("Server.shutdown() gives those who linger lingerTimeout in all", async () => {
  const { server, records } = serveLocally(
    { streaming: true, lingerTimeout: 200 },
    () => "response",
  );
  const client = await begin(server.addr, "request");
  await records.nth(1);
  const dripping = drip(client, 10);
  // Without that bound it would linger for 30 s.
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve("late"), 15_000);
  const stopping = server.shutdown().then(() => "stopped");
  assertEquals(await Promise.race([stopping, late.promise]), "stopped");
  clearTimeout(timer);
  assertEquals(await dripping.ended, "given up");
  client.close();
});

Deno.test("Listener.lingering is 64 at most, even if many begin to linger at once", async () => {
  const options = { until: "\n", readAhead: 100, lingerTimeout: 60_000 };
  let areAllThere: Promise<unknown> | undefined;
  const { server, records } = serveLocally(options, async () => {
    await (areAllThere ??= until(() => server.inHand === 101));
    return "told";
  });
  const clients = await Promise.all(
    Array.from({ length: 101 }, () => begin(server.addr, "request\n")),
  );
  await records.nth(101);
  assertEquals(server.lingering, 64);
  for (const client of clients) client.close();
  await server.shutdown();
});

Deno.test("64 clients that linger on purpose push out their oldest, and nobody else", async () => {
  const response = pattern(1_000_000);
  const { server, records } = serveLocally(
    { until: "\n", lingerTimeout: 60_000 },
    () => response,
  );
  const hostile: Deno.Conn[] = [];
  for (let i = 1; i <= 64; i++) {
    hostile.push(await begin(server.addr, "hostile\n"));
    await records.nth(i);
  }
  assertEquals(server.lingering, 64);
  const honest = await begin(server.addr, "honest\nand more");
  await records.nth(65);
  const [oldest, ...others] = hostile.map((client) => drip(client, 10));
  assertEquals(await oldest?.ended, "given up");
  assertEquals(server.lingering, 64);
  await honest.write(encode("and more"));
  assertEquals(await readBytes(honest), response);
  const ends = await Promise.all(others.map((dripping) => dripping.stop()));
  assertEquals(ends, Array(63).fill("told"));
  for (const client of hostile) client.close();
  await server.shutdown();
});

Deno.test("the oldest of too many lingering sockets makes room", async () => {
  const { server, records } = serveLocally({
    streaming: true,
    lingerTimeout: 60_000,
  }, () => "x");
  const clients: Deno.Conn[] = [];
  for (let i = 0; i < 70; i++) {
    const client = await begin(server.addr, "never ends");
    clients.push(client);
    await records.nth(i + 1);
  }
  const [oldest] = clients;
  await assertRejects(async () => {
    for (;;) await oldest?.write(new Uint8Array(8));
  });
  for (const client of clients) client.close();
  await server.shutdown();
});

Deno.test("lingering ends after 256 MiB even if the client never pauses", async () => {
  const { server, records } = serveLocally(
    { streaming: true, lingerTimeout: Infinity },
    () => "enough",
  );
  const client = await begin(server.addr, "request");
  await records.nth(1);
  const chunk = new Uint8Array(1024 ** 2);
  let sent = 0;
  await assertRejects(async () => {
    // More than fits into the kernel beside the bound.
    while (sent < 512 * 1024 ** 2) sent += await client.write(chunk);
  });
  assert(sent > 256 * 1024 ** 2, `given up after ${sent} bytes`);
  client.close();
  await server.shutdown();
});
