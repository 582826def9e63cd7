// Addresses: an IPv4 client has an IPv4 address, wherever it is named.

import {
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { listen, serve } from "../mod.ts";
import { encode } from "./bytes.ts";
import { binary } from "./proxy_headers.ts";
import { ask, exchange, freePort, local, readText, send } from "./sockets.ts";
import { serveLocally, temporaryFolder, testIf } from "./support.ts";
import { checkRefusal, Tool } from "./tool.ts";

/** Whether a socket that listens on `::` has clients of IPv4. */
const isDual = hasBoth();

function hasBoth(): boolean {
  try {
    Deno.listen({ hostname: "::", port: 0 }).close();
    return Deno.build.os === "linux";
  } catch {
    return false;
  }
}

function testDual(name: string, fn: () => Promise<void>): void {
  testIf(isDual, "a socket for IPv4 and IPv6", name, fn);
}

testDual("listen() on :: has IPv4 clients with IPv4 addresses", async () => {
  const seen: Deno.Addr[] = [];
  const { server, records } = serveLocally({
    hostname: "::",
    allow: (addr) => seen.push(addr) === 1,
    onRequest: ({ remoteAddr, localAddr }) => {
      seen.push(remoteAddr, localAddr);
    },
  }, ({ remoteAddr, localAddr, peerAddr }) => {
    seen.push(remoteAddr, localAddr, peerAddr);
  });
  const { port } = server.addr;
  const client = await send({ port }, "hello");
  const theirs = client.localAddr;
  const ours = { transport: "tcp", hostname: "127.0.0.1", port } as const;
  assertEquals(await readText(client), "");
  await server.shutdown();
  const { remoteAddr, localAddr, peerAddr } = await records.nth(1);
  seen.push(remoteAddr, localAddr, peerAddr);
  assertEquals(seen, [
    theirs,
    ...[theirs, ours],
    ...[theirs, ours, theirs],
    ...[theirs, ours, theirs],
  ]);
});

testDual("listen() on :: keeps the addresses of IPv6 clients", async () => {
  const { server, records } = serveLocally({ hostname: "::" });
  const { port } = server.addr;
  assertEquals(await ask({ hostname: "::1", port }, "hello"), "hello");
  await server.shutdown();
  const { remoteAddr, localAddr } = await records.nth(1);
  const hosts = [remoteAddr, localAddr].map((addr) =>
    (addr as Deno.NetAddr).hostname
  );
  assertEquals(hosts, ["::1", "::1"]);
});

testDual(
  "proxyProtocol on :: knows the health checks of a proxy with IPv4",
  async () => {
    const { server, records } = serveLocally({
      hostname: "::",
      proxyProtocol: true,
    });
    const { port } = server.addr;
    const client = await Deno.connect({ hostname: "127.0.0.1", port });
    const own = client.localAddr.port;
    await client.write(
      encode(`PROXY TCP4 127.0.0.1 127.0.0.1 ${own} ${port}\r\n`),
    );
    await client.closeWrite();
    assertEquals(await readText(client), "");
    await server.shutdown();
    assertEquals(records.outcomes, ["health-check"]);
  },
);

Deno.test("proxyProtocol names IPv4 clients of a proxy with IPv6 by IPv4", async () => {
  const { server, records } = serveLocally({ proxyProtocol: true });
  const mapped = [...Array(10).fill(0), 0xff, 0xff, 192, 0, 2];
  const headers = [
    encode("PROXY TCP6 ::ffff:192.0.2.1 ::FFFF:c000:202 4711 443\r\n"),
    binary({
      family: 0x21,
      addresses: [...mapped, 1, ...mapped, 2, 0x12, 0x67, 0x01, 0xbb],
    }),
  ];
  for (const header of headers) await exchange(server.addr, header);
  await server.shutdown();
  for (const { remoteAddr, localAddr } of records.all) {
    assertEquals(remoteAddr, {
      transport: "tcp",
      hostname: "192.0.2.1",
      port: 4711,
    });
    assertEquals(localAddr, {
      transport: "tcp",
      hostname: "192.0.2.2",
      port: 443,
    });
  }
});

testDual(
  "cli: --host :: tells IPv4 clients by IPv4: log, trace and programs",
  async () => {
    await using folder = await temporaryFolder();
    const file = `${folder.path}/trace`;
    const program = 'cat; echo "$TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP"';
    await using tool = new Tool([
      ...["--host", "::", "--port", "0", "--log-format", "json"],
      ...["--log-level", "debug", "--trace", file],
      ...["--", "sh", "-c", program],
    ], Tool.allowing(folder.path, "--allow-run"));
    const [, digits] = await tool.line(/listening on \[::\]:(\d+)"/);
    const port = Number(digits);
    const client = await send({ port }, "");
    const own = (client.localAddr as Deno.NetAddr).port;
    assertEquals(await readText(client), `127.0.0.1 ${own} 127.0.0.1\n`);
    tool.kill("SIGTERM");
    const { code, lines } = await tool.ending();
    assertEquals(code, 0);
    const log = lines.map((line) => JSON.parse(line));
    const named = log.filter(({ client }) => client !== undefined);
    assertEquals(named.map(({ event, client }) => [event, client]), [
      ["accept", `127.0.0.1:${own}`],
      ["exchange", `127.0.0.1:${own}`],
    ]);
    assertEquals(named.at(-1).server, `127.0.0.1:${port}`);
    assertEquals(lines.join().includes("ffff"), false);
    const traced = await Deno.readTextFile(file);
    assertStringIncludes(traced, `"client":"127.0.0.1:${own}"`);
    // It is told of the exchange only if it knows the address.
    assertMatch(traced, /"event":"exchange".*"outcome":"ok"/);
  },
);

testIf(isDual, "IPv6", "listen() puts IPv6 addresses in brackets", () => {
  using other = Deno.listen({ hostname: "::1", port: 0 });
  const { port } = other.addr;
  const error = assertThrows(
    () => listen({ hostname: "::1", port }),
    Deno.errors.AddrInUse,
  );
  assertStringIncludes(error.message, `Cannot listen on [::1]:${port}: `);
});

Deno.test("listen() names the address that it cannot listen on", () => {
  const error = assertThrows(
    () => listen({ hostname: "192.0.2.1", port: 7 }),
    Deno.errors.AddrNotAvailable,
  );
  assertStringIncludes(error.message, "Cannot listen on 192.0.2.1:7: Cannot ");
});

testDual("cli: puts IPv6 addresses in brackets", async () => {
  using other = Deno.listen({ hostname: "::1", port: 0 });
  const busy = `${other.addr.port}`;
  const free = `[::1]:${freePort()}`;
  for (
    const [args, reason] of [
      [["--host", "::1", "--port", busy], `Cannot listen on [::1]:${busy}: `],
      [["--metrics", `[::1]:${busy}`], `[::1]:${busy}`],
      [["send", free], `Cannot connect to ${free}: `],
    ] as const
  ) {
    checkRefusal(await Tool.run([...args]), 1, reason);
  }
});

Deno.test("listen() tells allow() the number that the record has", async () => {
  const seen: [id: number, outcome: string][] = [];
  const ids: number[] = [];
  await using server = serve({
    ...local,
    allow: (_addr, id) => ids.push(id) !== 2,
    onExchange: ({ id, outcome }) => seen.push([id, outcome]),
  }, (conn) => `${conn.id}`);
  assertEquals(await ask(server.addr), "1");
  await ask(server.addr);
  assertEquals(await ask(server.addr), "3");
  await server.shutdown();
  assertEquals(ids, seen.map(([id]) => id));
  assertEquals(seen.map(([, outcome]) => outcome === "ok"), [
    true,
    false,
    true,
  ]);
});
