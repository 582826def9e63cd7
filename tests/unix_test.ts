import { assertEquals, assertThrows } from "@std/assert";
import { listen, serve } from "../mod.ts";
import {
  ask,
  block,
  exchange,
  pattern,
  readText,
  Records,
  send,
} from "./support.ts";

const ignore = Deno.build.os === "windows";

Deno.test({
  name: "listen() serves a Unix socket",
  ignore,
  async fn() {
    const dir = await Deno.makeTempDir();
    const path = `${dir}/test.sock`;
    const records = new Records();
    const server = serve({ path, onExchange: records.add }, (conn) => {
      assertEquals(conn.localAddr.transport, "unix");
      assertEquals(conn.localAddr.path, path);
      return conn.bytes();
    });
    assertEquals(server.addr, { transport: "unix", path });
    assertEquals(await ask(server.addr, "hello"), "hello");
    const large = pattern(5_000_000);
    assertEquals(await exchange(server.addr, large), large);
    await server.shutdown();
    assertEquals(records.outcomes, ["ok", "ok"]);
    await Deno.remove(dir, { recursive: true });
  },
});

Deno.test({
  name: "listen() on a Unix socket serves its backlog before it closes",
  ignore,
  async fn() {
    const dir = await Deno.makeTempDir();
    const path = `${dir}/test.sock`;
    const records = new Records();
    const server = serve(
      { path, onExchange: records.add },
      (conn) => conn.bytes(),
    );
    const clients = await Promise.all(
      Array.from({ length: 50 }, (_, i) => send(server.addr, `client ${i}`)),
    );
    // Timers fire before what the event loop has missed meanwhile.
    block(500);
    const stopped = server.shutdown();
    assertEquals(
      await Promise.all(clients.map(readText)),
      clients.map((_, i) => `client ${i}`),
    );
    await stopped;
    assertEquals(records.outcomes, Array(50).fill("ok"));
    await Deno.remove(dir, { recursive: true });
  },
});

Deno.test({
  name: "listen() answers a client on a Unix socket that still sends",
  ignore,
  async fn() {
    const dir = await Deno.makeTempDir();
    const path = `${dir}/test.sock`;
    const large = pattern(3_000_000);
    const server = serve({ path, streaming: true }, () => large);
    const client = await send(server.addr, large);
    assertEquals(await new Response(client.readable).bytes(), large);
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  },
});

Deno.test({
  name: "listen() says what to do about something at the path",
  ignore,
  async fn() {
    const dir = await Deno.makeTempDir();
    const path = `${dir}/file`;
    await Deno.writeTextFile(path, "precious");
    assertThrows(
      () => listen({ path }),
      Deno.errors.AddrInUse,
      `Cannot listen on ${path}: there is something at this path already`,
    );
    assertEquals(await Deno.readTextFile(path), "precious");
    await Deno.remove(dir, { recursive: true });
  },
});
