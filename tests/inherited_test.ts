// Listening sockets that are inherited: what is the same as elsewhere, and what
// differs. Each fault is played on them in `faults_test.ts`.

import {
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  type Conn,
  type FdOptions,
  type Handler,
  listen,
  serve,
  type ServeCallbacks,
} from "../mod.ts";
import { assertSame, pattern } from "./bytes.ts";
import { KeptSocket } from "./kept_socket.ts";
import { root, runDeno } from "./programs.ts";
import {
  ask,
  begin,
  exchange,
  type Place,
  readBytes,
  readText,
  send,
} from "./sockets.ts";
import {
  lineUp,
  Records,
  temporaryFolder,
  testOnLinux,
  turnOfIo,
} from "./support.ts";
import { ToldServer, withDescriptors } from "./told_server.ts";

type Options = Omit<
  FdOptions & ServeCallbacks<Deno.NetAddr | Deno.UnixAddr>,
  "fd"
>;

const large = pattern(8 * 1024 ** 2);

/** A server on a socket that is kept. It echoes unless told otherwise. */
function serveKept(
  kept: KeptSocket,
  options: Options = {},
  handler: Handler<Deno.NetAddr | Deno.UnixAddr> = (conn) => conn.bytes(),
) {
  const records = new Records();
  const fd = kept.lend();
  const server = serve({ fd, onExchange: records.add, ...options }, handler);
  return { server, records };
}

/** Defines a test on both kinds of sockets. */
function testKept(
  name: string,
  fn: (kept: KeptSocket, place: Place) => Promise<void>,
): void {
  testOnLinux(`${name} (TCP)`, async () => {
    using kept = KeptSocket.tcp();
    await fn(kept, kept.place);
  });
  testOnLinux(`${name} (Unix)`, async () => {
    await using folder = await temporaryFolder();
    using kept = KeptSocket.unix(`${folder.path}/s`);
    await fn(kept, kept.place);
  });
}

// What is the same

testKept(
  "serve() answers an empty request with more than buffers take",
  async (kept, place) => {
    const { server, records } = serveKept(kept, {}, () => large);
    const client = await send(place, "");
    // By now the response waits for somebody to read it.
    await turnOfIo();
    assertSame(await readBytes(client), large);
    await server.shutdown();
    assertEquals(records.outcomes, ["ok"]);
  },
);

testKept("serve() answers on an inherited socket", async (kept, place) => {
  const { server, records } = serveKept(kept);
  assertEquals(await ask(place, "hello"), "hello");
  await server.shutdown();
  const { outcome, end, bytesRead, remoteAddr, localAddr } = await records
    .nth(1);
  assertEquals({ outcome, end, bytesRead }, {
    outcome: "ok",
    end: "fin",
    bytesRead: 5,
  });
  const { transport } = server.addr;
  assertEquals([remoteAddr.transport, localAddr.transport], [
    transport,
    transport,
  ]);
  if (transport === "tcp") {
    assertEquals(server.addr, { transport: "tcp", ...kept.place });
    assertEquals(localAddr, server.addr);
  } else assertEquals<unknown>(server.addr, { transport, path: null });
});

testKept(
  "listen() reads an inherited socket in all ways",
  async (kept, place) => {
    const ways: Record<string, (conn: Conn) => Promise<Uint8Array>> = {
      bytes: (conn) => conn.bytes(),
      readable: (conn) => new Response(conn.readable).bytes(),
      async read(conn) {
        const all = new Uint8Array(large.length + 1);
        for (let filled = 0;;) {
          const read = await conn.read(all.subarray(filled, filled + 300_000));
          if (read === null) return all.subarray(0, filled);
          filled += read;
        }
      },
      async byob(conn) {
        const reader = conn.readable.getReader({ mode: "byob" });
        const chunks: Uint8Array<ArrayBuffer>[] = [];
        for (;;) {
          const { value } = await reader.read(new Uint8Array(100_000));
          if (!value?.length) return await new Blob(chunks).bytes();
          chunks.push(value);
        }
      },
    };
    for (const streaming of [false, true]) {
      for (const read of Object.values(ways)) {
        await using listener = listen({ fd: kept.lend(), streaming });
        const reply = exchange(place, large);
        for await (const conn of listener) {
          await conn.respond(await read(conn));
          break;
        }
        assertSame(await reply, large);
      }
    }
  },
);

