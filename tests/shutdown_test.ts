import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { getEventListeners } from "node:events";
import { listen, type Listener, type Outcome, serve } from "../mod.ts";
import { decode, encode, pattern } from "./bytes.ts";
import { checkRow } from "./fault_table.ts";
import { importMap, root, runDeno } from "./programs.ts";
import {
  ask,
  begin,
  connect,
  exchangeOn,
  local,
  pause,
  readBytes,
  readText,
  send,
  untilRefused,
} from "./sockets.ts";
import {
  assertRefused,
  block,
  checkShutdown,
  lineUp,
  listenLocally,
  Records,
  serveAt,
  serveLocally,
  testUnix,
  turnOfIo,
  until,
} from "./support.ts";

Deno.test("Server.shutdown() ends an idle server", async () => {
  const { server } = serveLocally();
  await server.shutdown();
  await server.finished;
  await assertRefused(server.addr);
});

for (const blocked of [false, true]) {
  Deno.test(`Server.shutdown() serves the backlog${blocked ? " even if the event loop was blocked" : ""}`, async () => {
    const { server, records } = serveLocally();
    await checkShutdown({ server, records }, 50, {
      meanwhile: () => blocked && block(500),
    });
    await assertRefused(server.addr);
  });
}

Deno.test("Listener.shutdown() serves the backlog before it closes", async () => {
  const { listener, records } = listenLocally();
  const line = await lineUp(listener.addr, 20);
  let stopped: Promise<void> | undefined;
  for await (const conn of listener) {
    stopped ??= listener.shutdown();
    await conn.respond(await conn.text());
  }
  await stopped;
  await line.served();
  assertEquals(records.all.length, 20);
});

Deno.test("Listener.shutdown() serves a backlog that comes by a given listener", async () => {
  // Others may listen there too, so no sentinel can be sent.
  const records = new Records();
  const server = serve(
    { listener: Deno.listen(local), onExchange: records.add },
    (conn) => conn.bytes(),
  );
  await checkShutdown({ server, records }, 50, { meanwhile: () => block(500) });
});

Deno.test("Server.shutdown() closes a given listener itself, and not before its backlog is accepted", async () => {
  const inner = Deno.listen(local);
  const closedBy: unknown[] = [];
  // A class that inherits from this can close the socket.
  const methods = {
    addr: inner.addr,
    accept: () => inner.accept(),
    close() {
      closedBy.push(this);
      inner.close();
    },
  };
  const listener = Object.create(methods) as Deno.TcpListener;
  const records = new Records();
  const server = serve(
    { listener, onExchange: records.add },
    (conn) => conn.bytes(),
  );
  await checkShutdown({ server, records }, 20);
  assertEquals(new Set(closedBy), new Set([listener]));
});

Deno.test("Server.shutdown() serves a backlog drained while only timers and immediates run", async (t) => {
  const places = {
    "its own port": () => local,
    "a given listener": () => ({ listener: Deno.listen(local) }),
  };
  for (const [name, place] of Object.entries(places)) {
    await t.step(name, async () => {
      const records = new Records();
      const server = serve(
        { ...place(), onExchange: records.add, deadline: 60_000 },
        (conn) => conn.bytes(),
      );
      // It waits for an accept before the event loop is blocked.
      await ask(server.addr, "first");
      const worker = new Worker(
        new URL("testdata/clients_worker.ts", import.meta.url),
        { type: "module" },
      );
      const answers = new Promise<string[]>((resolve) => {
        worker.addEventListener("message", ({ data }) => resolve(data));
      });
      const connected = new SharedArrayBuffer(4);
      worker.postMessage({ addr: { ...server.addr }, count: 6, connected });
      const blocking = (left: number) => {
        block(2);
        if (left > 0) setImmediate(blocking, left - 1);
      };
      // Workers start by way of this event loop.
      while (Atomics.load(new Int32Array(connected), 0) === 0) {
        await pause(1);
        block(20);
      }
      setImmediate(blocking, 30);
      for (let i = 0; i < 20; i++) setTimeout(() => block(3), i);
      const stopped = server.shutdown();
      block(30);
      assertEquals(
        await answers,
        Array.from({ length: 6 }, (_, i) => `client ${i}`),
      );
      await stopped;
      worker.terminate();
      checkRow("a backlog drained while only timers and immediates run", {
        client: "response",
        records: records.all,
        released: "event",
      });
    });
  }
});

