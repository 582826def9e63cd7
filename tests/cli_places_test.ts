// Where the command-line tool listens, and who talks to it there.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assertSame, encode, pattern } from "./bytes.ts";
import { type Client, clients, talk, testWith } from "./clients.ts";
import { printed, runProgram } from "./programs.ts";
import { ask, begin, exchangeOn, readText } from "./sockets.ts";
import {
  namesIn,
  temporaryFolder,
  testIf,
  testOnLinux,
  testWithSignals,
} from "./support.ts";
import { certFile, connectTls, keyFile } from "./tls.ts";
import { checkRefusal, outcomes, Tool } from "./tool.ts";

const tlsFlags = ["--tls-cert", certFile, "--tls-key", keyFile];
const tlsPermissions = ["-N", `-R=${certFile},${keyFile}`];

/** How the tool is started for a client, and stopped after it. */
function listeningFor(
  client: Client<Deno.NetAddr>,
  flags: string[] = [],
): Promise<Tool> {
  return client.options
    ? Tool.listening([...flags, ...tlsFlags], { permissions: tlsPermissions })
    : Tool.listening(flags);
}

/** Checks that the tool sends back what a client sends. */
async function checkEcho<Addr extends Deno.Addr>(
  client: Client<Addr>,
  tool: Tool,
): Promise<void> {
  const sizes = [0, 5, 1_048_576];
  for (const size of sizes) {
    const request = pattern(size);
    assertSame(await talk(client, tool.addr as Addr, request), request);
  }
  const all = await tool.stop();
  assertEquals(
    all.map(({ bytesIn, outcome }) => [bytesIn, outcome]),
    sizes.map((size) => [size, "ok"]),
  );
}

for (const client of clients.wellBehaved) {
  testWith(client, `cli: ${client.name} gets its answer`, async () => {
    await using tool = await listeningFor(client);
    await checkEcho(client, tool);
  });
}

for (const client of clients.onUnix) {
  testWith(client, `cli: ${client.name} gets its answer`, async () => {
    await using folder = await temporaryFolder();
    const args = ["--unix", `${folder.path}/test.sock`];
    await using tool = await Tool.listening(args, Tool.allowing(folder.path));
    await checkEcho(client, tool);
  });
}

for (const client of clients.impatient) {
  testWith(
    client,
    `cli: ${client.name} has its request read whole`,
    async () => {
      await using tool = await listeningFor(client);
      await talk(client, tool.addr as Deno.NetAddr, encode("hello"));
      await tool.line(/ 127\.0\.0\.1:\d+ 5 bytes in, /);
    },
  );
}

for (const client of clients.endless) {
  testWith(client, `cli: ${client.name} is told that no end came`, async () => {
    await using tool = await listeningFor(client, ["--idle-timeout", "1s"]);
    const reply = await talk(
      client,
      tool.addr as Deno.NetAddr,
      encode("hello"),
    );
    const refusal =
      "halfclose: request refused, nothing came for 1000 ms, and you have not " +
      "ended your side. Half-close (nc -N)\n";
    const told = new TextDecoder().decode(reply);
    if (client.addsItsOwn) assertStringIncludes(told, refusal.trim());
    else assertEquals(told, refusal);
    const bytesIn = client.addsItsOwn ? "\\d+" : "5";
    await tool.line(
      new RegExp(
        ` WARN .* ${bytesIn} bytes in, 0 bytes out, .* idle while reading: `,
      ),
    );
  });
}

Deno.test("cli: a client that sends nothing is told nothing", async () => {
  await using tool = await Tool.listening(["--idle-timeout", "50ms"]);
  const silent = await begin(tool.addr, "");
  assertEquals(await readText(silent), "");
  await tool.line(/ WARN .* 0 bytes in, 0 bytes out, .* idle while reading: /);
});

for (const client of clients.truncating) {
  testWith(client, `cli: ${client.name} is logged as truncated`, async () => {
    await using tool = await listeningFor(client);
    await talk(client, tool.addr as Deno.NetAddr, encode("hello"));
    await tool.line(/ WARN .* 5 bytes in, 0 bytes out, .* truncated while /);
  });
}

