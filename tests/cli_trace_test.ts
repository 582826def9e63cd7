// The trace of the tool: `--trace`.

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { backlogOf } from "../cli/monitor/backlog.ts";
import { KeptSocket } from "./kept_socket.ts";
import { runProgram } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import { ask, begin, exchangeOn, readText, send, writeAll } from "./sockets.ts";
import {
  temporaryFolder,
  testIf,
  testOnLinux,
  testUnix,
  testWithSignals,
  until,
} from "./support.ts";
import { certFile, connectTls, keyFile } from "./tls.ts";
import { checkRefusal, moduleUrl, Tool } from "./tool.ts";
import { eventsOf, linesOf, TracedTool } from "./traces/traced_tool.ts";

/** A whole exchange that is kept, as an echo has it. */
const whole = [
  "accepted",
  "begun",
  "read",
  "fin client",
  "request",
  "turn",
  "response",
  "write",
  "fin server",
  "closed",
  "exchange",
];

testWithSignals("cli: --trace tells each event of an exchange", async () => {
  await using traced = await TracedTool.listening();
  const client = await send(traced.addr, "hello");
  const { port } = client.localAddr as Deno.NetAddr;
  assertEquals(await readText(client), "hello");
  const lines = await traced.stop();
  assertEquals(eventsOf(lines, 1), whole);
  const [listening, accepted] = lines;
  assertEquals(listening?.event, "listening");
  assertEquals(listening?.server, `127.0.0.1:${traced.tool.port}`);
  assertEquals(listening?.readAhead, 0);
  assertEquals(accepted?.client, `127.0.0.1:${port}`);
  const said = (event: string) => lines.find((line) => line.event === event);
  assertEquals(said("read")?.bytes, 5);
  assertEquals(said("request")?.bytes, 5);
  assertEquals(said("request")?.end, "fin");
  assertEquals(said("write")?.bytes, 5);
  const { ms: _, ...record } = { ...said("exchange"), durationMs: 0 };
  assertEquals(
    record,
    {
      ...{ event: "exchange", id: 1, outcome: "ok", phase: "writing" },
      ...{ bytesIn: 5, bytesOut: 5, end: "fin", durationMs: 0, waitedMs: 0 },
    } as typeof record,
  );
  assertEquals(eventsOf(lines), [
    "listening",
    "draining",
    "refusing",
    "stopped",
  ]);
});

testWithSignals("cli: --trace gives times on one clock", async () => {
  const before = Date.now();
  await using traced = await TracedTool.listening();
  await ask(traced.addr, "hello");
  const lines = await traced.stop();
  const after = Date.now();
  assert(lines.every(({ ms }) => ms >= 0));
  const { startedAt = 0 } = lines.at(0) ?? {};
  assert(startedAt >= before - 1 && startedAt <= after + 1);
  assert(startedAt + (lines.at(-1)?.ms ?? NaN) <= after + 1);
});

testWithSignals(
  "cli: --trace tells of clients in line one by one",
  async () => {
    await using traced = await TracedTool.listening();
    const slow = await begin(traced.addr, "sl");
    await traced.has("read", 1);
    const behind = await send(traced.addr, "behind");
    await slow.write(new TextEncoder().encode("ow"));
    await slow.closeWrite();
    assertEquals(await readText(slow), "slow");
    assertEquals(await readText(behind), "behind");
    const lines = await traced.stop();
    const reads = lines.filter(({ id, event }) => id === 1 && event === "read");
    assertEquals(reads.reduce((sum, { bytes = 0 }) => sum + bytes, 0), 4);
    assertEquals(eventsOf(lines, 2), whole);
    const at = (id: number, event: string) =>
      lines.findIndex((line) => line.id === id && line.event === event);
    assert(
      at(1, "exchange") < at(2, "begun"),
      "the second waits for the first",
    );
  },
);