testKept(
  "serve() takes until, readAhead and proxyProtocol for an inherited socket",
  async (kept, place) => {
    const delimited = serveKept(kept, { until: "\n" });
    assertEquals(
      await readText(await begin(place, "a line\nmore")),
      "a line\n",
    );
    await delimited.server.shutdown();

    const ahead = serveKept(kept, { readAhead: 1 });
    const slow = await begin(place, "slow");
    assertEquals(await ask(place, "quick"), "quick");
    await slow.closeWrite();
    assertEquals(await readText(slow), "slow");
    await ahead.server.shutdown();

    const proxied = serveKept(
      kept,
      { proxyProtocol: true },
      ({ remoteAddr }) => JSON.stringify(remoteAddr),
    );
    const header = "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n";
    assertEquals(JSON.parse(await ask(place, `${header}x`)), {
      transport: "tcp",
      hostname: "192.0.2.1",
      port: 1234,
    });
    await proxied.server.shutdown();
  },
);

testKept(
  "serve() answers a client that has sent nothing on an inherited socket",
  async (kept, place) => {
    for (const streaming of [false, true]) {
      for (const body of [pattern(1), large]) {
        const { server, records } = serveKept(kept, { streaming }, () => body);
        const client = await send(place, "");
        // It reads late, so that the server has to wait.
        await turnOfIo();
        assertSame(await readBytes(client), body);
        await server.shutdown();
        assertEquals(records.outcomes, ["ok"]);
      }
    }
  },
);

testKept(
  "serve() gives others a turn between writes that need not wait",
  async (kept, place) => {
    let turns = 0;
    const { server } = serveKept(kept, {}, function* () {
      setImmediate(() => turns++);
      for (let i = 0; i < 1000; i++) yield "x";
      if (turns === 0) throw new Error("Nobody had a turn");
    });
    assertEquals((await ask(place)).length, 1000);
    await server.shutdown();
  },
);

testKept(
  "serve() leaves no descriptor of an inherited socket open",
  async (_, place) => {
    // Other tests in this process open some at the same time.
    const file = `${root}/tests/testdata/counts_descriptors.ts`;
    const where = "path" in place ? `${place.path}-2` : "tcp";
    const { stdout, stderr } = await runDeno("run", "-A", file, where);
    const counts = stdout.trim().split("\n").map(Number);
    assertEquals(counts.length, 4, stderr);
    // What the first round has loaded stays open.
    assertEquals(new Set(counts.slice(1)).size, 1, counts.join());
  },
);

testKept(
  "serve() keeps an inherited socket from the programs that it starts",
  async (kept, place) => {
    const socket = (fd: number) => Deno.readLinkSync(`/proc/self/fd/${fd}`);
    const fd = kept.lend();
    const name = socket(fd);
    const server = serve({ fd }, async () => {
      const program = new Deno.Command("ls", { args: ["-l", "/proc/self/fd"] });
      return (await program.output()).stdout;
    });
    const inherited = (await ask(place)).split("\n");
    // That of the keeper is one that each program inherits.
    assertEquals(inherited.filter((line) => line.endsWith(name)).length, 1);
    await server.shutdown();
  },
);

// Its end

testKept(
  "Server.shutdown() leaves clients of an inherited socket to the next server",
  async (kept, place) => {
    const replies: Promise<string>[] = [];
    const requests: string[] = [];
    for (let round = 0; round < 20; round++) {
      const { server } = serveKept(kept);
      for (let i = 0; i < 5; i++) {
        const request = `${round} ${i}`;
        requests.push(request);
        replies.push(ask(place, request));
        if (i === 2) await replies.at(-1);
      }
      const stopped = server.shutdown();
      for (let i = 5; i < 8; i++) {
        const request = `${round} ${i}`;
        requests.push(request);
        replies.push(ask(place, request));
      }
      await stopped;
    }
    const { server } = serveKept(kept);
    assertEquals(await Promise.all(replies), requests);
    await server.shutdown();
  },
);