Deno.test("Server.shutdown() serves the backlog on every kind of address", async (t) => {
  const hostnames = ["0.0.0.0", "127.0.0.1", "localhost", "::1", "::"];
  for (const hostname of hostnames) {
    const ignore = hostname.includes(":") && !hasIPv6();
    await t.step({
      name: `${hostname}${ignore ? " (needs IPv6)" : ""}`,
      ignore,
      fn: async () => {
        const { server, records } = serveLocally({ hostname });
        const { port } = server.addr;
        const target = hostname === "0.0.0.0"
          ? "127.0.0.1"
          : hostname === "::"
          ? "::1"
          : hostname;
        const place = { hostname: target, port };
        await checkShutdown({ server, records }, 10, { place });
      },
    });
  }
});

function hasIPv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test("Server.shutdown() lets the exchange under way finish, whatever it does", async (t) => {
  await t.step("reading", async () => {
    const { server } = serveLocally();
    const client = await begin(server.addr, "hel");
    const stopped = server.shutdown();
    await untilRefused(server.addr);
    await client.write(encode("lo"));
    await client.closeWrite();
    assertEquals(await readText(client), "hello");
    await stopped;
  });
  await t.step("handling", async () => {
    const gate = Promise.withResolvers<string>();
    const begun = Promise.withResolvers<void>();
    const { server } = serveLocally({}, () => {
      begun.resolve();
      return gate.promise;
    });
    const client = ask(server.addr);
    await begun.promise;
    const stopped = server.shutdown();
    await untilRefused(server.addr);
    gate.resolve("late");
    assertEquals(await client, "late");
    await stopped;
  });
  await t.step("writing", async () => {
    const body = pattern(30_000_000);
    const { server } = serveLocally(
      {},
      async function* () {
        yield body;
        yield "end";
      } as () => AsyncGenerator<Uint8Array>,
    );
    const client = await send(server.addr, "");
    const stopped = server.shutdown();
    await untilRefused(server.addr);
    assertEquals((await readBytes(client)).length, 30_000_003);
    await stopped;
  });
  await t.step("lingering", async () => {
    const { server, records } = serveLocally(
      { streaming: true, lingerTimeout: 60_000 },
      () => "enough",
    );
    const client = await begin(server.addr, "still sending");
    await records.nth(1);
    let stopped = false;
    const stopping = server.shutdown().then(() => stopped = true);
    await server.finished;
    assertEquals(stopped, false);
    await client.closeWrite();
    await stopping;
    assertEquals(await readText(client), "enough");
  });
});

Deno.test("Server.shutdown() twice is one", async () => {
  const { server } = serveLocally();
  const first = server.shutdown();
  assertStrictEquals(server.shutdown(), first);
  await first;
  assertStrictEquals(server.shutdown(), first);
});

Deno.test("Server is shut down at the end of its block by `await using`", async () => {
  let addr: Deno.Addr;
  {
    await using server = serveLocally().server;
    addr = server.addr;
    assertEquals(await ask(addr, "hello"), "hello");
  }
  await assertRefused(addr);
});

Deno.test("Server.shutdown() is bounded by one more deadline", async () => {
  const { listener, records } = listenLocally({ deadline: 50 });
  const client = await send(listener.addr, "");
  const stuck = Promise.withResolvers<void>();
  const done = (async () => {
    for await (const _ of listener) await stuck.promise;
  })();
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  const waiting = await send(listener.addr, "never served");
  await listener.shutdown();
  assertEquals(await readText(client), "");
  await readText(waiting).catch(() => {});
  stuck.resolve();
  await done;
  assertEquals(records.outcomes[0], "deadline");
  assertEquals(records.outcomes.slice(1), ["aborted"]);
});