testWithSignals("cli: --trace tells of a reset", async () => {
  await using traced = await TracedTool.listening();
  const rude = await RudeClient.connect(traced.addr);
  await rude.write("half");
  await traced.has("read", 1);
  await rude.reset();
  const { outcome, phase, error } = await traced.has("exchange", 1);
  assertEquals([outcome, phase], ["reset", "reading"]);
  assertMatch(error ?? "", /reset/i);
  await traced.tool[Symbol.asyncDispose]();
  assertEquals(eventsOf(await traced.lines(), 1), [
    "accepted",
    "begun",
    "read",
    "reset",
    "closed",
    "exchange",
  ]);
});

/** Answers so much that a client that does not read keeps its turn. */
const holding = moduleUrl(`
  export default async (conn) => {
    const text = await conn.text();
    return text === "hold" ? new Uint8Array(32 * 1024 * 1024) : text;
  };
`);

testWithSignals("cli: --trace tells who waits with --read-ahead", async () => {
  await using traced = await TracedTool.listening([
    ...["--read-ahead", "8"],
    holding,
  ]);
  const holder = await send(traced.addr, "hold");
  await traced.has("write", 1);
  const sender = await begin(traced.addr, "ha");
  await traced.has("read", 2);
  const waiter = await send(traced.addr, "wait");
  await traced.has("waiting", 3);
  await readText(holder);
  assertEquals(await readText(waiter), "wait");
  await sender.closeWrite();
  assertEquals(await readText(sender), "ha");
  const lines = await traced.stop();
  assertEquals(lines.at(0)?.readAhead, 8);
  assertEquals(eventsOf(lines, 3), whole.toSpliced(5, 0, "waiting"));
  assertEquals(eventsOf(lines, 2), whole);
  const turns = lines.filter(({ event }) => event === "turn");
  assertEquals(turns.map(({ id }) => id), [1, 3, 2]);
});

testWithSignals("cli: --trace tells of lingering, and of its end", async () => {
  await using traced = await TracedTool.listening([
    moduleUrl(`export default { streaming: true, handler: () => "early" };`),
  ]);
  const client = await begin(traced.addr, "");
  await traced.has("lingering", 1);
  await writeAll(client, new Uint8Array(5));
  await traced.has("read", 1);
  await client.closeWrite();
  assertEquals(await readText(client), "early");
  await traced.has("closed", 1);
  assertEquals(eventsOf(await traced.stop(), 1), [
    ...["accepted", "begun", "turn", "response", "write", "fin server"],
    ...["exchange", "lingering", "read", "fin client", "closed"],
  ]);
});

testOnLinux(
  "cli: --trace tells of an inherited socket, its stop and a reset",
  async () => {
    await using folder = await temporaryFolder();
    using kept = KeptSocket.tcp();
    const { port } = kept.place as Deno.NetAddr;
    const fd = kept.lend();
    const path = `${folder.path}/trace`;
    await using tool = await Tool.listeningAsIs([
      ...["--fd", `${fd}`, "--idle-timeout", "500ms", "--refusal="],
      ...["--log-level", "debug", "--trace", path],
    ], Tool.allowing(folder.path));
    kept.giveBack(fd);
    const silent = await begin(kept.place, "half");
    await tool.line(/ accepted /);
    const waiting = await send(kept.place, "whole");
    // Until it is accepted it would stay with the socket, for the next process.
    await until(async () => await backlogOf(port) === 0);
    const cut = assertRejects(
      () => readText(silent),
      Deno.errors.ConnectionReset,
    );
    tool.kill("SIGTERM");
    await cut;
    assertEquals(await readText(waiting), "whole");
    await tool.ending();
    const lines = linesOf(await Deno.readTextFile(path));
    assertEquals(eventsOf(lines, 1), [
      ...["accepted", "begun", "read", "closed", "exchange"],
    ]);
    assertEquals(eventsOf(lines, 2), whole);
    const refusing = lines.filter(({ event }) => event === "refusing");
    assertEquals(refusing.length, 1);
  },
);

