// Servers behind a proxy that speaks the PROXY protocol: whose addresses they see,
// and that nothing else changes.

import { assertEquals, assertThrows } from "@std/assert";
import { type Conn, listen, type RequestStart, serve } from "../mod.ts";
import { assertSame, encode, pattern } from "./bytes.ts";
import { ascii, binary, ipv4Pair, withChecksum } from "./proxy_headers.ts";
import {
  ask,
  begin,
  connect,
  exchange,
  local,
  readBytes,
  readText,
  send,
  writeAll,
} from "./sockets.ts";
import {
  listenLocally,
  Records,
  serveLocally,
  type ServeTcpOptions,
  testUnix,
  turnOfIo,
} from "./support.ts";
import { cert, key } from "./tls.ts";

const line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n";
const addresses = ipv4Pair([[192, 0, 2, 1], 4711], [[192, 0, 2, 2], 443]);
const remoteAddr: Deno.NetAddr = {
  transport: "tcp",
  hostname: "192.0.2.1",
  port: 4711,
};
const localAddr: Deno.NetAddr = {
  transport: "tcp",
  hostname: "192.0.2.2",
  port: 443,
};

const fromProxy = { proxyProtocol: true };

/** A header, and a request after it in the same segment. */
function proxied(header: string | Uint8Array, request: string | Uint8Array) {
  const [first, second] = [header, request].map((part) =>
    typeof part === "string" ? encode(part) : part
  );
  return new Uint8Array([...first ?? [], ...second ?? []]);
}

/** Reads a request in pieces of three bytes. */
async function inPieces(conn: Conn): Promise<string> {
  const buffer = new Uint8Array(3);
  let text = "";
  for (let size; (size = await conn.read(buffer)) !== null;) {
    text += new TextDecoder().decode(buffer.subarray(0, size));
  }
  return text;
}

const readings: Record<string, (conn: Conn) => Promise<string>> = {
  "text()": (conn) => conn.text(),
  "readable": (conn) => new Response(conn.readable).text(),
  "read()": inPieces,
};
const modes: Record<string, ServeTcpOptions> = {
  buffered: {},
  streaming: { streaming: true },
  "read ahead": { readAhead: 3 },
  "with onRefuse": { streaming: true, onRefuse: () => "no" },
  "until a silence": { streaming: true, until: { idle: 60_000 } },
};

for (const [mode, options] of Object.entries(modes)) {
  for (const [reading, read] of Object.entries(readings)) {
    Deno.test(`proxyProtocol leaves ${reading} as it is (${mode})`, async () => {
      const { server, records } = serveLocally(
        { ...options, ...fromProxy },
        async (conn) => `${await read(conn)}, ${conn.remoteAddr.hostname}`,
      );
      for (const header of [line, withChecksum({ addresses })]) {
        const request = proxied(header, "0123456789");
        const reply = await readText(await send(server.addr, request));
        assertEquals(reply, "0123456789, 192.0.2.1");
      }
      await server.shutdown();
      for (const { bytesRead, end, outcome } of records.all) {
        assertEquals([bytesRead, end, outcome], [10, "fin", "ok"]);
      }
    });
  }

  Deno.test(`proxyProtocol loses no byte of 5 MB (${mode})`, async () => {
    const { server } = serveLocally({ ...options, ...fromProxy });
    const request = pattern(5_000_000);
    for (const header of [line, binary({ addresses })]) {
      const reply = await exchange(server.addr, proxied(header, request));
      assertSame(reply, request);
    }
    await server.shutdown();
  });
}

Deno.test("proxyProtocol gives the client's addresses everywhere, and the proxy's", async () => {
  const starts: RequestStart[] = [];
  const { server, records } = serveLocally({
    ...fromProxy,
    onRequest: (start) => void starts.push(start),
  }, ({ remoteAddr, localAddr, peerAddr }) => {
    return JSON.stringify({ remoteAddr, localAddr, peerAddr });
  });
  const client = await send(server.addr, proxied(line, "x"));
  const { localAddr: peerAddr } = client;
  const expected = {
    remoteAddr,
    localAddr,
    peerAddr: peerAddr as Deno.NetAddr,
  };
  assertEquals(JSON.parse(await readText(client)), expected);
  await server.shutdown();
  const record = await records.nth(1);
  const [start] = starts;
  assertEquals({ ...record, ...expected }, record);
  assertEquals([start?.remoteAddr, start?.localAddr], [remoteAddr, localAddr]);
  assertEquals(start?.head, encode("x"));
});

Deno.test("without proxyProtocol a header is a part of the request", async () => {
  const { server, records } = serveLocally({});
  assertEquals(await ask(server.addr, line), line);
  await server.shutdown();
  const { remoteAddr, peerAddr } = await records.nth(1);
  assertEquals(remoteAddr, peerAddr);
});

Deno.test("listen() reads a header that comes byte by byte", async () => {
  const { listener } = listenLocally(fromProxy);
  const client = await connect(listener.addr);
  const reply = readText(client);
  const sending = (async () => {
    for (const byte of binary({ addresses })) {
      await client.write(Uint8Array.of(byte));
      await turnOfIo();
    }
    await client.write(encode("hello"));
    await client.closeWrite();
  })();
  for await (const conn of listener) {
    assertEquals(conn.remoteAddr, remoteAddr);
    await conn.respond(await conn.text());
    break;
  }
  await sending;
  assertEquals(await reply, "hello");
});

