// Callbacks that return a promise: nobody awaits it, and its rejection counts as
// thrown.

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { listen, serve } from "../mod.ts";
import { runDeno } from "./programs.ts";
import { ask, local, readText, send } from "./sockets.ts";
import { serveLocally, type ServeTcpOptions } from "./support.ts";
import { moduleUrl, Tool } from "./tool.ts";

/** A callback whose promise rejects after a while. */
// deno-lint-ignore require-await -- what it throws is to be a rejection
const rejects = async () => {
  throw new Error("from a promise");
};

/** A listener whose first accept fails. */
function failingOnce(): Deno.TcpListener {
  const inner = Deno.listen(local);
  let hasFailed = false;
  return {
    addr: inner.addr,
    close: () => inner.close(),
    accept() {
      if (hasFailed) return inner.accept();
      hasFailed = true;
      return Promise.reject(new Error("no more descriptors"));
    },
  } as Deno.TcpListener;
}

const cases: Record<string, { options: ServeTcpOptions; outcomes: string[] }> =
  {
    allow: { options: { allow: rejects as never }, outcomes: ["denied"] },
    onRequest: { options: { onRequest: rejects }, outcomes: ["aborted"] },
    onExchange: { options: { onExchange: rejects }, outcomes: [] },
    onListen: { options: { onListen: rejects }, outcomes: [] },
  };

for (const [name, { options, outcomes }] of Object.entries(cases)) {
  for (const readAhead of [0, 2]) {
    Deno.test(`serve() ends with what the promise of ${name}() rejects with, reading ${readAhead} ahead`, async () => {
      const { server, records } = serveLocally({ readAhead, ...options });
      const ended = assertRejects(
        () => server.finished,
        Error,
        "from a promise",
      );
      const client = await send(server.addr, "hello").catch(() => undefined);
      await ended;
      if (client) await readText(client).catch(() => "");
      assertEquals(records.outcomes, outcomes);
      await server.shutdown();
    });
  }
}

Deno.test("serve() ends with what the promise of onAcceptError() rejects with", async () => {
  const server = serve(
    { listener: failingOnce(), onAcceptError: rejects },
    (conn) => conn.bytes(),
  );
  await assertRejects(() => server.finished, Error, "from a promise");
});

Deno.test("listen() ends with what the promise of a callback rejects with", async () => {
  const listener = listen({ ...local, onExchange: rejects });
  const client = ask(listener.addr, "hello");
  await assertRejects(
    async () => {
      for await (const conn of listener) await conn.respond(await conn.text());
    },
    Error,
    "from a promise",
  );
  assertEquals(await client, "hello");
});

Deno.test("serve() does not wait for the promise of a callback", async () => {
  const never = () => new Promise<never>(() => {});
  const { server } = serveLocally({
    onRequest: never,
    onExchange: never,
    onListen: never,
  });
  assertEquals(await ask(server.addr, "one"), "one");
  assertEquals(await ask(server.addr, "two"), "two");
  await server.shutdown();
});

Deno.test("serve() tells the console of a promise that rejects after the end", async () => {
  const program = `
    import { request, serve } from "${import.meta.resolve("../mod.ts")}";
    const late = Promise.withResolvers();
    const server = serve({
      hostname: "127.0.0.1",
      port: 0,
      onExchange: () => late.promise,
    }, () => "x");
    const reply = await request(server.addr);
    console.log(await reply.text());
    await server.shutdown();
    late.reject(new Error("too late"));
    await new Promise((resolve) => setTimeout(resolve, 0));
    console.log("goes on");`;
  const { code, stdout, stderr } = await runDeno(
    "eval",
    "--no-config",
    program,
  );
  assertEquals([code, stdout], [0, "x\ngoes on\n"], stderr);
  assertStringIncludes(stderr, "Error: too late");
});

Deno.test("cli: ends with what the promise of a module's callback rejects with", async () => {
  for (const name of Object.keys(cases)) {
    const module = moduleUrl(`export default {
      async ${name}() { throw new Error("from ${name}"); },
      handler: () => "x",
    };`);
    const flags = ["--host", "127.0.0.1", "--port", "0"];
    await using tool = new Tool([...flags, module]);
    if (name !== "onListen") {
      const [, port] = await tool.line(/ listening on 127\.0\.0\.1:(\d+)$/);
      const client = await send({ port: Number(port) }, "hello");
      await readText(client).catch(() => "");
    }
    const { code, lines } = await tool.ending();
    assertEquals(code, 1);
    assertStringIncludes(lines.at(-1) ?? "", `halfclose: from ${name}`);
  }
});
