// What this module relies on in Deno, so that a change there shows here.

import { assert, assertEquals, assertRejects } from "@std/assert";
import net from "node:net";
import tls from "node:tls";
import { encode } from "./bytes.ts";
import { KeptSocket } from "./kept_socket.ts";
import { Peer } from "./peer.ts";
import { runDeno, runProgram } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import { ask, begin, connect, local, send, writeAll } from "./sockets.ts";
import { testOnLinux } from "./support.ts";
import { caCerts, cert, forged, key } from "./tls.ts";
import { withDescriptors } from "./told_server.ts";

async function pair() {
  const listener = Deno.listen(local);
  const client = await connect(listener.addr);
  const conn = await listener.accept();
  listener.close();
  return { client, conn };
}

Deno.test("Deno.Conn.readable closes the whole socket at EOF", async () => {
  const { client, conn } = await pair();
  await client.write(encode("hello"));
  await client.closeWrite();
  assertEquals(await new Response(conn.readable).text(), "hello");
  await assertRejects(
    () => conn.write(encode("answer")),
    Deno.errors.BadResource,
  );
  client.close();
});

Deno.test("Deno.Conn.read() leaves the sending half open at EOF", async () => {
  const { client, conn } = await pair();
  await client.closeWrite();
  assertEquals(await conn.read(new Uint8Array(1)), null);
  assertEquals(await conn.read(new Uint8Array(1)), null);
  assertEquals(await conn.write(encode("answer")), 6);
  conn.close();
  assertEquals(await new Response(client.readable).text(), "answer");
});

Deno.test("Deno.Conn.close() interrupts reads and writes", async () => {
  const { client, conn } = await pair();
  const reading = conn.read(new Uint8Array(1));
  conn.close();
  await assertRejects(() => reading, Deno.errors.Interrupted);
  client.close();

  const other = await pair();
  const writing = writeAll(other.conn, new Uint8Array(50_000_000));
  other.conn.close();
  await assertRejects(() => writing, Deno.errors.Interrupted);
  other.client.close();
});

Deno.test("Deno.Conn.write() takes a part as a rule", async () => {
  const { client, conn } = await pair();
  const written = await conn.write(new Uint8Array(50_000_000));
  assert(written > 0 && written < 50_000_000);
  conn.close();
  client.close();
});

Deno.test("Deno.Conn.write() takes nothing of a detached view", async () => {
  const { client, conn } = await pair();
  const bytes = encode("gone");
  structuredClone(bytes, { transfer: [bytes.buffer] });
  assertEquals(await conn.write(bytes), 0);
  conn.close();
  client.close();
});

Deno.test({
  name: "Deno.Listener.accept() rejects for a client that reset before it",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const listener = Deno.listen(local);
    await (await RudeClient.connect(listener.addr)).reset();
    const error = await assertRejects(
      () => listener.accept(),
      Deno.errors.NotConnected,
    );
    assertEquals((error as { code?: string }).code, "ENOTCONN");
    // The listener survives.
    const client = await send(listener.addr, "hello");
    const conn = await listener.accept();
    assertEquals(await conn.read(new Uint8Array(9)), 5);
    for (const open of [conn, client, listener]) open.close();
  },
});

Deno.test("Deno.Listener.accept() takes one waiter at a time", async () => {
  const listener = Deno.listen(local);
  const first = listener.accept();
  await assertRejects(() => listener.accept(), Deno.errors.Busy);
  listener.close();
  await assertRejects(() => first);
});

Deno.test("Deno.Listener hands out its backlog first in, first out", async () => {
  const listener = Deno.listen(local);
  const clients: Deno.Conn[] = [];
  for (let i = 0; i < 20; i++) clients.push(await connect(listener.addr));
  for (const client of clients) {
    const conn = await listener.accept();
    assertEquals(conn.remoteAddr, client.localAddr as Deno.NetAddr);
    conn.close();
    client.close();
  }
  listener.close();
});

Deno.test("Deno.TlsConn.handshake() tells a failed handshake from a cut request", async () => {
  const listener = Deno.listenTls({ ...local, cert, key });
  const client = await begin(listener.addr, "not TLS at all");
  const conn = await listener.accept();
  await assertRejects(() => conn.handshake(), Deno.errors.InvalidData);
  for (const open of [conn, client, listener]) open.close();
});

