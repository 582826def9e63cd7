// A socket of `node:net` in place of a `Deno.Conn`: at both ends of a connection.

import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import net from "node:net";
import { serve } from "../mod.ts";
import { denoError } from "../shared/node_error.ts";
import { NodeSocket } from "../shared/node_socket.ts";
import { assertSame, pattern } from "./bytes.ts";
import { Peer } from "./peer.ts";
import { root, runDeno } from "./programs.ts";
import { exchange } from "./sockets.ts";
import { Records, temporaryFolder, testOnLinux, turnOfIo } from "./support.ts";

const large = pattern(8 * 1024 ** 2);
const never = new AbortController().signal;

/** Both ends of a connection: one that was made, and one that was accepted. */
async function pair() {
  const accepted = Promise.withResolvers<NodeSocket>();
  const peer = await Peer.of((socket) =>
    accepted.resolve(new NodeSocket(socket))
  );
  const { port } = peer;
  const client = await NodeSocket.connect({ host: "127.0.0.1", port }, never);
  const server = await accepted.promise;
  return {
    ends: { "one that was made": client, "one that was accepted": server },
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.close();
      server.close();
      await peer[Symbol.asyncDispose]();
    },
  };
}

async function writeAll(socket: NodeSocket, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    sent += await socket.write(bytes.subarray(sent));
  }
  await socket.closeWrite();
}

async function readAll(socket: NodeSocket): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const buffer = new Uint8Array(10_000);
    const length = await socket.read(buffer);
    if (length === null) return await new Blob(chunks).bytes();
    chunks.push(buffer.subarray(0, length));
  }
}

Deno.test("NodeSocket carries 8 MiB both ways at once, and half-closes", async () => {
  await using both = await pair();
  const { client, server } = both;
  const [there, back] = await Promise.all([
    readAll(server),
    readAll(client),
    writeAll(client, large),
    writeAll(server, large),
  ]);
  assertSame(there as Uint8Array<ArrayBuffer>, large);
  assertSame(back as Uint8Array<ArrayBuffer>, large);
});

Deno.test("NodeSocket reads on after it has sent its FIN", async () => {
  await using both = await pair();
  const { client, server } = both;
  await client.write(pattern(1));
  await client.closeWrite();
  assertEquals((await readAll(server)).length, 1);
  const reading = readAll(client);
  await writeAll(server, large);
  assertSame(await reading as Uint8Array<ArrayBuffer>, large);
});

Deno.test("NodeSocket has the addresses that Deno has", async () => {
  await using both = await pair();
  const { client, server } = both;
  const { hostname, port } = server.localAddr as Deno.NetAddr;
  assertEquals({ hostname, port }, {
    hostname: "127.0.0.1",
    port: (client.remoteAddr as Deno.NetAddr).port,
  });
  assertEquals(server.remoteAddr, client.localAddr);
});

for (const end of ["one that was made", "one that was accepted"] as const) {
  const other = end === "one that was made"
    ? "one that was accepted"
    : "one that was made";

  Deno.test(`NodeSocket.reset() sends a RST (${end})`, async () => {
    await using both = await pair();
    const { [end]: socket, [other]: peer } = both.ends;
    await socket.write(pattern(5));
    assertEquals(await peer.read(new Uint8Array(9)), 5);
    socket.reset();
    await assertRejects(
      () => peer.read(new Uint8Array(9)),
      Deno.errors.ConnectionReset,
    );
  });

  Deno.test(`NodeSocket.close() ends reads and writes (${end})`, async () => {
    await using both = await pair();
    const { [end]: socket } = both.ends;
    const reading = socket.read(new Uint8Array(9));
    const writing = (async () => {
      for (;;) await socket.write(large);
    })();
    socket.close();
    socket.close();
    await assertRejects(() => reading, Deno.errors.Interrupted);
    await assertRejects(() => writing, Deno.errors.Interrupted);
    await assertRejects(
      () => socket.write(pattern(1)),
      Deno.errors.Interrupted,
    );
  });

  Deno.test(`NodeSocket waits for a peer that does not read (${end})`, async () => {
    await using both = await pair();
    const { [end]: socket, [other]: peer } = both.ends;
    let written = 0;
    const writing = (async () => {
      while (written < 64 * large.length) written += await socket.write(large);
    })();
    // The peer takes something, and no more.
    assert(await peer.read(new Uint8Array(1)));
    let before;
    do {
      before = written;
      await turnOfIo();
    } while (written > before);
    assertLess(written, 64 * large.length);
    socket.close();
    await assertRejects(() => writing, Deno.errors.Interrupted);
  });

  Deno.test(`NodeSocket gives what came before a reset (${end})`, async () => {
    await using both = await pair();
    const { [end]: socket, [other]: peer } = both.ends;
    await peer.write(pattern(1000));
    peer.reset();
    let bytes = 0;
    await assertRejects(async () => {
      for (;;) bytes += await socket.read(new Uint8Array(300)) ?? NaN;
    }, Deno.errors.ConnectionReset);
    assertEquals(bytes, 1000);
  });
}