Deno.test("Server.shutdown() is bounded even if a socket would linger for ever", async () => {
  const { server, records } = serveLocally({
    streaming: true,
    deadline: 50,
    lingerTimeout: Infinity,
  }, () => "enough");
  const client = await begin(server.addr, "never ends");
  await records.nth(1);
  await server.shutdown();
  client.close();
});

Deno.test("Server.shutdown() serves a full backlog, and none of its own connections", async () => {
  // One is being served, and the kernel holds one more than it was asked to.
  await checkShutdown(serveLocally({ tcpBacklog: 4 }), 5);
});

Deno.test("Server.shutdown() that ran into its deadline has told of all", async () => {
  const { server, records } = serveLocally(
    { deadline: 50 },
    () => new Promise<void>(() => {}),
  );
  const { clients } = await lineUp(server.addr, 5);
  await server.shutdown();
  assertEquals(records.all.length, 5);
  for (const client of clients) await readText(client).catch(() => {});
});

/** Has something done whenever a server connects to itself. */
function onOwnConnection(act: () => Promise<unknown>): Disposable {
  const { connect } = Deno;
  Object.assign(Deno, {
    async connect(options: Deno.ConnectOptions) {
      const conn = await connect(options);
      await act();
      return conn;
    },
  });
  return {
    [Symbol.dispose]: () => void Object.assign(Deno, { connect }),
  };
}

for (
  const [name, isRedirected] of [
    ["goes elsewhere", true],
    ["is never made", false],
  ] as const
) {
  Deno.test(`Server.shutdown() waits no deadline for its own connection that ${name}`, async () => {
    const { connect: dial } = Deno;
    using elsewhere = Deno.listen(local);
    const { server, records } = serveLocally({
      deadline: Infinity,
      idleTimeout: Infinity,
    });
    const { port } = server.addr;
    const line = await lineUp(server.addr, 3);
    Object.assign(Deno, {
      connect(options: Deno.ConnectOptions) {
        if (options.port !== port) return dial(options);
        if (isRedirected) return dial({ port: elsewhere.addr.port });
        return new Promise((_, reject) =>
          options.signal?.addEventListener("abort", reject)
        );
      },
    });
    try {
      await server.shutdown();
    } finally {
      Object.assign(Deno, { connect: dial });
    }
    await line.served();
    assertEquals(records.outcomes, ["ok", "ok", "ok"]);
  });
}

for (const readAhead of [0, 4]) {
  Deno.test(`Server.shutdown() serves who connects behind its own connection, and begins no turn before, reading ${readAhead} ahead`, async () => {
    const { connect: dial } = Deno;
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let turns = 0;
    const turnsSeen: number[] = [];
    const { server } = serveLocally({ readAhead }, async (conn) => {
      turns++;
      begun.resolve();
      await gate.promise;
      return conn.bytes();
    });
    const behind: Promise<string>[] = [];
    const first = ask(server.addr, "first");
    const second = ask(server.addr, "second");
    await begun.promise;
    {
      using _ = onOwnConnection(async () => {
        // Behind the first one: behind the last one, they would be refused.
        if (behind.length > 0) return;
        for (const request of ["0", "1", "2"]) {
          const client = await dial({ port: server.addr.port });
          behind.push(exchangeOn(client, request).then(decode));
        }
        gate.resolve();
        await first;
        turnsSeen.push(turns);
      });
      const stopped = server.shutdown();
      assertEquals(await first, "first");
      assertEquals(await second, "second");
      await stopped;
    }
    assertEquals(await Promise.all(behind), behind.map((_, i) => `${i}`));
    // The one that had begun, and nobody else.
    assertEquals(turnsSeen, [1]);
  });
}

