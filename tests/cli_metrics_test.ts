// What the command-line tool tells monitoring: /metrics, /healthz, the lame-duck time.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { backlogOf } from "../cli/monitor/backlog.ts";
import { processMetrics } from "../cli/monitor/process_metrics.ts";
import config from "../deno.json" with { type: "json" };
import { Exposition } from "./exposition.ts";
import { printed, root, runProgram } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  begin,
  connect,
  exchangeOn,
  freePort,
  local,
  pause,
  readText,
  send,
} from "./sockets.ts";
import { testIf, testWithSignals, until } from "./support.ts";
import { checkRefusal, moduleUrl, Tool, type ToolOptions } from "./tool.ts";

const metricsLine = /metrics on (http:\/\/127\.0\.0\.1:\d+)\/metrics/;

/** Long enough that only a signal can end it within a test. */
const LONG = ["--lame-duck", "10m"];

/** The tool with metrics, and where it has them. */
async function monitored(args: string[] = [], options?: ToolOptions) {
  const metrics = ["--metrics", "127.0.0.1:0"];
  const tool = await Tool.listening([...metrics, ...args], options);
  const [, origin = ""] = await tool.line(metricsLine);
  return {
    tool,
    get: (path: string) => get(origin + path),
    health: () => get(`${origin}/healthz`),
    origin,
    /** The numbers as they are now. */
    async numbers() {
      const response = await fetch(`${origin}/metrics`);
      assertEquals(
        response.headers.get("content-type"),
        "text/plain; version=0.0.4; charset=utf-8",
      );
      return new Exposition(await response.text());
    },
    [Symbol.asyncDispose]: () => tool[Symbol.asyncDispose](),
  };
}

async function get(url: string, init?: RequestInit): Promise<string> {
  const response = await fetch(url, init);
  return `${response.status} ${await response.text()}`;
}

Deno.test("cli: --metrics answers /healthz without taking a turn", async () => {
  await using server = await monitored();
  // Its turn has begun, and it will not end by itself.
  const slow = await begin(server.tool.addr, "slow");
  assertEquals(await server.health(), "200 ok\n");
  assertEquals(await get(`${server.origin}/healthz?x`), "200 ok\n");
  await slow.closeWrite();
  assertEquals(await readText(slow), "slow");
});

Deno.test("cli: --metrics answers nothing else", async () => {
  await using server = await monitored();
  assertEquals(await server.get("/"), "404 not found\n");
  assertEquals(await server.get("/healthz/"), "404 not found\n");
  const url = `${server.origin}/healthz`;
  const post = await fetch(url, { method: "POST", body: "x" });
  assertEquals(post.headers.get("allow"), "GET, HEAD");
  assertEquals([post.status, await post.text()], [405, "method not allowed\n"]);
  assertEquals(await get(url, { method: "HEAD" }), "200 ");
});

Deno.test("cli: --metrics says at once that its port is in use", async () => {
  using other = Deno.listen(local);
  const address = `127.0.0.1:${other.addr.port}`;
  const ending = await Tool.run(["--port", "0", "--metrics", address]);
  checkRefusal(ending, 1, `Cannot serve --metrics on ${address}: `);
  assertStringIncludes(ending.lines.join(), "in use");
});

for (const place of [":8080", "127.0.0.1:8080"]) {
  Deno.test(`cli: --metrics ${place} is the server's own place`, async () => {
    const ending = await Tool.run(["--metrics", place]);
    const reason = "--metrics cannot use port 8080: the server itself listens";
    checkRefusal(ending, 2, reason);
  });
}

testIf(
  Deno.build.os === "linux",
  "all of 127.0.0.0/8",
  "cli: --metrics may have the server's port at another address",
  async () => {
    const port = `${freePort()}`;
    const place = ["--host", "127.0.0.2", "--port", port];
    await using tool = new Tool([...place, "--metrics", `127.0.0.1:${port}`]);
    await tool.line(metricsLine);
    tool.kill("SIGTERM");
    assertEquals((await tool.ending()).code, 0);
  },
);

Deno.test("cli: --metrics is silent if the server cannot listen", async () => {
  using other = Deno.listen(local);
  const place = ["--host", "127.0.0.1", "--port", `${other.addr.port}`];
  const ending = await Tool.run([...place, "--metrics", "127.0.0.1:0"]);
  checkRefusal(ending, 1, `Cannot listen on 127.0.0.1:${other.addr.port}: `);
});

