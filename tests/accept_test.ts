import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type ExchangeRecord, serve } from "../mod.ts";
import { checkRow } from "./fault_table.ts";
import { canTrace } from "./programs.ts";
import { ask, connect, local, send } from "./sockets.ts";
import { checkShutdown, lineUp, Records, testIf } from "./support.ts";
import { injecting, ToldServer, withDescriptors } from "./told_server.ts";

/** A listener whose accepts fail with `faults` before they succeed. */
function failing(faults: unknown[]) {
  const listener = Deno.listen(local);
  const accept = listener.accept.bind(listener);
  listener.accept = () => {
    const fault = faults.shift();
    return fault === undefined ? accept() : Promise.reject(fault);
  };
  return listener;
}

function withCode(code: string): Error {
  return Object.assign(new Error(`os error ${code}`), { code });
}

Deno.test("listen() goes on at once after accepts that fail for a peer", async () => {
  const told: Error[] = [];
  const server = serve({
    listener: failing([
      withCode("ECONNABORTED"),
      withCode("ENOTCONN"),
      new Deno.errors.InvalidData("a path that is not UTF-8"),
    ]),
    onAcceptError: (error) => told.push(error),
  }, () => "hello");
  assertEquals(await ask(server.addr), "hello");
  await server.shutdown();
  assertEquals(told, []);
});

Deno.test("listen() tries again after accepts that fail for want of something", async () => {
  const faults = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"].map(withCode);
  const told: Error[] = [];
  const server = serve({
    listener: failing([...faults]),
    onAcceptError: (error) => told.push(error),
  }, () => "hello");
  assertEquals(await ask(server.addr), "hello");
  await server.shutdown();
  assertEquals(told, faults);
});

Deno.test("listen() ends with an accept error that will not pass", async () => {
  const server = serve(
    { listener: failing([withCode("EBADF")]) },
    () => "hello",
  );
  await assertRejects(() => server.finished, Error, "EBADF");
  await server.shutdown();
});

Deno.test("listen() ends with what onAcceptError() throws", async () => {
  const server = serve({
    listener: failing([withCode("EMFILE")]),
    onAcceptError: (error) => {
      throw error;
    },
  }, () => "hello");
  await assertRejects(() => server.finished, Error, "EMFILE");
});

Deno.test("serve() writes accepts that fail to the console without onAcceptError", async () => {
  const { error: write } = console;
  const written: unknown[] = [];
  console.error = (...parts) => written.push(...parts);
  const fault = withCode("EMFILE");
  try {
    await using server = serve({ listener: failing([fault]) }, () => "hello");
    assertEquals(await ask(server.addr), "hello");
  } finally {
    console.error = write;
  }
  assertMatch(written.join(), /^Error: os error EMFILE\n +at /);
});

Deno.test("listen() can be closed while it backs off", async () => {
  const failed = Promise.withResolvers<void>();
  const controller = new AbortController();
  const server = serve({
    listener: failing(Array.from({ length: 1000 }, () => withCode("EMFILE"))),
    signal: controller.signal,
    onAcceptError: () => failed.resolve(),
  }, () => "hello");
  await failed.promise;
  controller.abort();
  await server.finished;
});

Deno.test("Server.shutdown() serves a backlog even if accepts fail meanwhile", async () => {
  const faults: unknown[] = [];
  const records = new Records();
  const server = serve({
    listener: failing(faults),
    onExchange: records.add,
    onAcceptError() {},
  }, (conn) => conn.bytes());
  const meanwhile = () => {
    faults.push(...Array.from({ length: 4 }, () => withCode("EMFILE")));
  };
  await checkShutdown({ server, records }, 5, { meanwhile });
});

for (const readAhead of [0, 8]) {
  Deno.test(`Server.shutdown() keeps nobody waiting for accepts that fail on and on, reading ${readAhead} ahead`, async () => {
    const faults = [undefined, undefined, undefined, withCode("EMFILE")];
    const failed = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let isShort = true;
    const server = serve({
      listener: failing(faults),
      readAhead,
      deadline: 10_000,
      onAcceptError: () => {
        if (isShort) faults.push(withCode("EMFILE"));
        failed.resolve();
      },
    }, async (conn) => {
      await goOn.promise;
      return await conn.bytes();
    });
    const line = await lineUp(server.addr, 3);
    const stopped = server.shutdown();
    await failed.promise;
    goOn.resolve();
    await line.served();
    isShort = false;
    await stopped;
  });
}

