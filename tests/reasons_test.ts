// A reason may be anything, even `null` or `undefined`: it is never taken for none.

import process from "node:process";
import type { ConnectionOptions } from "node:tls";
import { assert, assertEquals } from "@std/assert";
import { request } from "../mod.ts";
import { ask, begin, local, readText, send } from "./sockets.ts";
import { listenLocally, serveLocally } from "./support.ts";
import { failed, moduleUrl, Tool } from "./tool.ts";

/** What `work` rejects with, in a box: it may be `undefined`. */
async function rejection(work: Promise<unknown>): Promise<[unknown]> {
  try {
    await work;
  } catch (error) {
    return [error];
  }
  throw new Error("It did not reject");
}

/** A body that throws after some chunks. */
async function* failing(error: unknown, ...chunks: string[]) {
  yield* chunks;
  await Promise.resolve();
  throw error;
}

for (const reason of [null, undefined]) {
  Deno.test(`serve() fails for a handler, or a body, that throws ${reason}`, async () => {
    const faults: unknown[] = [];
    const { server, records } = serveLocally({
      onError: (error) => void faults.push(error),
    }, async (conn) => {
      if (await conn.text() === "handler") throw reason;
      return failing(reason, "begun");
    });
    assertEquals(await ask(server.addr, "handler"), "");
    assertEquals(await ask(server.addr, "body"), "begun");
    await server.shutdown();
    assertEquals(faults, [reason, reason]);
    assertEquals(records.outcomes, ["failed", "failed"]);
    for (const record of records.all) {
      assert("error" in record);
      assertEquals(record.error, reason);
    }
  });

  Deno.test(`serve() tells onError() of a fault that is ${reason} and was not awaited`, async () => {
    const faults: unknown[] = [];
    const { server, records } = serveLocally({
      onError: (error) => void faults.push(error),
    }, (conn) => {
      conn.respond(failing(reason));
    });
    assertEquals(await ask(server.addr, "x"), "");
    await server.shutdown();
    assertEquals([faults, records.outcomes], [[reason], ["failed"]]);
  });

  for (const format of ["text", "json"]) {
    Deno.test(`cli: a module that throws ${reason} is logged with that, as ${format}`, async () => {
      await using tool = await Tool.listening([
        ...["--log-format", format],
        moduleUrl(`export default () => { throw ${reason}; }`),
      ]);
      assertEquals(await ask(tool.addr, "x"), failed);
      await tool.line(
        format === "text"
          ? new RegExp(`failed while handling: ${reason}$`)
          : new RegExp(`"outcome":"failed","error":"${reason}"`),
      );
    });
  }
}

Deno.test("Conn rejects with null if its exchange is cut with that", async (t) => {
  await t.step("by `signal`, while it is read as a stream", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const { listener, records } = listenLocally({ signal, streaming: true });
    const client = await begin(listener.addr, "never ends");
    for await (const conn of listener) {
      const reader = conn.readable.getReader();
      await reader.read();
      controller.abort(null);
      assertEquals(conn.signal.reason, null);
      assertEquals(await rejection(reader.read()), [null]);
    }
    assertEquals(await readText(client).catch(() => ""), "");
    assertEquals(records.all[0]?.error, null);
  });
  await t.step("by abort(), when it is read too late", async () => {
    const { listener } = listenLocally({ streaming: true });
    const client = await send(listener.addr, "x");
    const late: unknown[] = [];
    for await (const conn of listener) {
      conn.abort(null);
      queueMicrotask(async () => {
        await conn.close();
        setTimeout(async () => late.push(...await rejection(conn.text())));
      });
      break;
    }
    await readText(client).catch(() => {});
    while (late.length === 0) await new Promise((go) => setTimeout(go));
    assertEquals(late, [null]);
  });
});

// A plain connection has its test among the others of the client.
Deno.test("request() over TLS ends, in whichever microtask before the handshake its signal is aborted", async () => {
  // It never shakes hands: a request that misses the abort hangs.
  using listener = Deno.listen(local);
  const { port } = listener.addr;
  const tls = process.getBuiltinModule("node:tls");
  const { connect } = tls;
  try {
    for (let microtasks = 0; microtasks < 20; microtasks++) {
      const controller = new AbortController();
      tls.connect = ((options: ConnectionOptions) => {
        (async () => {
          for (let i = 0; i < microtasks; i++) await undefined;
          controller.abort(microtasks);
        })();
        return connect(options);
      }) as typeof connect;
      const { signal } = controller;
      const asked = request({ ...local, port, tls: true, signal }, "x");
      assertEquals(await rejection(asked), [microtasks]);
    }
  } finally {
    tls.connect = connect;
  }
});