Deno.test("cli: --metrics says which permission it lacks", async () => {
  const permissions = ["-N=127.0.0.1:0"];
  const place = ["--host", "127.0.0.1", "--port", "0"];
  const ending = await Tool.run([...place, "--metrics", ":9"], { permissions });
  checkRefusal(ending, 1, "Cannot serve --metrics on 0.0.0.0:9 without");
});

for (const value of ["9", "localhost", "localhost:x", ":65536", "a:1:2"]) {
  Deno.test(`cli: --metrics ${value} is no place`, async () => {
    const reason =
      `--metrics must be HOST:PORT, [IPV6]:PORT or :PORT, received "${value}"`;
    checkRefusal(await Tool.run(["--metrics", value]), 2, reason);
  });
}

Deno.test("cli: --lame-duck needs --metrics", async () => {
  const ending = await Tool.run(["--lame-duck", "5s"]);
  checkRefusal(ending, 2, "--lame-duck needs --metrics, too: ");
});

Deno.test("cli: --lame-duck must end", async () => {
  const args = ["--metrics", ":0", "--lame-duck", "none"];
  const reason = "--lame-duck must be a time such as 0, 700ms, 10s or 1m, " +
    'received "none"';
  checkRefusal(await Tool.run(args), 2, reason);
});

Deno.test("cli: /metrics counts exchanges as the log does", async () => {
  const limits = ["--max-request-bytes", "5", "--idle-timeout", "300ms"];
  await using server = await monitored(limits);
  const { tool } = server;
  assertEquals(await ask(tool.addr, "hello"), "hello");
  await ask(tool.addr, "too much");
  const silent = await begin(tool.addr, "idle");
  await tool.line(/, idle while/);
  silent.close();
  const rude = await RudeClient.connect(tool.addr);
  await rude.write("rude");
  await until(async () =>
    (await server.numbers()).value("halfclose_exchanges_in_hand")
  );
  await rude.reset();
  await tool.line(/, reset while/);

  const all = await server.numbers();
  assertEquals(all.by("halfclose_exchanges_total"), {
    ok: 1,
    "too-large": 1,
    idle: 1,
    reset: 1,
  });
  const total = (pattern: RegExp) =>
    tool.lines.map((line) => Number(pattern.exec(line)?.[1] ?? 0))
      .reduce((sum, bytes) => sum + bytes);
  assertEquals(
    [
      all.value("halfclose_request_bytes_total"),
      all.value("halfclose_response_bytes_total"),
    ],
    [total(/ (\d+) bytes in/), total(/ (\d+) bytes out/)],
  );
  assertEquals(all.value("halfclose_exchange_duration_seconds_count"), 4);
  // The others were not handled.
  assertEquals(all.value("halfclose_exchange_handling_seconds_count"), 1);
  assertEquals(all.value("halfclose_exchanges_in_hand"), 0);
  assertEquals(all.value("halfclose_handling_seconds"), 0);
});

Deno.test("cli: /metrics tells of the process, without more permissions", async () => {
  await using server = await monitored();
  const all = await server.numbers();
  const { version } = config;
  const { deno } = Deno.version;
  assertEquals(all.value("halfclose_build_info", { version, deno }), 1);
  assert(all.value("process_resident_memory_bytes") > 1e6);
  assert(all.value("process_cpu_seconds_total") > 0);
  const started = all.value("process_start_time_seconds") * 1000;
  assert(Math.abs(Date.now() - started) < 120_000);
  assert(!all.names.includes("halfclose_backlog_connections"));
});

Deno.test("cli: /metrics tells for how long an exchange has been handled", async () => {
  const handler = moduleUrl("export default () => new Promise(() => {})");
  await using server = await monitored([handler]);
  using _client = await send(server.tool.addr, "x");
  const seconds = await until(async () =>
    (await server.numbers()).value("halfclose_handling_seconds")
  );
  const all = await server.numbers();
  assert(all.value("halfclose_handling_seconds") > seconds);
  assertEquals(all.value("halfclose_exchanges_in_hand"), 1);
});

testIf(
  Deno.build.os === "linux",
  "Linux",
  "cli: /metrics tells the length of the backlog, with all permissions",
  async () => {
    await using server = await monitored([], { permissions: ["-A"] });
    const { addr } = server.tool;
    const number = async (name: string) =>
      (await server.numbers()).value(`halfclose_${name}`);
    assertEquals(await number("backlog_connections"), 0);
    using _slow = await begin(addr, "slow");
    // Nobody else is taken from the backlog meanwhile.
    await until(() => number("exchanges_in_hand"));
    using _one = await send(addr, "one");
    using _other = await send(addr, "other");
    assertEquals(await number("backlog_connections"), 2);
  },
);