testKept(
  "Server.shutdown() within a batch of accepted connections resets none of them",
  async (kept, place) => {
    // They wait in the backlog, so that all are accepted at once.
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, i) => send(place, `${i}`)),
    );
    const { server, records } = serveKept(kept, {
      allow: () => {
        server.shutdown();
        return true;
      },
    });
    const replies = await Promise.all(clients.map(readText));
    assertEquals(replies, clients.map((_, i) => `${i}`));
    await server.finished;
    assertEquals(records.outcomes, Array(20).fill("ok"));
  },
);

testKept(
  "Server.shutdown() resets whom an inherited socket has given and the deadline leaves over",
  async (kept, place) => {
    const handling = Promise.withResolvers<void>();
    const { server, records } = serveKept(
      kept,
      { deadline: 50 },
      () => {
        handling.resolve();
        return new Promise(() => {});
      },
    );
    const clients = [await send(place, "1"), await send(place, "2")];
    await handling.promise;
    await server.shutdown();
    for (const client of clients) await assertCut(place, client);
    assertEquals(records.outcomes.length, 2);
  },
);

testKept(
  "Server.close() cuts and records whom an inherited socket has given",
  async (kept, place) => {
    const handling = Promise.withResolvers<void>();
    const { server, records } = serveKept(kept, {}, () => {
      handling.resolve();
      return new Promise(() => {});
    });
    const clients = await Promise.all(
      ["1", "2", "3"].map((request) => send(place, request)),
    );
    await handling.promise;
    server.close();
    await server.finished;
    for (const client of clients) await assertCut(place, client);
    assertEquals(records.outcomes, ["aborted", "aborted", "aborted"]);
  },
);

/** Checks that a client is told of the cut: a Unix socket tells only of unread bytes. */
async function assertCut(place: Place, client: Deno.Conn): Promise<void> {
  const reply = readText(client);
  const isTold = !("path" in place) || await reply.catch(() => "cut") !== "";
  if (isTold) await assertRejects(() => reply, Deno.errors.ConnectionReset);
}

testKept(
  "Conn.abort() resets what it cuts, and spares a response that is whole",
  async (kept, place) => {
    const { server, records } = serveKept(kept, {}, async (conn) => {
      if (await conn.text() === "cut") {
        await conn.writable.getWriter().write("a");
      } else await conn.respond("whole");
      conn.abort();
    });
    await assertCutAfter(place, await send(place, "cut"), "a");
    assertEquals(await ask(place, "let through"), "whole");
    await server.shutdown();
    assertEquals(records.outcomes, ["aborted", "aborted"]);
  },
);

testKept(
  "Conn.abort() spares a response whose client lingers on an inherited socket",
  async (kept, place) => {
    // More than a client takes that does not read.
    const response = pattern(1_500_000);
    const { server } = serveKept(kept, { until: "\n" }, async (conn) => {
      await conn.respond(response);
      conn.abort();
    });
    const client = await begin(place, "not ended\n");
    await turnOfIo();
    assertSame(await readBytes(client), response);
    await server.shutdown();
  },
);

/** Checks that a client is cut, perhaps after some bytes. */
async function assertCutAfter(
  place: Place,
  client: Deno.Conn,
  begun: string,
): Promise<void> {
  if ("path" in place) assertEquals(await readText(client), begun);
  else await assertCut(place, client);
}

testKept(
  "Listener.unref() lets a process with an inherited socket end",
  async (kept, place) => {
    await using listener = listen({ fd: kept.lend() });
    listener.unref();
    listener.ref();
    const reply = ask(place, "x");
    for await (const conn of listener) {
      await conn.respond(await conn.bytes());
      break;
    }
    assertEquals(await reply, "x");
  },
);