Deno.test("Listener.close() during a shutdown does not count our own connection", async () => {
  const { connect: denoConnect, listen: denoListen } = Deno;
  const accepted = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  let accepts = 0;
  Object.assign(Deno, {
    listen(options: Deno.ListenOptions) {
      const listener = denoListen(options);
      const accept = listener.accept.bind(listener);
      listener.accept = async () => {
        const conn = await accept();
        if (++accepts === 2) accepted.resolve();
        return conn;
      };
      return listener;
    },
    // It is accepted before it hears that it is connected.
    async connect(options: Deno.ConnectOptions) {
      const conn = await denoConnect(options);
      await told.promise;
      return conn;
    },
  });
  try {
    const { listener, records } = listenLocally();
    const waiting = Array.fromAsync(listener);
    const client = await denoConnect({ port: listener.addr.port });
    await client.write(encode("never ended"));
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    while (accepts === 0) await turn();
    const stopped = listener.shutdown();
    await accepted.promise;
    await turn();
    listener.close();
    await turn();
    told.resolve();
    await Promise.all([waiting, stopped]);
    client.close();
    assertEquals(records.outcomes, ["aborted"]);
  } finally {
    Object.assign(Deno, { listen: denoListen, connect: denoConnect });
  }
});

testUnix(
  "Server.shutdown() removes a Unix socket before its backlog is drained",
  async (folder) => {
    const path = `${folder}/test.sock`;
    const { server } = serveAt(path);
    const waiting = await connect(server.addr);
    const stopped = server.shutdown();
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
    assertEquals(decode(await exchangeOn(waiting, "waiting")), "waiting");
    await stopped;
  },
);

testUnix(
  "Server.shutdown() ends under traffic that never pauses",
  async (folder) => {
    const { server } = serveAt(`${folder}/test.sock`);
    const clients = Array.from({ length: 4 }, async () => {
      try {
        for (;;) await ask(server.addr, "x");
      } catch {
        // The server is gone.
      }
    });
    await ask(server.addr, "first");
    await server.shutdown();
    await Promise.all(clients);
  },
);

Deno.test("Listener.shutdown() without an iteration closes", async () => {
  const { listener } = listenLocally();
  await listener.shutdown();
  await assertRefused(listener.addr);
  for await (const _ of listener) throw new Error("There is nobody");
});

/** A listener whose loop was left, and a client whose socket lingers there. */
async function lingering(options: { signal?: AbortSignal } = {}) {
  const { listener } = listenLocally({
    streaming: true,
    lingerTimeout: 60_000,
    ...options,
  });
  const client = await begin(listener.addr, "never ends");
  for await (const conn of listener) {
    await conn.respond("enough");
    break;
  }
  return { listener, client };
}

Deno.test("Listener.shutdown() after the loop was left waits for what lingers", async () => {
  const { listener, client } = await lingering();
  const stopping = listener.shutdown();
  assertEquals(await client.read(new Uint8Array(10)), 6);
  await client.closeWrite();
  await stopping;
  client.close();
});

Deno.test("Listener.shutdown() from the loop body, unawaited, ends the loop", async () => {
  const { listener, records } = listenLocally();
  const clients = [ask(listener.addr, "a"), ask(listener.addr, "b")];
  await Promise.all(
    Array.from(
      { length: 2 },
      async () => (await connect(listener.addr)).close(),
    ),
  );
  for await (const conn of listener) {
    listener.shutdown();
    await conn.respond(await conn.text());
  }
  assertEquals(await Promise.all(clients), ["a", "b"]);
  assertEquals(records.all.length, 4);
});

Deno.test("Listener.queued counts those whom a stop has accepted before their turn", async () => {
  const released = Promise.withResolvers<string>();
  const { server } = serveLocally({}, () => released.promise);
  const clients = await Promise.all([1, 2, 3].map(() => send(server.addr, "")));
  await until(() => server.inHand === 1);
  assertEquals(server.queued, 0);
  const stopped = server.shutdown();
  await until(() => server.queued === 2);
  released.resolve("answered");
  for (const client of clients) {
    assertEquals(await readText(client), "answered");
  }
  await stopped;
  assertEquals(server.queued, 0);
});