testIf(
  Deno.build.os === "linux",
  "Linux",
  "deploy/grafana.json shows all that /metrics tells, and nothing else",
  async () => {
    await using server = await monitored([], { permissions: ["-A"] });
    const dashboard = await Deno.readTextFile(`${root}/deploy/grafana.json`);
    const queries: string[] = [];
    JSON.parse(dashboard, (key, value) => {
      if (key === "expr" || key === "definition") queries.push(value);
      return value;
    });
    const shown = queries.flatMap((query) =>
      Array.from(
        query.matchAll(/\b(?:halfclose|process)_\w+/g),
        ([name]) => name.replace(/(?<=_seconds)_(?:bucket|sum|count)$/, ""),
      )
    );
    const { names } = await server.numbers();
    assertEquals([...new Set(shown)].sort(), names.sort());
  },
);

testIf(
  await printed(["prlimit", "--version"]) !== undefined,
  "prlimit",
  "cli: --metrics goes on after a shortage of descriptors",
  async () => {
    await using server = await monitored();
    const { tool } = server;
    const allow = async (descriptors: number) => {
      const args = ["--pid", `${tool.pid}`, `--nofile=${descriptors}:`];
      assertEquals((await runProgram("prlimit", args)).code, 0);
    };
    await allow(0);
    // Nobody can be accepted: the connection may be reset before we know of it.
    await connect({ port: Number(new URL(server.origin).port) })
      .then((conn) => conn.close(), () => {});
    await tool.line(/ ERROR cannot answer requests to --metrics for now: /);
    await allow(1024);
    assertEquals(await ask(tool.addr, "hello"), "hello");
    assertEquals(
      await until(() => server.health().catch(() => undefined)),
      "200 ok\n",
    );
    tool.kill("SIGTERM");
    assertEquals((await tool.ending()).code, 0);
  },
);

testIf(
  await printed(["prlimit", "--version"]) !== undefined,
  "prlimit",
  "cli: --metrics leaves the server its descriptors, and ends requests that are never complete",
  async () => {
    await using server = await monitored();
    const { tool } = server;
    const args = ["--pid", `${tool.pid}`, "--nofile=64:"];
    assertEquals((await runProgram("prlimit", args)).code, 0);
    const port = Number(new URL(server.origin).port);
    const half = await Promise.all(
      Array.from({ length: 77 }, () => begin({ port }, "GET /healthz HT")),
    );
    assertEquals(await ask(tool.addr, "hello"), "hello");
    // Its turn comes behind all of them that are in front.
    for (const client of half.slice(8)) client.close();
    assertEquals(await server.health(), "200 ok\n");
    assertEquals(
      await Promise.all(half.slice(0, 8).map(readText)),
      Array(8).fill(""),
    );
    assert(!tool.lines.some((line) => line.includes("ERROR")));
  },
);

testIf(
  await printed(["prlimit", "--version"]) !== undefined,
  "prlimit",
  "cli: accepts that fail on and on are logged once, and once more when they fail again",
  async () => {
    const handler = moduleUrl(`let failures = 0;
      export default {
        onAcceptError() { if (++failures % 3 === 0) console.error("three"); },
        handler: (conn) => conn.bytes(),
      }`);
    await using tool = await Tool.listening([handler]);
    const allow = async (descriptors: number) => {
      const args = ["--pid", `${tool.pid}`, `--nofile=${descriptors}:`];
      assertEquals((await runProgram("prlimit", args)).code, 0);
    };
    const failing = () =>
      tool.lines.filter((line) => line.includes(" ERROR cannot accept for now"))
        .length;
    for (const times of [1, 2]) {
      await allow(0);
      const from = tool.lines.length;
      const client = ask(tool.addr, "hello");
      await tool.line(/^three$/, from);
      await allow(1024);
      assertEquals(await client, "hello");
      assertEquals(failing(), times);
    }
  },
);

testWithSignals("cli: /metrics counts no more than --count", async () => {
  const handler = moduleUrl("export default () => new Promise(() => {})");
  const args = ["--count", "1", "--read-ahead", "2", handler];
  await using server = await monitored(args);
  const { addr } = server.tool;
  using _first = await send(addr, "x");
  // Refused while the first one is handled.
  assertEquals(await ask(addr, "x").catch(() => ""), "");
  const all = await server.numbers();
  assertEquals(all.by("halfclose_exchanges_total"), {});
  assertEquals(await server.health(), "503 stopping\n");
});