Deno.test("Server.finished rejects when a shutdown meets an accept error that will not pass", async () => {
  const faults: unknown[] = [];
  const server = serve(
    { listener: failing(faults) },
    (conn) => conn.bytes(),
  );
  const slow = await send(server.addr, "slow");
  await slow.read(new Uint8Array(4));
  faults.push(withCode("EBADF"));
  const finished = assertRejects(() => server.finished, Error, "EBADF");
  // Wakes the accept that is pending.
  const last = ask(server.addr, "last");
  await server.shutdown();
  await finished;
  assertEquals(await last, "last");
  slow.close();
});

for (const readAhead of [0, 8]) {
  testIf(
    Deno.build.os !== "windows",
    "ulimit",
    `listen() keeps clients waiting while descriptors lack, and serves them then, reading ${readAhead} ahead`,
    async () => {
      const wrapper = withDescriptors(80);
      await using server = await ToldServer.start({ readAhead, wrapper });
      await server.order("leave 0");
      const line = await lineUp(server.place, 5);
      await server.says(/^told Too many open files /);
      await server.order("free");
      await line.served();
      const records = [];
      while (records.length < 5) {
        const [, outcome, phase] = await server.says(/^over (\S+) (\S+)$/);
        records.push({ outcome, phase } as ExchangeRecord);
      }
      checkRow("clients waiting while descriptors lack", {
        client: "response",
        records,
        released: "event",
      });
      await server.order("stop");
      assertEquals(await server.ended(), 0);
    },
  );
}

const testTraced = testIf.bind(undefined, await canTrace(), "strace");

// Deno gives no code to some of them, and another one to EOPNOTSUPP.
for (
  const error of ("EMFILE ENFILE ENOBUFS ENOMEM ENOSR EPERM EPROTO ENETDOWN " +
    "EHOSTDOWN ENONET ENOPROTOOPT EOPNOTSUPP EHOSTUNREACH ENETUNREACH ETIMEDOUT")
    .split(" ")
) {
  testTraced(
    `listen() survives ${error} of the system, and tells of it`,
    async () => {
      const wrapper = injecting(`accept4:error=${error}:when=1`);
      await using server = await ToldServer.start({ wrapper });
      assertEquals(await ask(server.place, "x"), "x");
      await server.order("stop");
      assertEquals(await server.ended(), 0);
      assertEquals(told(server).length, 1);
    },
  );
}

for (
  const fault of [
    "accept4:error=ECONNABORTED:when=1",
    // Of a client that left before the accept: on Linux, and on macOS.
    "getpeername:error=ENOTCONN:when=1",
    "getpeername:error=EINVAL:when=1",
  ]
) {
  testTraced(`listen() passes over a client that left (${fault})`, async () => {
    const wrapper = injecting(fault);
    await using server = await ToldServer.start({ wrapper });
    // The injected fault of getpeername() costs a client its connection.
    await ask(server.place, "lost").catch(() => {});
    assertEquals(await ask(server.place, "x"), "x");
    await server.order("stop");
    assertEquals(await server.ended(), 0);
    assertEquals(told(server), []);
  });
}

for (const error of ["EPERM", "ECONNABORTED"]) {
  testTraced(
    `listen() pauses when ${error} does not end, and its stop does`,
    async () => {
      const wrapper = injecting(`accept4:error=${error}:when=1+`);
      await using server = await ToldServer.start({ wrapper });
      using _client = await connect(server.place);
      await server.says(/^told /);
      await server.order("stop");
      assertEquals(await server.ended(), 0);
      // Without pauses there would be tens of thousands.
      assert(told(server).length < 1000);
    },
  );
}

/** What a server was told of accepts that failed. */
function told({ said }: ToldServer): string[] {
  return said.filter((line) => line.startsWith("told "));
}