Deno.test("Listener.shutdown() after close() ends at once", async () => {
  const { listener } = listenLocally();
  const connections = listener[Symbol.asyncIterator]();
  const next = connections.next();
  listener.close();
  await listener.shutdown();
  assertEquals((await next).done, true);
});

Deno.test("Listener.close() ends the loop and cuts what is under way", async (t) => {
  await t.step("waiting", async () => {
    const { listener } = listenLocally();
    const next = listener[Symbol.asyncIterator]().next();
    listener.close();
    listener.close();
    assertEquals(await next, { done: true, value: undefined });
  });
  await t.step("reading", async () => {
    const accepted = Promise.withResolvers<boolean>();
    const { listener, records } = listenLocally({
      allow: () => (accepted.resolve(true), true),
    });
    const next = listener[Symbol.asyncIterator]().next();
    const client = await begin(listener.addr, "half a requ");
    const other = await connect(listener.addr);
    await accepted.promise;
    listener.close();
    assertEquals((await next).done, true);
    await readText(client).catch(() => {});
    await readText(other).catch(() => {});
    assertEquals(records.outcomes, ["aborted"]);
    assertEquals((await records.nth(1)).phase, "reading");
  });
  await t.step("handling", async () => {
    const { listener, records } = listenLocally();
    const client = await send(listener.addr, "hello");
    for await (const conn of listener) {
      listener.close();
      assertEquals(conn.signal.aborted, true);
      assertEquals(await conn.text(), "hello");
      assertEquals(await conn.respond("late"), false);
    }
    assertEquals(await readText(client), "");
    assertEquals(records.outcomes, ["aborted"]);
  });
  await t.step("lingering", async () => {
    const { listener, client } = await lingering();
    listener.close();
    await listener.shutdown();
    client.close();
  });
});

for (
  const [what, stop] of [
    ["Listener.close()", (listener: Listener) => listener.close()],
    ["the deadline", () => {}],
  ] as const
) {
  Deno.test(`${what} cuts all who are under way, even if one that is told of it ends another`, async () => {
    const { listener, records } = listenLocally({
      readAhead: 8,
      deadline: what === "the deadline" ? 500 : 60_000,
    });
    const iterator = listener[Symbol.asyncIterator]();
    const clients = [await send(listener.addr, "first")];
    const turn = await iterator.next();
    clients.push(await begin(listener.addr, "half"));
    clients.push(await begin(listener.addr, "half"));
    await until(() => listener.inHand === 3);
    const { value: first } = turn;
    first?.signal.addEventListener("abort", () => {
      first.abort();
      // It ends the exchange before it, which is closed by now, at once.
      iterator.next();
    });
    stop(listener);
    // Whoever is passed over comes later, or never.
    for (const id of [1, 2, 3]) assertEquals((await records.nth(id)).id, id);
    const cut = what === "the deadline" ? "deadline" : "aborted";
    assertEquals(records.outcomes, [cut, cut, cut]);
    for (const client of clients) client.close();
    listener.close();
    await listener.shutdown();
  });
}

Deno.test("Listener.close() records a connection whose accept resolves in the same turn", async (t) => {
  for (const readAhead of [0, 2]) {
    await t.step(`reading ${readAhead} ahead`, async () => {
      const inner = Deno.listen(local);
      const accept = () => {
        const accepting = inner.accept();
        // It comes before all others that wait for the connection.
        accepting.then(() => server.close(), () => {});
        return accepting;
      };
      const listener = { addr: inner.addr, close: () => inner.close(), accept };
      const asked: number[] = [];
      const records = new Records();
      const server = serve({
        listener: listener as Deno.TcpListener,
        readAhead,
        allow: (_addr, id) => asked.push(id) > 0,
        onExchange: records.add,
      }, (conn) => conn.bytes());
      const client = await send(server.addr, "hello");
      await server.finished;
      assertEquals(await readText(client).catch(() => ""), "");
      assertEquals(records.outcomes, ["aborted"]);
      assertEquals(asked, []);
    });
  }
});