Deno.test("proxyProtocol looks for the delimiter after the header only", async () => {
  const { server, records } = serveLocally({ ...fromProxy, until: "\n" });
  const client = await begin(server.addr, proxied(line, "one\ntwo\n"));
  assertEquals(await readText(client), "one\n");
  await server.shutdown();
  assertEquals((await records.nth(1)).bytesRead, 4);
});

Deno.test("proxyProtocol counts no header as a part of the request", async () => {
  const { server, records } = serveLocally({
    ...fromProxy,
    maxRequestBytes: 5,
    onRefuse: () => "too much",
  });
  for (const [request, reply] of [["hello", "hello"], ["hello!", "too much"]]) {
    const client = await send(server.addr, proxied(line, request ?? ""));
    assertEquals(await readText(client), reply);
  }
  await server.shutdown();
  assertEquals(records.outcomes, ["ok", "too-large"]);
});

// Addresses that are of no use

for (
  const [name, header] of [
    ["UNKNOWN", ascii("PROXY UNKNOWN\r\n")],
    ["LOCAL", binary({ command: 0x20, family: 0 })],
    ["an unspecified family", binary({ family: 0 })],
    ["Unix paths", binary({ family: 0x31, addresses: Array(216).fill(0x2f) })],
    ["datagrams", binary({ family: 0x12, addresses })],
  ] as const
) {
  for (const streaming of [false, true]) {
    const mode = streaming ? "streaming" : "buffered";
    Deno.test(`proxyProtocol keeps the socket's addresses with ${name} (${mode})`, async () => {
      const { server, records } = serveLocally({ ...fromProxy, streaming });
      const client = await begin(server.addr, header);
      // The request may come much later.
      await turnOfIo();
      await writeAll(client, encode("request"));
      await client.closeWrite();
      const { localAddr: peer, remoteAddr: here } = client;
      assertEquals(await readText(client), "request");
      await server.shutdown();
      const { remoteAddr, localAddr, peerAddr } = await records.nth(1);
      assertEquals([remoteAddr, peerAddr, localAddr], [
        peer as Deno.NetAddr,
        peer as Deno.NetAddr,
        here as Deno.NetAddr,
      ]);
    });
  }
}

// Who is trusted

Deno.test("allow decides on the proxy before its header is read, and only then", async () => {
  const asked: Deno.NetAddr[] = [];
  const { server, records } = serveLocally({
    ...fromProxy,
    allow: (addr) => asked.push(addr) === 2,
  });
  const liar = await connect(server.addr);
  assertEquals(await liar.read(new Uint8Array(1)), null);
  liar.close();
  const proxy = await send(server.addr, proxied(line, "hello"));
  assertEquals(await readText(proxy), "hello");
  await server.shutdown();
  const peers = [liar, proxy].map(({ localAddr }) => localAddr as Deno.NetAddr);
  assertEquals(asked, peers);
  const [denied, served] = records.all;
  assertEquals([denied?.outcome, denied?.remoteAddr], ["denied", peers[0]]);
  assertEquals(served?.remoteAddr, remoteAddr);
});

// Unix sockets

testUnix(
  "proxyProtocol on a Unix socket gives the client's TCP addresses",
  async (folder) => {
    const path = `${folder}/socket`;
    const { promise, resolve } = Promise.withResolvers<Deno.Addr[]>();
    const server = serve({
      path,
      proxyProtocol: true,
      onExchange: (record) => resolve([record.remoteAddr, record.localAddr]),
    }, ({ remoteAddr }) => {
      return remoteAddr.transport === "tcp" ? remoteAddr.hostname : "a path";
    });
    const client = await send({ transport: "unix", path }, line);
    assertEquals(await readText(client), "192.0.2.1");
    assertEquals(await promise, [remoteAddr, localAddr]);
    await server.shutdown();
  },
);

testUnix(
  "proxyProtocol on a Unix socket gives the client's paths",
  async (folder) => {
    const path = `${folder}/socket`;
    const records = new Records();
    const onExchange = records.add;
    const server = serve(
      { path, onExchange, ...fromProxy },
      (conn) => conn.bytes(),
    );
    const paths = ["/run/client", "/run/proxy"].map((path) =>
      path.padEnd(108, "\0")
    );
    const header = binary({ family: 0x31, addresses: ascii(paths.join("")) });
    const client = await send(server.addr, proxied(header, "x"));
    assertEquals(await readText(client), "x");
    const local = binary({ command: 0x20, family: 0 });
    await readBytes(await send(server.addr, proxied(local, "x")));
    await server.shutdown();
    const [named, own] = records.all;
    assertEquals(named?.remoteAddr, { transport: "unix", path: "/run/client" });
    assertEquals(named?.localAddr, { transport: "unix", path: "/run/proxy" });
    assertEquals(own?.localAddr, { transport: "unix", path });
    assertEquals(own?.remoteAddr, own?.peerAddr);
  },
);

// What cannot be

Deno.test("listen() refuses proxyProtocol with TLS, and says why", () => {
  const message = "the PROXY header comes before the TLS handshake";
  assertThrows(
    () => listen({ ...local, cert, key, proxyProtocol: true }),
    TypeError,
    message,
  );
  using listener = Deno.listenTls({ ...local, cert, key });
  assertThrows(
    () => listen({ listener, proxyProtocol: true }),
    TypeError,
    message,
  );
});

Deno.test("listen() takes proxyProtocol with a listener of the caller's", async () => {
  const listener = Deno.listen(local);
  const server = serve({ listener, proxyProtocol: true }, ({ remoteAddr }) => {
    return remoteAddr.hostname;
  });
  assertEquals(await ask(listener.addr, line), "192.0.2.1");
  await server.shutdown();
});