testOnLinux(
  "listen() leaves the file of an inherited Unix socket",
  async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/s`;
    using kept = KeptSocket.unix(path);
    await serveKept(kept).server.shutdown();
    assertEquals((await Deno.lstat(path)).isSocket, true);
  },
);

testKept(
  "serve() keeps clients of an inherited socket waiting while descriptors lack",
  async (kept, place) => {
    const fd = kept.lend();
    const wrapper = withDescriptors(80);
    await using server = await ToldServer.start({
      where: "inherited",
      fd,
      wrapper,
    });
    kept.giveBack(fd);
    await server.order("leave 0");
    const line = await lineUp(place, 5);
    await server.says(/^told Too many open files /);
    await server.order("free");
    await line.served();
    await server.order("stop");
    assertEquals(await server.ended(), 0);
  },
);

for (const stop of ["close", "shutdown"] as const) {
  testKept(
    `Listener.${stop}() records whom an inherited socket has given before there is a loop`,
    async (kept, place) => {
      const records = new Records();
      const fd = kept.lend();
      const listener = listen({ fd, onExchange: records.add });
      const clients = await Promise.all(
        ["1", "2"].map((one) => send(place, one)),
      );
      await turnOfIo();
      await listener[stop]();
      for (const client of clients) await assertCut(place, client);
      await records.nth(2);
      assertEquals(records.outcomes, ["aborted", "aborted"]);
    },
  );
}

testOnLinux(
  "Listener.close() tells the console of a callback that throws where there is no loop",
  async () => {
    using kept = KeptSocket.tcp();
    const fd = kept.lend();
    const called = Promise.withResolvers<void>();
    const listener = listen({
      fd,
      onExchange: () => {
        called.resolve();
        throw new Error("from the callback");
      },
    });
    const client = await send(kept.place, "x");
    await turnOfIo();
    const told = Promise.withResolvers<unknown>();
    const { error } = console;
    console.error = told.resolve;
    try {
      listener.close();
      await called.promise;
      assertStringIncludes(`${await told.promise}`, "from the callback");
    } finally {
      console.error = error;
    }
    await assertCut(kept.place, client);
  },
);

testOnLinux(
  "serve() resets a client of an inherited socket whom a failed handler tells nothing",
  async () => {
    using kept = KeptSocket.tcp();
    const { server, records } = serveKept(
      kept,
      { onError: () => {} },
      () => Promise.reject(new Error("from the handler")),
    );
    await assertCut(kept.place, await send(kept.place, "x"));
    await server.shutdown();
    assertEquals(records.outcomes, ["failed"]);
  },
);

testOnLinux(
  "serve() tells how far a client of an inherited socket has read",
  async () => {
    await using folder = await temporaryFolder();
    using kept = KeptSocket.unix(`${folder.path}/s`);
    const { server, records } = serveKept(
      kept,
      { idleTimeout: 50 },
      () => large,
    );
    const client = await send(kept.place, "x");
    const { outcome, bytesWritten } = await records.nth(1);
    assertEquals([outcome, bytesWritten > 0], ["idle", true]);
    client.close();
    await server.shutdown();
  },
);

// What is no such socket

testOnLinux(
  "listen() takes an inherited socket that is only bound",
  async () => {
    using kept = KeptSocket.bound();
    const { server } = serveKept(kept);
    assertEquals(await ask(kept.place, "x"), "x");
    await server.shutdown();
  },
);

testOnLinux(
  "listen() refuses a descriptor that cannot be listened on",
  async () => {
    const peer = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using udp = KeptSocket.udp();
    using connected = KeptSocket.connected(peer.addr.port);
    const descriptors = [udp.lend(), connected.lend(), 1_000_000];
    for (const fd of descriptors) {
      const error = assertThrows(
        () => listen({ fd }),
        Deno.errors.BadResource,
        `Cannot listen on descriptor ${fd}: it is not a listening socket`,
      );
      assertEquals(error.name, "BadResource");
    }
    // They are still the caller's.
    udp.giveBack(descriptors[0] ?? 0);
    connected.giveBack(descriptors[1] ?? 0);
    (await peer.accept()).close();
    peer.close();
    await turnOfIo();
  },
);

testOnLinux("listen() refuses fd beside another place", () => {
  const listener = { accept() {}, close() {}, addr: {} };
  const others = {
    ...{ hostname: "::", port: 1, reusePort: true, tcpBacklog: 1, path: "/s" },
    ...{ cert: "x", key: "x", transport: "tcp", listener, mode: 0o600 },
  };
  for (const [name, value] of Object.entries(others)) {
    assertThrows(
      () => listen({ fd: 3, [name]: value } as FdOptions),
      TypeError,
      `"${name}"`,
    );
  }
});
