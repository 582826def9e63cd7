// The tool behind a proxy: `--proxy-protocol`.

import { assertEquals, assertMatch } from "@std/assert";
import { ascii, binary } from "./proxy_headers.ts";
import { ask, begin, exchange, readText, send } from "./sockets.ts";
import { temporaryFolder, testWithSignals } from "./support.ts";
import { certFile, keyFile } from "./tls.ts";
import { checkRefusal, moduleUrl, Tool, type ToolOptions } from "./tool.ts";

const line = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n";
const local = binary({ command: 0x20, family: 0 });
const withPrograms: ToolOptions = { permissions: ["-N", "--allow-run"] };

/** Stops it, and gives what it has logged between its first and last line. */
async function logged(tool: Tool): Promise<string[]> {
  tool.kill("SIGTERM");
  const { code, lines } = await tool.ending();
  assertEquals(code, 0);
  return lines.slice(1);
}

testWithSignals(
  "cli: --proxy-protocol logs the client and, in JSON, the proxy",
  async () => {
    const flags = ["--proxy-protocol", "--log-format", "json"];
    await using tool = await Tool.listening(flags);
    const client = await send(tool.addr, `${line}hello`);
    const { port } = client.localAddr as Deno.NetAddr;
    assertEquals(await readText(client), "hello");
    assertEquals(await ask(tool.addr, "PROXY UNKNOWN\r\nhello"), "hello");
    const [named, own] = (await logged(tool)).map((line) => JSON.parse(line));
    assertEquals([named.client, named.server, named.peer], [
      "192.0.2.1:4711",
      "192.0.2.2:443",
      `127.0.0.1:${port}`,
    ]);
    assertMatch(
      named.msg,
      /^192\.0\.2\.1:4711 5 bytes in, 5 bytes out, .*, ok$/,
    );
    assertEquals(["peer" in own, own.server], [
      false,
      `127.0.0.1:${tool.port}`,
    ]);
  },
);

testWithSignals(
  "cli: --proxy-protocol makes no noise about health checks",
  async () => {
    await using tool = await Tool.listening(["--proxy-protocol"]);
    assertEquals(await ask(tool.addr, ""), "");
    assertEquals(await readText(await send(tool.addr, local)), "");
    assertEquals(await ask(tool.addr, `${line}hello`), "hello");
    const [exchange = "", stopped = "", ...others] = await logged(tool);
    assertMatch(exchange, / INFO 192\.0\.2\.1:4711 5 bytes in, .* ok$/);
    assertMatch(stopped, / INFO stopped after 1 exchange$/);
    assertEquals(others, []);
  },
);

testWithSignals("cli: --log-level debug shows health checks", async () => {
  const flags = ["--proxy-protocol", "--log-level", "debug"];
  await using tool = await Tool.listening(flags);
  await readText(await send(tool.addr, local));
  const [accepted = "", check = ""] = await logged(tool);
  assertMatch(accepted, / DEBUG accepted 127\.0\.0\.1:\d+$/);
  assertMatch(
    check,
    / DEBUG 127\.0\.0\.1:\d+ 0 bytes in, .* ms, health-check$/,
  );
});

testWithSignals(
  "cli: --proxy-protocol says in one line what is wrong with a header",
  async () => {
    await using tool = await Tool.listening(["--proxy-protocol"]);
    const client = await begin(tool.addr, "GET / HTTP/1.1\r\n\x1b[2J\r\n");
    await readText(client).catch(() => {});
    const [warning = "", , ...others] = await logged(tool);
    assertMatch(
      warning,
      / WARN 127\.0\.0\.1:\d+ 0 bytes in, 0 bytes out, .* ms, proxy while reading: Malformed PROXY header: the connection begins with "GET \/ HTTP\/1"/,
    );
    assertEquals(others, []);
  },
);

testWithSignals(
  "cli: --proxy-protocol tells programs the client's addresses",
  async () => {
    const names = [
      "PROTO",
      "TCPREMOTEIP",
      "TCPREMOTEPORT",
      "TCPLOCALIP",
      "TCPLOCALPORT",
    ];
    const script = names.map((name) => `$${name}`).join(" ");
    const command = ["--", "sh", "-c", `echo ${script}`];
    const expected = "TCP 192.0.2.1 4711 192.0.2.2 443\n";
    {
      const flags = ["--proxy-protocol", ...command];
      await using tool = await Tool.listening(flags, withPrograms);
      assertEquals(await ask(tool.addr, line), expected);
      await logged(tool);
    }
    await using folder = await temporaryFolder();
    const { path } = folder;
    const flags = ["--unix", `${path}/socket`, "--proxy-protocol", ...command];
    const options = Tool.allowing(path, "--allow-run");
    await using tool = await Tool.listening(flags, options);
    assertEquals(await ask(tool.addr, line), expected);
    await logged(tool);
  },
);

testWithSignals(
  "cli: --proxy-protocol knows no path of a server that a proxy does not name",
  async () => {
    await using folder = await temporaryFolder();
    const { path } = folder;
    const named = (path: string) => [...ascii(path), ...Array(108).fill(0)];
    const header = binary({
      family: 0x31,
      addresses: [
        ...named("/run/client.sock").slice(0, 108),
        ...named("").slice(0, 108),
      ],
    });
    await using tool = await Tool.listening([
      ...["--unix", `${path}/socket`, "--proxy-protocol"],
      ...["--log-format", "json"],
      ...["--", "sh", "-c", 'echo "$PROTO [$UNIXLOCALPATH] [$TCPREMOTEIP]"'],
    ], Tool.allowing(path, "--allow-run"));
    const answer = await exchange(tool.addr, header);
    assertEquals(new TextDecoder().decode(answer), "UNIX [] []\n");
    const [told] = (await logged(tool)).map((line) => JSON.parse(line));
    assertEquals([told.outcome, told.client, told.server], [
      "ok",
      "/run/client.sock",
      null,
    ]);
  },
);

testWithSignals("cli: a module may ask for the PROXY protocol", async () => {
  const source = `export default {
    proxyProtocol: true,
    handler: ({ remoteAddr }) => remoteAddr.hostname,
  }`;
  await using tool = await Tool.listening([moduleUrl(source)]);
  assertEquals(await ask(tool.addr, line), "192.0.2.1");
  await logged(tool);
});

Deno.test("cli: refuses --proxy-protocol with TLS, and says why", async () => {
  const tls = ["--tls-cert", certFile, "--tls-key", keyFile];
  const ending = await Tool.run(["--proxy-protocol", ...tls]);
  checkRefusal(ending, 2, "the header of a proxy comes before TLS");
});