testWithSignals("cli: --trace tells of a drain", async () => {
  await using traced = await TracedTool.listening();
  const holder = await begin(traced.addr, "first");
  await traced.has("read", 1);
  const second = await send(traced.addr, "second");
  const third = await send(traced.addr, "third");
  traced.tool.kill("SIGTERM");
  await traced.has("refusing");
  await holder.closeWrite();
  for (const client of [holder, second, third]) await readText(client);
  assertEquals((await traced.tool.ending()).code, 0);
  const lines = await traced.lines();
  const position = (event: string, id?: number) =>
    lines.findIndex((line) => line.event === event && line.id === id);
  assert(position("draining") < position("refusing"));
  for (const id of [2, 3]) {
    assertEquals(eventsOf(lines, id), whole);
    assert(
      position("accepted", id) < position("refusing"),
      "all in line are accepted before the listener closes",
    );
    assert(position("begun", id) > position("exchange", id - 1));
  }
  // The connection to itself by which the server knows the end of the line.
  assertEquals(lines.filter(({ event }) => event === "accepted").length, 3);
  assertEquals(lines.at(-1)?.event, "stopped");
});

testWithSignals("cli: --trace tells of those who are cut in line", async () => {
  await using traced = await TracedTool.listening();
  const clients = [await begin(traced.addr, "first")];
  await traced.has("read", 1);
  clients.push(await send(traced.addr, "second"));
  traced.tool.kill("SIGTERM");
  await traced.has("refusing");
  await traced.tool.cut("SIGTERM");
  for (const client of clients) client.close();
  const lines = await traced.lines();
  assertEquals(
    lines.filter(({ event }) => event === "exchange")
      .map(({ id, outcome }) => [id, outcome]),
    [[1, "aborted"], [2, "aborted"]],
  );
  assertEquals(eventsOf(lines, 2), [
    ...["accepted", "fin server", "closed", "exchange"],
  ]);
});

const tellsLength = moduleUrl(
  "export default { until: () => 4, handler: (conn) => conn.bytes() };",
);

for (
  const [args, end] of [
    [["--until", "\\n"], "delimiter"],
    [["--until-idle", "50ms"], "idle"],
    [[tellsLength], "length"],
  ] as const
) {
  testWithSignals(`cli: --trace says what ends a request: ${end}`, async () => {
    await using traced = await TracedTool.listening([...args]);
    const request = end === "delimiter" ? "line\n" : "line";
    const client = await begin(traced.addr, request);
    assertEquals(await readText(client), request);
    const lines = await traced.stop();
    const ends = lines.filter(({ event }) =>
      event === "request" || event === "exchange"
    ).map((line) => line.end);
    assertEquals(ends, [end, end]);
  });
}

testWithSignals("cli: --trace tells of a handshake", async () => {
  await using traced = await TracedTool.listening(
    ["--tls-cert", certFile, "--tls-key", keyFile],
    { permissions: ["-N", `-R=${certFile},${keyFile}`] },
  );
  const client = await connectTls(traced.tool.port);
  assertEquals(new TextDecoder().decode(await exchangeOn(client, "x")), "x");
  assertEquals(
    eventsOf(await traced.stop(), 1),
    whole.toSpliced(2, 0, "handshake"),
  );
});

testOnLinux("cli: --trace goes on with another certificate", async () => {
  await using folder = await temporaryFolder();
  const cert = `${folder.path}/cert.pem`;
  await Deno.copyFile(certFile, cert);
  await using traced = await TracedTool.listening(
    [
      ...["--reuse-port", "--tls-cert", cert, "--tls-key", keyFile],
      ...["--count", "1"],
    ],
    { permissions: ["-N", `-R=${cert},${keyFile}`, "--unstable-net"] },
  );
  const { tool } = traced;
  await Deno.writeTextFile(cert, "\n", { append: true });
  tool.kill("SIGHUP");
  await tool.line(/ reloaded the certificate$/);
  const client = await connectTls(tool.port);
  assertEquals(new TextDecoder().decode(await exchangeOn(client, "x")), "x");
  assertEquals((await tool.ending()).code, 0);
  const lines = await traced.lines();
  assertEquals(eventsOf(lines, 1), whole.toSpliced(2, 0, "handshake"));
  assertEquals(eventsOf(lines), [
    ...["listening", "draining", "refusing", "stopped"],
  ]);
});