testWithSignals(
  "cli: --unix makes a socket of the --mode, and removes it",
  async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/test.sock`;
    const options = Tool.allowing(folder.path);
    const args = ["--unix", path, "--mode", "620"];
    await using tool = await Tool.listening(args, options);
    assertEquals((await Deno.stat(path)).mode ?? 0, 0o140620);
    assertEquals(await ask(tool.addr, "hello"), "hello");
    const again = await Tool.run(["--unix", path], options);
    checkRefusal(again, 1, `Cannot listen on ${path}: a server listens`);
    await tool.stop();
    assertEquals(namesIn(folder.path), []);
  },
);

testWithSignals(
  "cli: --tls-cert and --tls-key make it speak TLS, and survive plaintext",
  async () => {
    await using tool = await Tool.listening(tlsFlags, {
      permissions: tlsPermissions,
    });
    await ask(tool.addr, "plaintext\n").catch(() => "");
    const conn = await connectTls(tool.port);
    assertEquals(await exchangeOn(conn, encode("hello")), encode("hello"));
    assertEquals(outcomes(await tool.stop()), ["handshake", "ok"]);
  },
);

testWithSignals("cli: a program's environment tells of TLS", async () => {
  const script = 'echo "$PROTO $SSLREMOTEIP $TCPREMOTEIP $SSLLOCALPORT"';
  const args = [...tlsFlags, "--", "sh", "-c", script];
  const permissions = [...tlsPermissions, "--allow-run=sh"];
  await using tool = await Tool.listening(args, { permissions });
  const conn = await connectTls(tool.port);
  await conn.closeWrite();
  const reply = await readText(conn);
  assertEquals(reply, `SSL 127.0.0.1 127.0.0.1 ${tool.port}\n`);
});

/** Files that are no use for TLS, and what is said of them. */
const useless: [cert: string, key: string, named: string][] = [
  ["missing.pem", keyFile, "Cannot read missing.pem: No such file"],
  [certFile, "missing.key", "Cannot read missing.key: No such file"],
  ["README.md", keyFile, "Cannot use README.md for TLS: there is no PEM"],
  [certFile, "tests", "Cannot read tests: Is a directory"],
  [keyFile, certFile, "Cannot listen on 127.0.0.1:0: "],
  [certFile, certFile, "Cannot listen on 127.0.0.1:0: "],
];

Deno.test("cli: complains in one line of files that are no use for TLS", async (t) => {
  for (const [cert, key, named] of useless) {
    await t.step(`${cert} ${key}`, async () => {
      const where = ["--host", "127.0.0.1", "--port", "0"];
      const args = [...where, "--tls-cert", cert, "--tls-key", key];
      const ending = await Tool.run(args, { permissions: ["-N", "-R"] });
      checkRefusal(ending, 1, named);
    });
  }
});

testOnLinux("cli: --reuse-port lets two servers share a port", async () => {
  const permissions = ["-N", "--unstable-net"];
  await using one = await Tool.listening(["--reuse-port"], { permissions });
  const shared = ["--reuse-port", "--port", `${one.port}`];
  await using two = await Tool.listening(shared, { permissions });
  assertEquals(two.port, one.port);
  const alone = await Tool.run([
    "--host",
    "127.0.0.1",
    "--port",
    `${one.port}`,
  ]);
  checkRefusal(alone, 1, "in use");
  assertEquals(await ask(one.addr, "hello"), "hello");
});

const hasSs = await printed(["ss", "-V"]) !== undefined;

testIf(hasSs, "ss", "cli: --backlog bounds the line", async () => {
  await using tool = await Tool.listening(["--backlog", "7"]);
  const sockets = await printed(["ss", "-Hltn", `sport = :${tool.port}`]);
  assertMatch(sockets ?? "", /^LISTEN\s+0\s+7\s/);
});

Deno.test("cli: --host may be an IPv6 address", async () => {
  const args = ["--host", "::1", "--port", "0"];
  await using tool = new Tool(args);
  const [, port] = await tool.line(/ listening on \[::1\]:(\d+)$/);
  const place = { hostname: "::1", port: Number(port) };
  assertEquals(await ask(place, "hello"), "hello");
});

Deno.test("cli: --host may be a name that nobody has", async () => {
  const ending = await Tool.run([
    "--host",
    "no-such-host.invalid",
    "--port",
    "0",
  ]);
  assertEquals(ending.code, 1);
  assertStringIncludes(ending.lines.join(), "no-such-host.invalid:0");
});

const withoutReserved = [
  ...["setpriv", "--bounding-set=-net_bind_service"],
  "--inh-caps=-net_bind_service",
];

testIf(
  Deno.build.os === "linux" &&
    await printed([...withoutReserved, "true"]) !== undefined,
  "Linux, root and setpriv",
  "cli: a port below 1024 is answered with one that works",
  async () => {
    const command = Tool.command(["--host", "127.0.0.1", "--port", "515"]);
    const [program = "", ...args] = [...withoutReserved, ...command];
    const { code, stderr } = await runProgram(program, args);
    assertEquals(code, 1, stderr);
    assertStringIncludes(stderr, "Cannot listen on 127.0.0.1:515: a port");
    assertStringIncludes(stderr, "Try port 8515");
  },
);