testWithSignals("cli: --lame-duck says 503 and goes on serving", async () => {
  await using server = await monitored(LONG);
  const { tool } = server;
  tool.kill("SIGTERM");
  await tool.line(/INFO stopping in 600000 ms: \/healthz says 503$/);
  assertEquals(await server.health(), "503 stopping\n");
  assertEquals(await ask(tool.addr, "late"), "late");
});

for (
  const [name, args] of [
    ["--lame-duck ends when its time is over", ["--lame-duck", "1ms"]],
    ["/healthz says 503 while the backlog is served", []],
  ] as const
) {
  testWithSignals(`cli: ${name}`, async () => {
    await using server = await monitored([...args]);
    const { tool } = server;
    const slow = await begin(tool.addr, "slow");
    tool.kill("SIGTERM");
    await tool.refusesConnections();
    assertEquals(await server.health(), "503 stopping\n");
    await slow.closeWrite();
    assertEquals(await readText(slow), "slow");
    assertEquals((await tool.ending()).code, 0);
  });
}

testWithSignals(
  "cli: --lame-duck ends with a second signal, and a third one cuts",
  async () => {
    const endless = ["--deadline", "none", "--idle-timeout", "none"];
    await using server = await monitored([...LONG, ...endless]);
    const { tool } = server;
    const slow = await begin(tool.addr, "slow");
    tool.kill("SIGTERM");
    await tool.line(/stopping in/);
    const late = await connect(tool.addr);
    // Sooner, it would count as the same.
    await pause(600);
    tool.kill("SIGTERM");
    await tool.refusesConnections();
    await slow.closeWrite();
    assertEquals(await readText(slow), "slow");
    await pause(600);
    tool.kill("SIGTERM");
    assertEquals((await tool.ending()).code, 143);
    assertEquals(await readText(late).catch(() => ""), "");
  },
);

testWithSignals("cli: --lame-duck is not for Ctrl-C", async () => {
  await using server = await monitored(LONG);
  server.tool.kill("SIGINT");
  const { code, lines } = await server.tool.ending();
  assertEquals([code, lines.length], [0, 3], lines.join("\n"));
});

testWithSignals("cli: --lame-duck ends with --count", async () => {
  await using server = await monitored([...LONG, "--count", "1"]);
  const { tool } = server;
  tool.kill("SIGTERM");
  await tool.line(/stopping in/);
  assertEquals(await ask(tool.addr, "last"), "last");
  assertEquals((await tool.ending()).code, 0);
});

Deno.test("cli: /healthz says 503 when a handler stops its server", async () => {
  const handler = moduleUrl(`export default async (conn, server) => {
    server.shutdown();
    return (await conn.text()) + server.addr.port;
  }`);
  await using server = await monitored([handler]);
  const { tool } = server;
  const client = await connect(tool.addr);
  // The handler is called when the request is complete, and `slow` is behind it.
  const slow = await begin(tool.addr, "slow");
  assertEquals(
    await exchangeOn(client, "hi ").then(String),
    [
      ...new TextEncoder().encode(`hi ${tool.port}`),
    ].join(),
  );
  assertEquals(await server.health(), "503 stopping\n");
  await slow.closeWrite();
  assertEquals(await readText(slow), `slow${tool.port}`);
  assertEquals((await tool.ending()).code, 0);
});

testWithSignals(
  "cli: --metrics refuses a malformed Host, and says nothing of it",
  async () => {
    await using server = await monitored();
    for (const host of ["[", "x:99999"]) {
      const request = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n` +
        "Connection: close\r\n\r\n";
      const reply = await ask(
        { port: Number(new URL(server.origin).port) },
        request,
      );
      assertMatch(reply, /^HTTP\/1\.1 400 /);
    }
    assertEquals(server.tool.lines.length, 2, server.tool.lines.join("\n"));
    assertEquals(await server.health(), "200 ok\n");
  },
);

testIf(
  Deno.build.os === "linux",
  "Linux",
  "backlogOf() counts the connections that wait",
  async () => {
    using listener = Deno.listen(local);
    const { port } = listener.addr;
    assertEquals(await backlogOf(port), 0);
    using _first = await connect(listener.addr);
    using _second = await connect(listener.addr);
    assertEquals(await backlogOf(port), 2);
    (await listener.accept()).close();
    assertEquals(await backlogOf(port), 1);
    assertEquals(await backlogOf(freePort()), undefined);
  },
);

Deno.test("processMetrics() tells of this process", () => {
  const exposed = new Exposition(processMetrics());
  assertEquals(exposed.names, [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
  ]);
  for (const name of exposed.names) assert(exposed.value(name) > 0, name);
});