testWithSignals("cli: --trace tells of clients behind a proxy", async () => {
  await using traced = await TracedTool.listening([
    ...["--proxy-protocol", "--count", "2"],
  ]);
  for (const from of ["TCP4 192.0.2.1 192.0.2.2 4711 443", "UNKNOWN"]) {
    assertEquals(await ask(traced.addr, `PROXY ${from}\r\nhello`), "hello");
  }
  assertEquals((await traced.tool.ending()).code, 0);
  const lines = await traced.lines();
  for (const id of [1, 2]) assertEquals(eventsOf(lines, id), whole);
});

testUnix("cli: --trace tells of a Unix socket", async (folder) => {
  const path = `${folder}/test.sock`;
  await using traced = await TracedTool.listening(["--unix", path], {
    permissions: ["-N", `-R=${folder}`, `-W=${folder}`],
  });
  assertEquals(await ask(traced.addr, "hello"), "hello");
  const lines = await traced.stop();
  assertEquals(eventsOf(lines, 1), whole);
  assertEquals(lines.at(0)?.server, path);
});

testWithSignals(
  "cli: --trace has all of many exchanges in the end",
  async () => {
    await using traced = await TracedTool.listening([
      "--count",
      "100",
    ]);
    const requests = Array.from({ length: 100 }, (_, i) => `${i}`);
    const replies = await Promise.all(
      requests.map((request) => ask(traced.addr, request)),
    );
    assertEquals(replies, requests);
    assertEquals((await traced.tool.ending()).code, 0);
    const lines = await traced.lines();
    for (let id = 1; id <= 100; id++) assertEquals(eventsOf(lines, id), whole);
    assertEquals(lines.at(-1)?.event, "stopped");
  },
);

testWithSignals(
  "cli: --trace has the end if a handler ends the process",
  async () => {
    await using traced = await TracedTool.listening([
      moduleUrl(`export default () => Deno.exit(3);`),
    ]);
    const client = await send(traced.addr, "x");
    assertEquals((await traced.tool.ending()).code, 3);
    client.close();
    assertEquals(eventsOf(await traced.lines(), 1).at(-1), "turn");
  },
);

Deno.test("cli: --trace names the permission that it lacks", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/trace.jsonl`;
  const ending = await Tool.run(["--port", "0", "--trace", path]);
  checkRefusal(ending, 1, `Run deno with -W=${path} (--allow-write)`);
});

Deno.test("cli: --trace names a file that it cannot write", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/missing/trace.jsonl`;
  const ending = await Tool.run(
    ["--port", "0", "--trace", path],
    Tool.allowing(folder.path),
  );
  checkRefusal(ending, 1, `Cannot write ${path}: `);
});

testIf(
  Deno.build.os === "linux",
  "/dev/full",
  "cli: --trace on a full disk does not end the server",
  async () => {
    await using tool = await Tool.listening(["--trace", "/dev/full"], {
      permissions: ["-A"],
    });
    assertEquals(await ask(tool.addr, "hello"), "hello");
    await tool.line(/ ERROR cannot write \/dev\/full any more: .*space/);
    assertEquals(await ask(tool.addr, "hello"), "hello");
    tool.kill("SIGTERM");
    assertEquals((await tool.ending()).code, 0);
  },
);

testUnix(
  "cli: --trace to a FIFO that nobody reads holds up nothing",
  async (folder) => {
    const path = `${folder}/fifo`;
    assertEquals((await runProgram("mkfifo", [path])).code, 0);
    // It is open, so that the tool can open it.
    using _fifo = await Deno.open(path, { read: true, write: true });
    // Their lines are more than it takes.
    const count = 200;
    const args = ["--trace", path, "--count", `${count}`, "--read-ahead", "8"];
    await using tool = await Tool.listening(args, {
      permissions: ["-N", `-W=${folder}`],
    });
    const requests = Array.from({ length: count }, (_, i) => `${i}`);
    const asked = requests.map((request) => ask(tool.addr, request));
    assertEquals(await Promise.all(asked), requests);
    assertEquals((await tool.ending()).code, 0);
  },
);