for (const end of ["one that was made", "one that was accepted"] as const) {
  const other = end === "one that was made"
    ? "one that was accepted"
    : "one that was made";

  testOnLinux(
    `NodeSocket writes on when the peer has ended before its first byte (${end})`,
    async () => {
      await using both = await pair();
      const { [end]: socket, [other]: peer } = both.ends;
      // More than the buffers of the kernel take: it has to wait.
      const writing = writeAll(socket, large);
      await turnOfIo();
      await peer.closeWrite();
      assertEquals(await socket.read(new Uint8Array(9)), null);
      const reading = readAll(peer);
      await writing;
      assertSame(await reading as Uint8Array<ArrayBuffer>, large);
    },
  );

  testOnLinux(
    `NodeSocket.reset() sends a RST in the middle of a write that waits (${end})`,
    async () => {
      await using both = await pair();
      const { [end]: socket, [other]: peer } = both.ends;
      const writing = writeAll(socket, large);
      await turnOfIo();
      socket.reset();
      await assertRejects(() => writing, Deno.errors.Interrupted);
      await assertRejects(() => readAll(peer), Deno.errors.ConnectionReset);
    },
  );

  testOnLinux(
    `NodeSocket gives all that came with its end even if a write met a reset (${end})`,
    async () => {
      await using both = await pair();
      const { [end]: socket, [other]: peer } = both.ends;
      const writing = writeAll(socket, large);
      // Two chunks that nobody reads: the end is not read yet.
      for (let i = 0; i < 2; i++) {
        await peer.write(pattern(1000));
        await turnOfIo();
      }
      await peer.closeWrite();
      // On bytes that it has not read: with a RST.
      peer.close();
      await assertRejects(() => writing, Deno.errors.BrokenPipe);
      assertEquals((await readAll(socket)).length, 2000);
    },
  );
}

Deno.test("NodeSocket is no connection of a peer that has left", async () => {
  const accepted = Promise.withResolvers<net.Socket>();
  await using peer = await Peer.of(accepted.resolve);
  const { port } = peer;
  const client = await NodeSocket.connect({ host: "127.0.0.1", port }, never);
  const socket = await accepted.promise;
  client.reset();
  await turnOfIo();
  await assertRejects(
    // deno-lint-ignore require-await -- what it throws is to be a rejection.
    async () => new NodeSocket(socket),
    Deno.errors.NotConnected,
  );
});

/** A listener whose connections are sockets of Node. */
class NodeListener {
  readonly addr: Deno.NetAddr;
  readonly #server: net.Server;
  readonly #waiting: NodeSocket[] = [];
  #next: PromiseWithResolvers<NodeSocket> | undefined;

