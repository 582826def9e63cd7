// Where the command-line tool listens, and who talks to it there.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  authority,
  type Client,
  endless,
  impatient,
  onUnix,
  talk,
  testWith,
  truncating,
  wellBehaved,
} from "./clients.ts";
import { ask, encode, pattern } from "./support.ts";
import {
  assertSame,
  checkRefusal,
  outcomes,
  run,
  testWithSignals,
  Tool,
} from "./tool.ts";

const testdata = `${import.meta.dirname}/testdata`;
const cert = `${testdata}/localhost.pem`;
const key = `${testdata}/localhost.key`;
const tlsFlags = ["--tls-cert", cert, "--tls-key", key];
const tlsPermissions = ["-N", `-R=${cert},${key}`];

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

async function withFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

for (const client of wellBehaved) {
  testWith(client, `cli: ${client.name} gets its answer`, async () => {
    await using tool = await listeningFor(client);
    await checkEcho(client, tool);
  });
}

for (const client of onUnix) {
  testWith(client, `cli: ${client.name} gets its answer`, () => {
    return withFolder(async (dir) => {
      const permissions = ["-N", `-R=${dir}`, `-W=${dir}`];
      const args = ["--unix", `${dir}/test.sock`];
      await using tool = await Tool.listening(args, { permissions });
      await checkEcho(client, tool);
    });
  });
}

for (const client of impatient) {
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

for (const client of endless) {
  testWith(client, `cli: ${client.name} is told that no end came`, async () => {
    await using tool = await listeningFor(client, ["--idle-timeout", "1s"]);
    const reply = await talk(
      client,
      tool.addr as Deno.NetAddr,
      encode("hello"),
    );
    assertMatch(
      new TextDecoder().decode(reply),
      /^halfclose: request refused, nothing came or went for 1000 ms\n$/,
    );
    await tool.line(
      / WARN .* 5 bytes in, 0 bytes out, .* idle while reading: /,
    );
  });
}

for (const client of truncating) {
  testWith(client, `cli: ${client.name} is logged as truncated`, async () => {
    await using tool = await listeningFor(client);
    await talk(client, tool.addr as Deno.NetAddr, encode("hello"));
    await tool.line(/ WARN .* 5 bytes in, 0 bytes out, .* truncated while /);
  });
}

testWithSignals(
  "cli: --unix makes a socket of the --mode, and removes it",
  () => {
    return withFolder(async (dir) => {
      const path = `${dir}/test.sock`;
      const permissions = ["-N", `-R=${dir}`, `-W=${dir}`];
      const args = ["--unix", path, "--mode", "620"];
      await using tool = await Tool.listening(args, { permissions });
      assertEquals((await Deno.stat(path)).mode ?? 0, 0o140620);
      assertEquals(await ask(tool.addr, "hello"), "hello");
      const again = await run(["--unix", path], { permissions });
      checkRefusal(again, 1, `Cannot listen on ${path}: there is a socket`);
      await tool.stop();
      assertEquals(Array.from(Deno.readDirSync(dir)), []);
    });
  },
);

testWithSignals(
  "cli: --tls-cert and --tls-key make it speak TLS, and survive plaintext",
  async () => {
    await using tool = await Tool.listening(tlsFlags, {
      permissions: tlsPermissions,
    });
    await ask(tool.addr, "plaintext\n").catch(() => "");
    const conn = await Deno.connectTls({
      hostname: "localhost",
      port: tool.port,
      caCerts: [await Deno.readTextFile(authority)],
    });
    await conn.write(encode("hello"));
    await conn.closeWrite();
    assertEquals(await new Response(conn.readable).text(), "hello");
    assertEquals(outcomes(await tool.stop()), ["handshake", "ok"]);
  },
);

testWithSignals("cli: a program's environment tells of TLS", async () => {
  const script = 'echo "$PROTO $SSLREMOTEIP $TCPREMOTEIP $SSLLOCALPORT"';
  const args = [...tlsFlags, "--", "sh", "-c", script];
  const permissions = [...tlsPermissions, "--allow-run=sh"];
  await using tool = await Tool.listening(args, { permissions });
  const conn = await Deno.connectTls({
    hostname: "localhost",
    port: tool.port,
    caCerts: [await Deno.readTextFile(authority)],
  });
  await conn.closeWrite();
  const reply = await new Response(conn.readable).text();
  assertEquals(reply, `SSL 127.0.0.1 127.0.0.1 ${tool.port}\n`);
});

/** Files that are no use for TLS, and what is said of them. */
const useless: [cert: string, key: string, named: string][] = [
  ["missing.pem", key, "Cannot read missing.pem: No such file"],
  [cert, "missing.key", "Cannot read missing.key: No such file"],
  ["README.md", key, "Cannot use README.md for TLS: there is no PEM"],
  [cert, testdata, `Cannot read ${testdata}: Is a directory`],
  [key, cert, "Cannot listen on 127.0.0.1:0: "],
  [cert, cert, "Cannot listen on 127.0.0.1:0: "],
];

Deno.test("cli: complains in one line of files that are no use for TLS", async (t) => {
  for (const [cert, key, named] of useless) {
    await t.step(`${cert} ${key}`, async () => {
      const where = ["--host", "127.0.0.1", "--port", "0"];
      const args = [...where, "--tls-cert", cert, "--tls-key", key];
      const ending = await run(args, { permissions: ["-N", "-R"] });
      checkRefusal(ending, 1, named);
    });
  }
});

testWithSignals("cli: --reuse-port lets two servers share a port", async () => {
  const permissions = ["-N", "--unstable-net"];
  await using one = await Tool.listening(["--reuse-port"], { permissions });
  const shared = ["--reuse-port", "--port", `${one.port}`];
  await using two = await Tool.listening(shared, { permissions });
  assertEquals(two.port, one.port);
  const alone = await run(["--host", "127.0.0.1", "--port", `${one.port}`]);
  checkRefusal(alone, 1, "in use");
  assertEquals(await ask(one.addr, "hello"), "hello");
});

const hasSs = await new Deno.Command("ss", { args: ["-V"] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: `cli: --backlog bounds the line${hasSs ? "" : " (needs ss)"}`,
  ignore: !hasSs,
  async fn() {
    await using tool = await Tool.listening(["--backlog", "7"]);
    const { stdout } = await new Deno.Command("ss", {
      args: ["-Hltn", `sport = :${tool.port}`],
    }).output();
    assertMatch(new TextDecoder().decode(stdout), /^LISTEN\s+0\s+7\s/);
  },
});

Deno.test("cli: --host may be an IPv6 address", async () => {
  const args = ["--host", "::1", "--port", "0"];
  await using tool = new Tool(args);
  const [, port] = await tool.line(/ listening on \[::1\]:(\d+)$/);
  const addr = {
    transport: "tcp",
    hostname: "::1",
    port: Number(port),
  } as const;
  assertEquals(await ask(addr, "hello"), "hello");
});

Deno.test("cli: --host may be a name that nobody has", async () => {
  const ending = await run(["--host", "no-such-host.invalid", "--port", "0"]);
  assertEquals(ending.code, 1);
  assertStringIncludes(ending.lines.join(), "no-such-host.invalid:0");
});