Deno.test("Deno.listenTls() gives a TlsListener, by the name of its class", () => {
  using plain = Deno.listen(local);
  using secure = Deno.listenTls({ ...local, cert, key });
  const names = [plain, secure].map((listener) => listener.constructor.name);
  assertEquals(names, ["Listener", "TlsListener"]);
});

Deno.test("Deno has listenDatagram() only where it takes reusePort", async () => {
  for (const flags of [[], ["--unstable-net"]]) {
    const program = 'console.log("listenDatagram" in Deno)';
    const { stdout } = await runDeno("eval", "--no-config", ...flags, program);
    assertEquals(stdout, `${flags.length > 0}\n`);
  }
});

Deno.test("node:net fails a write that waits if the peer has ended before its first byte", async () => {
  const failed = Promise.withResolvers<Error | null | undefined>();
  await using peer = await Peer.of((socket) => {
    socket.resume();
    socket.on(
      "end",
      () => socket.write(new Uint8Array(64 * 1024 ** 2), failed.resolve),
    );
  });
  // It reads nothing yet, but is there.
  const client = await send({ port: peer.port }, "");
  assertEquals((await failed.promise)?.message, "write EPIPE");
  client.close();
});

testOnLinux(
  "net.Server.listen() adopts a listening socket, and leaves it to others",
  async () => {
    using kept = KeptSocket.tcp();
    for (const name of ["first", "second"]) {
      const options = { allowHalfOpen: true };
      const server = net.createServer(options, (socket) => socket.pipe(socket))
        .listen({ fd: kept.lend() });
      assertEquals(await ask(kept.place, name), name);
      await new Promise((resolve) => server.close(resolve));
    }
  },
);

testOnLinux(
  "net.Server accepts nobody any more once descriptors have lacked",
  async () => {
    using kept = KeptSocket.tcp();
    const fd = kept.lend();
    const file = import.meta.resolve("./testdata/lacking_descriptors.ts");
    const [program = "", ...args] = [
      ...[...withDescriptors(80), Deno.execPath(), "run", "--no-config"],
      ...["-N", "-R", "-W", file, `${fd}`],
    ];
    // Without descriptors a look for a newer Deno panics.
    const env = { DENO_NO_UPDATE_CHECK: "1" };
    const { stdout, stderr } = await runProgram(program, args, { env });
    kept.giveBack(fd);
    assertEquals(stdout, "first second second\n", stderr);
  },
);

testOnLinux(
  "Deno.Command passes on the descriptor of a net.Server, and no duplicate",
  async () => {
    using kept = KeptSocket.tcp();
    const fd = kept.lend();
    const server = net.createServer().listen({ fd });
    const { _handle } = server as { _handle?: { fdForIpc?(): number } };
    const duplicate = _handle?.fdForIpc?.() ?? -1;
    const sockets = (listing: string) =>
      Array.from(listing.matchAll(/(\d+) -> socket:/g), ([, fd]) => Number(fd));
    const args = ["-l", "/proc/self/fd"];
    const inherited = sockets((await runProgram("ls", args)).stdout);
    assert(inherited.includes(fd), `${inherited}`);
    assert(!inherited.includes(duplicate), `${inherited}`);
    kept.giveBack(duplicate);
    await new Promise((resolve) => server.close(resolve));
  },
);

Deno.test("node:tls with authorities takes a certificate that they have not signed", async () => {
  const secureContext = tls.createSecureContext(forged);
  await using peer = await Peer.of((socket) => {
    const options = { isServer: true, secureContext };
    new tls.TLSSocket(socket, options).on("error", () => {});
  });
  const { port } = peer;
  const accepted = await new Promise((resolve) => {
    const options = { host: "localhost", port, ca: caCerts };
    const socket: net.Socket = tls.connect(options, () => resolve(socket))
      .on("error", resolve);
  });
  assert(accepted instanceof tls.TLSSocket);
  const closed = new Promise((resolve) => accepted.once("close", resolve));
  accepted.destroy();
  await closed;
});