  private constructor(server: net.Server) {
    this.#server = server;
    const { address, port } = server.address() as net.AddressInfo;
    this.addr = { transport: "tcp", hostname: address, port };
    server.on("connection", (socket) => {
      const connection = new NodeSocket(socket);
      if (this.#next) this.#next.resolve(connection);
      else this.#waiting.push(connection);
      this.#next = undefined;
    });
  }

  static async open(): Promise<NodeListener> {
    const server = net.createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve())
    );
    return new NodeListener(server);
  }

  accept(): Promise<NodeSocket> {
    const connection = this.#waiting.shift();
    if (connection) return Promise.resolve(connection);
    this.#next = Promise.withResolvers();
    return this.#next.promise;
  }

  close(): void {
    this.#server.close();
    this.#next?.reject(new Deno.errors.BadResource("It is closed"));
  }

  ref(): void {}
  unref(): void {}
}

Deno.test("serve() serves connections that are sockets of Node", async (t) => {
  for (const streaming of [false, true]) {
    await t.step(streaming ? "streaming" : "whole", async () => {
      const listener = await NodeListener.open();
      const records = new Records();
      const server = serve(
        {
          listener: listener as unknown as Deno.TcpListener,
          streaming,
          onExchange: records.add,
        },
        (conn) => streaming ? conn.readable : conn.bytes(),
      );
      for (let i = 0; i < 3; i++) {
        assertSame(await exchange(listener.addr, large), large);
      }
      assertEquals((await records.nth(3)).bytesWritten, large.length);
      const rude = await NodeSocket.connect(
        { host: "127.0.0.1", port: listener.addr.port },
        never,
      );
      await rude.write(pattern(9));
      await turnOfIo();
      rude.reset();
      await records.nth(4);
      assertEquals(records.outcomes, ["ok", "ok", "ok", "reset"]);
      server.close();
      await server.finished;
    });
  }
});

// Errors

const errors: [code: string, ErrorClass: new () => Error][] = [
  ["ECONNREFUSED", Deno.errors.ConnectionRefused],
  ["ECONNRESET", Deno.errors.ConnectionReset],
  ["ECONNABORTED", Deno.errors.ConnectionAborted],
  ["EPIPE", Deno.errors.BrokenPipe],
  ["ENOENT", Deno.errors.NotFound],
  ["ENOTCONN", Deno.errors.NotConnected],
  ["ETIMEDOUT", Deno.errors.TimedOut],
  ["EAGAIN", Deno.errors.WouldBlock],
  ["EACCES", Deno.errors.PermissionDenied],
  ["EADDRNOTAVAIL", Deno.errors.AddrNotAvailable],
  ["ENETUNREACH", Deno.errors.NetworkUnreachable],
];

for (const [code, ErrorClass] of errors) {
  Deno.test(`denoError() gives ${code} the class that Deno gives it`, () => {
    const error = Object.assign(new Error(`read ${code}`), {
      code,
      errno: -111,
    });
    const same = denoError(error) as Error;
    assertEquals(same.constructor, ErrorClass);
    assertEquals(same.cause, error);
    assert(same.message.endsWith(" (os error 111)"), same.message);
    assertEquals(
      (denoError(new AggregateError([error])) as Error).constructor,
      ErrorClass,
    );
  });
}

Deno.test("denoError() leaves what Deno has no class for", () => {
  for (const other of [new Error("x"), new TypeError("x"), "x", undefined]) {
    assertEquals(denoError(other), other);
  }
});

Deno.test("request() loads Node's modules when it needs them", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/loads.js`;
  await Deno.writeTextFile(
    path,
    `const loaded = [];
    const { getBuiltinModule } = process;
    process.getBuiltinModule = (name) => {
      loaded.push(name);
      return getBuiltinModule.call(process, name);
    };
    const { request, serve } = await import("file://${root}/mod.ts");
    const server = serve({ hostname: "127.0.0.1", port: 0 }, () => "x");
    const before = loaded.join();
    await (await request(server.addr)).text();
    await server.shutdown();
    console.log(JSON.stringify([before, [...new Set(loaded)].join()]));`,
  );
  const { stdout, stderr } = await runDeno("run", "-N", "--no-prompt", path);
  assertEquals(stdout, '["","node:net"]\n', stderr);
});