Deno.test("Listener.close() in allow() leaves the decision to it", async (t) => {
  const fault = new Error("cannot decide");
  const decisions: Record<string, [() => boolean, Outcome]> = {
    "lets in": [() => true, "aborted"],
    "denies": [() => false, "denied"],
    "throws": [() => {
      throw fault;
    }, "failed"],
  };
  for (const [name, [decide, outcome]] of Object.entries(decisions)) {
    await t.step(name, async () => {
      const { server, records } = serveLocally({
        allow() {
          server.close();
          return decide();
        },
      });
      const client = await send(server.addr, "hello");
      const ended = await server.finished.catch((error) => error);
      assertEquals(await readText(client).catch(() => ""), "");
      assertEquals(records.outcomes, [outcome]);
      assertEquals(ended, outcome === "failed" ? fault : undefined);
    });
  }
});

Deno.test("Listener.close() ends the lingering of the exchange under way", async () => {
  const { listener } = listenLocally({
    streaming: true,
    lingerTimeout: 60_000,
  });
  const client = await begin(listener.addr, "never ends");
  for await (const conn of listener) {
    await conn.respond("enough");
    listener.close();
  }
  // Waits for whatever lingers.
  await listener.shutdown();
  client.close();
});

Deno.test("signal aborts everything at once", async (t) => {
  await t.step("before it listens", async () => {
    const { listener } = listenLocally({ signal: AbortSignal.abort() });
    for await (const _ of listener) throw new Error("There is nobody");
    await assertRefused(listener.addr);
  });
  await t.step("before it iterates", async () => {
    const controller = new AbortController();
    const listener = listen({ ...local, signal: controller.signal });
    controller.abort();
    await assertRefused(listener.addr);
    for await (const _ of listener) throw new Error("There is nobody");
  });
  await t.step("while it waits", async () => {
    const controller = new AbortController();
    const { server } = serveLocally({ signal: controller.signal });
    controller.abort();
    await server.finished;
  });
  await t.step("while it handles", async () => {
    const controller = new AbortController();
    const { server, records } = serveLocally(
      { signal: controller.signal },
      () => {
        controller.abort(new Error("power cut"));
        return "late";
      },
    );
    assertEquals(await ask(server.addr), "");
    await server.finished;
    assertEquals(records.outcomes, ["aborted"]);
    assertEquals((records.all[0]?.error as Error).message, "power cut");
  });
  await t.step("while it shuts down", async () => {
    const controller = new AbortController();
    const { server, records } = serveLocally({ signal: controller.signal });
    const slow = await connect(server.addr);
    const { clients } = await lineUp(server.addr, 5);
    const stopped = server.shutdown();
    await untilRefused(server.addr);
    controller.abort();
    await stopped;
    for (const client of [slow, ...clients]) {
      assertEquals(await readText(client).catch(() => ""), "");
    }
    assertEquals(records.outcomes.slice(0, 6), Array(6).fill("aborted"));
  });
  await t.step("while only lingering is left", async () => {
    const controller = new AbortController();
    const { listener, client } = await lingering({ signal: controller.signal });
    controller.abort();
    await listener.shutdown();
    client.close();
  });
  await t.step("after it has ended", async () => {
    const controller = new AbortController();
    const { server } = serveLocally({ signal: controller.signal });
    await server.shutdown();
    controller.abort();
  });
});

Deno.test("signal aborted with null cuts what is under way, and the record says so", async () => {
  const controller = new AbortController();
  const { server, records } = serveLocally({ signal: controller.signal });
  const client = await begin(server.addr, "half a request");
  await turnOfIo();
  controller.abort(null);
  await server.finished;
  assertEquals(await readText(client).catch(() => ""), "");
  const [record] = records.all;
  assertEquals([record?.outcome, record?.error], ["aborted", null]);
});

