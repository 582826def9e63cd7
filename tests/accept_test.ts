import { assertEquals, assertRejects } from "@std/assert";
import { type ExchangeRecord, serve } from "../mod.ts";
import { encode } from "./bytes.ts";
import { checkRow } from "./fault_table.ts";
import { kill, lines, spawn } from "./programs.ts";
import { ask, local, send } from "./sockets.ts";
import { checkShutdown, lineUp, Records } from "./support.ts";

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
      withCode("EPROTO"),
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

Deno.test("Server.shutdown() serves a backlog though accepts fail meanwhile", async () => {
  const faults: unknown[] = [];
  const records = new Records();
  const server = serve(
    { listener: failing(faults), onExchange: records.add },
    (conn) => conn.bytes(),
  );
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
  Deno.test({
    name:
      "listen() keeps clients waiting while descriptors lack, and serves them then",
    ignore: Deno.build.os === "windows",
    async fn() {
      const limited = ["-c", 'ulimit -n 80; exec "$@"', "sh", Deno.execPath()];
      const flags = ["run", "--no-config", "-N", "-R"];
      const file = new URL("testdata/few_descriptors.ts", import.meta.url).href;
      const child = spawn("sh", [...limited, ...flags, file, `${readAhead}`], {
        stdin: "piped",
        stderr: "null",
      });
      const output = lines(child.stdout);
      const said = async (pattern: RegExp) => {
        for (;;) {
          const { value } = await output.next();
          if (value === undefined) throw new Error(`It did not say ${pattern}`);
          const match = pattern.exec(value);
          if (match) return match;
        }
      };
      try {
        const [, port] = await said(/^port (\d+)$/);
        const line = await lineUp({ port: Number(port) }, 5);
        await said(/^EMFILE$/);
        const stdin = child.stdin.getWriter();
        await stdin.write(encode("free"));
        await line.served();
        const records = [];
        while (records.length < 5) {
          const [, outcome, phase] = await said(/^(\S+) (writing|reading)$/);
          records.push({ outcome, phase } as ExchangeRecord);
        }
        checkRow("clients waiting while descriptors lack", {
          client: "response",
          records,
          released: "event",
        });
        await stdin.close();
        assertEquals((await child.status).code, 0);
      } finally {
        kill(child);
        await output.return();
      }
    },
  });
}
