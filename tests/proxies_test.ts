// Real proxies before a server: HAProxy's `send-proxy` and `send-proxy-v2`, and
// nginx's `proxy_protocol on`.

import { assertEquals } from "@std/assert";
import { serve } from "../mod.ts";
import { assertSame, pattern } from "./bytes.ts";
import {
  Daemon,
  type DaemonConfig,
  type DaemonName,
  haproxyBetween,
  nginxStream,
  testWithDaemon,
} from "./daemons.ts";
import { ask, exchange, readText, send } from "./sockets.ts";
import { Records, serveLocally, temporaryFolder } from "./support.ts";

// Each client sends something: one that has sent nothing is dropped if it half-
// closes before HAProxy is connected to the server.

/** A configuration that passes everything on to `server`. */
type Setup = (server: string) => DaemonConfig;

function haproxy(flags: string, more = ""): Setup {
  return (server) => ({ ports }) =>
    haproxyBetween(`127.0.0.1:${ports[0]}`, `${server} ${flags}`, more);
}

const nginx: Setup = (server) => ({ ports }) => `
load_module ${nginxStream};
pid nginx.pid;
events {}
stream {
  server {
    listen 127.0.0.1:${ports[0]};
    proxy_pass ${
  server.startsWith("unix") ? `${server.replace("@", ":")}` : server
};
    proxy_protocol on;
    proxy_half_close on;
  }
}
`;

const setups: [what: string, name: DaemonName, setup: Setup][] = [
  ["HAProxy's send-proxy", "haproxy", haproxy("send-proxy")],
  ["HAProxy's send-proxy-v2", "haproxy", haproxy("send-proxy-v2")],
  [
    "HAProxy's send-proxy-v2 with fields",
    "haproxy",
    haproxy(
      "send-proxy-v2 proxy-v2-options crc32c,unique-id",
      "unique-id-format %[rand,hex]",
    ),
  ],
  ["nginx's proxy_protocol", "nginx", nginx],
];

for (const [what, name, setup] of setups) {
  testWithDaemon(name, `proxyProtocol understands ${what}`, async () => {
    const { server, records } = serveLocally({ proxyProtocol: true });
    {
      const backend = `127.0.0.1:${server.addr.port}`;
      await using proxy = await Daemon.start(name, setup(backend));
      const client = await send({ port: proxy.port }, "hello");
      const { localAddr } = client;
      assertEquals(await readText(client), "hello");
      const request = pattern(5_000_000);
      assertSame(await exchange({ port: proxy.port }, request), request);
      const [record] = records.all;
      assertEquals(record?.remoteAddr, localAddr);
      assertEquals((record?.localAddr as Deno.NetAddr).port, proxy.port);
      assertEquals((record?.peerAddr as Deno.NetAddr).hostname, "127.0.0.1");
    }
    await server.shutdown();
    assertEquals(records.outcomes, ["ok", "ok"]);
  });

  testWithDaemon(
    name,
    `proxyProtocol understands ${what} on a Unix socket`,
    async () => {
      await using folder = await temporaryFolder();
      // nginx's workers are of another user.
      await Deno.chmod(folder.path, 0o755);
      const path = `${folder.path}/socket`;
      const records = new Records();
      const server = serve(
        { path, mode: 0o777, proxyProtocol: true, onExchange: records.add },
        ({ remoteAddr }) => (remoteAddr as Deno.NetAddr).hostname,
      );
      {
        await using proxy = await Daemon.start(name, setup(`unix@${path}`));
        assertEquals(await ask({ port: proxy.port }, "hello"), "127.0.0.1");
      }
      await server.shutdown();
      assertEquals(records.outcomes, ["ok"]);
    },
  );
}

for (const flags of ["send-proxy", "send-proxy-v2"]) {
  testWithDaemon(
    "haproxy",
    `HAProxy's checks with ${flags} take no turn`,
    async () => {
      let turns = 0;
      const { server, records } = serveLocally({ proxyProtocol: true }, () => {
        turns++;
        return "hello";
      });
      {
        // By default HAProxy resets its checks, mostly before they are accepted.
        // The client takes a way of its own to the server: a check that a busy
        // machine delays closes the way that it checks.
        const backend = `127.0.0.1:${server.addr.port}`;
        const config: DaemonConfig = (place) => `
${haproxy(flags)(backend)(place)}
backend checked
  option tcp-check
  tcp-check connect send-proxy linger
  tcp-check connect linger
  server checked ${backend} check inter 20ms ${flags}
`;
        await using proxy = await Daemon.start("haproxy", config);
        await records.nth(6);
        assertEquals(await ask({ port: proxy.port }, "hello"), "hello");
      }
      await server.shutdown();
      const others = records.outcomes.filter((outcome) => outcome !== "ok");
      assertEquals(new Set(others), new Set(["health-check"]));
      assertEquals([turns, records.all.length - others.length], [1, 1]);
    },
  );
}