Deno.test("signal is forgotten at the end", async (t) => {
  const { signal } = new AbortController();
  const listeners = () => getEventListeners(signal, "abort").length;
  await t.step("of a server that was shut down", async () => {
    const { server } = serveLocally({ signal });
    assertEquals(listeners(), 1);
    await server.shutdown();
    assertEquals(listeners(), 0);
  });
  await t.step("of a listener that never iterated", () => {
    listen({ ...local, signal }).close();
    assertEquals(listeners(), 0);
  });
  await t.step("of what lingers after the loop", async () => {
    const { listener, client } = await lingering({ signal });
    assertEquals(listeners(), 1);
    client.close();
    await listener.shutdown();
    assertEquals(listeners(), 0);
  });
});

/** A listener whose connections send their FIN only when they are told to. */
function listenWithHeldFin() {
  const listener = Deno.listen(local);
  const accept = listener.accept.bind(listener);
  const sending = Promise.withResolvers<void>();
  const sent = Promise.withResolvers<void>();
  listener.accept = async () => {
    const conn = await accept();
    const closeWrite = conn.closeWrite.bind(conn);
    conn.closeWrite = async () => {
      sending.resolve();
      await sent.promise;
      await closeWrite();
    };
    return conn;
  };
  return { listener, sending, sent };
}

Deno.test("Conn.abort() while the FIN is being sent makes respond() give false", async () => {
  const { listener, sending, sent } = listenWithHeldFin();
  const records = new Records();
  const isTaken = Promise.withResolvers<boolean>();
  const server = serve(
    { listener, streaming: true, onExchange: records.add },
    async (conn) => {
      const responded = conn.respond("response");
      await sending.promise;
      conn.abort();
      sent.resolve();
      isTaken.resolve(await responded);
    },
  );
  const client = await begin(server.addr, "request");
  assertEquals(await isTaken.promise, false);
  assertEquals((await records.nth(1)).outcome, "aborted");
  assertEquals(server.lingering, 0);
  client.close();
  await server.shutdown();
});

testUnix("Server.shutdown() gives back all its descriptors", async (folder) => {
  const program = `${root}/tests/stopping_servers.ts`;
  const { code, stdout, stderr } = await runDeno(
    ...["run", "-A", ...importMap(), program, folder],
  );
  assertEquals(code, 0, stderr);
  assertEquals(JSON.parse(stdout), {
    "its own port": 0,
    "a given listener": 0,
    "a Unix socket": 0,
  });
});

Deno.test("Conn.close() resolves when the FIN is sent", async () => {
  const { listener, sending, sent } = listenWithHeldFin();
  const order: string[] = [];
  const closed = Promise.withResolvers<void>();
  const server = serve({ listener, streaming: true }, async (conn) => {
    await conn.close();
    order.push("closed");
    closed.resolve();
  });
  const client = await begin(server.addr, "request");
  await sending.promise;
  await turnOfIo();
  order.push("sent");
  sent.resolve();
  await closed.promise;
  assertEquals(order, ["sent", "closed"]);
  client.close();
  await server.shutdown();
});

Deno.test("shutdown() takes no connection of its own for a client even if the event loop was blocked", async () => {
  const { connect } = Deno;
  let isBlocked = false;
  const blocking = async (
    { signal, ...options }: Deno.ConnectOptions & { signal?: AbortSignal },
  ) => {
    const conn = await connect(options);
    if (!isBlocked) {
      isBlocked = true;
      await pause(5);
      block(1_200);
      // Time has passed, but nothing else had its turn.
      for (let turns = 0; turns < 2; turns++) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (signal?.aborted) conn.close();
      signal?.throwIfAborted();
    }
    return conn;
  };
  const { server, records } = serveLocally();
  try {
    Deno.connect = blocking as typeof Deno.connect;
    await server.shutdown();
  } finally {
    Deno.connect = connect;
  }
  assert(isBlocked);
  assertEquals(records.all, []);
});
