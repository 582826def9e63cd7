/**
 * Test double: servers inside of tests, which stand in for those that the code
 * under test talks to. Port 0 is a free one, so that tests can run side by side,
 * and `await using` stops the server when its test is over.
 *
 * ```sh
 * deno test -N examples/test_double_test.ts
 * ```
 *
 * @module
 */

import { request, type RequestOptions } from "@halfclose/server/client";
import { listen, serve } from "@halfclose/server/server";
import { assertEquals, assertRejects } from "@std/assert";

// The code under test: a client of a whois-like directory, and one of a printer.

async function phoneOf(name: string, directory: RequestOptions) {
  const reply = await request(directory, `${name}\r\n`);
  const [, phone] = /^phone: (.+)$/m.exec(await reply.text()) ?? [];
  if (phone === undefined) throw new Error(`Nobody is called ${name}`);
  return phone;
}

async function printLabel(label: string, printer: RequestOptions) {
  const job = `%!PS\n72 72 moveto (${label}) show showpage\n`;
  await (await request(printer, job)).text();
}

// Where its servers are.
const local = { hostname: "127.0.0.1", port: 0 };

Deno.test("phoneOf() finds the number in the entry", async () => {
  const entries: Record<string, string> = {
    "ada\r\n": "name: Ada\nphone: 1815\n",
  };
  await using directory = serve(
    local,
    async (conn) => entries[await conn.text()] ?? "no match\n",
  );
  assertEquals(await phoneOf("ada", directory.addr), "1815");
  await assertRejects(
    () => phoneOf("bob", directory.addr),
    Error,
    "Nobody is called bob",
  );
});

Deno.test("printLabel() sends one job of PostScript", async () => {
  await using printer = listen({
    ...local,
    idleTimeout: 1_000,
    // Or the loop would wait for another client if this one sends no FIN.
    onExchange({ outcome, error }) {
      if (outcome !== "ok") throw error;
    },
  });
  const printed = printLabel("fragile", printer.addr);
  for await (const conn of printer) {
    assertEquals(
      await conn.text(),
      "%!PS\n72 72 moveto (fragile) show showpage\n",
    );
    await conn.close();
    break;
  }
  await printed;
});

/** A server that expects these requests in order, and has these responses. */
function scripted(script: [request: string, response: string][]) {
  const server = serve(local, async (conn) => {
    const received = await conn.text();
    const [expected, response] = script.shift() ?? ["nothing more", ""];
    if (received !== expected) mismatches.push({ expected, received });
    return response;
  });
  const mismatches: { expected: string; received: string }[] = [];
  return {
    addr: server.addr,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      assertEquals({ mismatches, unasked: script }, {
        mismatches: [],
        unasked: [],
      });
    },
  };
}

Deno.test("phoneOf() asks again after the number has changed", async () => {
  await using directory = scripted([
    ["ada\r\n", "name: Ada\nphone: 1815\n"],
    ["ada\r\n", "name: Ada\nphone: 1852\n"],
  ]);
  assertEquals(await phoneOf("ada", directory.addr), "1815");
  assertEquals(await phoneOf("ada", directory.addr), "1852");
});

Deno.test("phoneOf() rejects when the directory is down", async () => {
  const directory = serve(local, () => "");
  await directory.shutdown();
  await assertRejects(
    () => phoneOf("ada", directory.addr),
    Deno.errors.ConnectionRefused,
  );
});
