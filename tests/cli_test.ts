// The command-line tool, run as its users run it: as a process of its own.

import {
  assert,
  assertEquals,
  assertFalse,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { Buffer } from "node:buffer";
import config from "../deno.json" with { type: "json" };
import {
  ask,
  connect,
  encode,
  exchange,
  importMap,
  local,
  pattern,
  readText,
  RudeClient,
  send,
} from "./support.ts";

/** What is logged: one of these for each line. */
const listening = /^[-\d]+T[:.\d]+Z INFO listening on 127\.0\.0\.1:(\d+)$/;
const exchanged =
  /^[-\d]+T[:.\d]+Z (?:INFO|WARN) 127\.0\.0\.1:(\d+) (\d+) bytes in, (\d+) bytes out, [.\d]+ ms, ([-a-z]+)(?: while [a-z]+: .+)?$/;
const stopped = /^[-\d]+T[:.\d]+Z INFO stopped after (\d+) exchanges?$/;

/** How a run of the tool ended. */
interface Ending {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  lines: string[];
}

/** The tool as a child process, which does not outlive the test. */
class Tool implements AsyncDisposable {
  /** What it has written to standard error so far. */
  readonly lines: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Promise<string>;
  readonly #stderr: Promise<void>;
  readonly #guard: ReturnType<typeof setTimeout>;
  #port = 0;
  #ended = false;
  #news = Promise.withResolvers<void>();

  constructor(args: string[], { entry = "cli.ts", permissions = ["-N"] } = {}) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...permissions, ...importMap(), entry, ...args],
      cwd: `${import.meta.dirname}/..`,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdout = new Response(this.#child.stdout).text();
    this.#stderr = this.#collect();
    // Who waits in vain shall fail, not hang.
    this.#guard = setTimeout(() => this.kill("SIGKILL"), 120_000);
  }

  /** Starts it on a free port and waits until it listens. */
  static async listening(
    args: string[] = [],
    options?: { entry?: string; permissions?: string[] },
  ): Promise<Tool> {
    const tool = new Tool(
      ["--host", "127.0.0.1", "--port", "0", ...args],
      options,
    );
    try {
      const [, port] = await tool.line(listening);
      tool.#port = Number(port);
      return tool;
    } catch (error) {
      await tool[Symbol.asyncDispose]();
      throw error;
    }
  }

  get addr(): Deno.NetAddr {
    return { transport: "tcp", hostname: "127.0.0.1", port: this.#port };
  }

  /** Waits for a line that matches. */
  async line(expected: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      for (const line of this.lines) {
        const match = expected.exec(line);
        if (match) return match;
      }
      if (this.#ended) {
        throw new Error(`No line matches ${expected}: ${this.lines}`);
      }
      await this.#news.promise;
    }
  }

  /** Waits until nobody listens any more: all that came before is accepted. */
  async refusesConnections(): Promise<void> {
    for (;;) {
      try {
        (await connect(this.addr)).close();
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused) return;
      }
      // Too many of these would fill the backlog, and then wait themselves.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }

  async ending(): Promise<Ending> {
    const { code, signal } = await this.#child.status;
    await this.#stderr;
    clearTimeout(this.#guard);
    return { code, signal, stdout: await this.#stdout, lines: this.lines };
  }

  /** Stops it as one does, and checks that it says what it should, no more. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Exchanged[]> {
    this.kill(signal);
    return checkEnding(await this.ending(), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.ending();
  }

  async #collect(): Promise<void> {
    let rest = "";
    const text = this.#child.stderr.pipeThrough(new TextDecoderStream());
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
      this.#tell();
    }
    if (rest !== "") this.lines.push(rest);
    this.#ended = true;
    this.#tell();
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** What the log says of one exchange. */
interface Exchanged {
  port: number;
  bytesIn: number;
  bytesOut: number;
  outcome: string;
}

/** Runs the tool to its end. */
async function run(
  args: string[],
  options?: { entry?: string; permissions?: string[] },
): Promise<Ending> {
  await using tool = new Tool(args, options);
  return await tool.ending();
}

/** Checks that a run said that it listened and stopped, and that between these
 * there is a line for each exchange and no other. */
function checkEnding(ending: Ending, code: number): Exchanged[] {
  const { lines, ...others } = ending;
  const log = lines.join("\n");
  assertEquals(others, { code, signal: null, stdout: "" }, log);
  assertMatch(lines.at(0) ?? "", listening);
  const exchanges = lines.slice(1, -1).map((line) => {
    const [matched, port, bytesIn, bytesOut, outcome = ""] =
      exchanged.exec(line) ?? [];
    assert(matched, `Not about an exchange: ${line}`);
    return {
      port: Number(port),
      bytesIn: Number(bytesIn),
      bytesOut: Number(bytesOut),
      outcome,
    };
  });
  const [, count] = stopped.exec(lines.at(-1) ?? "") ?? [];
  assertEquals(Number(count), exchanges.length, log);
  return exchanges;
}

/** Checks that a run that could not begin gave its reason in one line. */
function checkRefusal(ending: Ending, code: number, reason: string): void {
  const { lines, ...others } = ending;
  const log = lines.join("\n");
  assertEquals(others, { code, signal: null, stdout: "" }, log);
  assertEquals(lines.length, 1, log);
  assertMatch(log, /^halfclose: \S/);
  assertStringIncludes(log, reason);
}

/** Checks for equality without a report, which is of no use for so many bytes. */
function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert(
    Buffer.compare(actual, expected) === 0,
    `${expected.length} bytes were expected, ${actual.length} others came`,
  );
}

/** A client that has sent something and, as it does not half-close, holds the
 * server up. */
async function holdUp(tool: Tool, request: string): Promise<Deno.Conn> {
  const conn = await connect(tool.addr);
  await conn.write(encode(request));
  return conn;
}

function portOf(conn: Deno.Conn): number {
  return (conn.localAddr as Deno.NetAddr).port;
}

function outcomes(exchanges: Exchanged[]): string[] {
  return exchanges.map(({ outcome }) => outcome);
}

/** Defines a test that sends signals. On Windows Deno just ends the process. */
function testWithSignals(name: string, fn: () => Promise<void>): void {
  const ignore = Deno.build.os === "windows";
  Deno.test({ name: ignore ? `${name} (needs signals)` : name, ignore, fn });
}

for (const entry of ["cli.ts", "mod.ts"]) {
  testWithSignals(
    `cli: ${entry} sends requests of all sizes back`,
    async () => {
      const sizes = [0, 1, 65_535, 65_536, 65_537, 5_000_000];
      await using tool = await Tool.listening([], { entry });
      for (const size of sizes) {
        const request = pattern(size);
        assertSame(await exchange(tool.addr, request), request);
      }
      assertEquals(
        (await tool.stop()).map(({ port: _, ...rest }) => rest),
        sizes.map((size) => ({
          bytesIn: size,
          bytesOut: size,
          outcome: "ok",
        })),
      );
    },
  );
}

Deno.test("cli: names the permission that lacks", async () => {
  const ending = await run(["--host", "127.0.0.1", "--port", "0"], {
    permissions: [],
  });
  checkRefusal(ending, 1, "--allow-net");
});

for (const flag of ["--help", "-h"]) {
  Deno.test(`cli: ${flag} explains all flags and their defaults`, async () => {
    const { code, stdout, lines } = await run([flag]);
    assertEquals([code, lines], [0, []]);
    for (
      const part of [
        ...["--host", "-p, --port", "--max-request-bytes", "--deadline"],
        ...["--idle-timeout", "-h, --help", "-V, --version"],
        ...["[0.0.0.0]", "[8080]", "[16MiB]", "[60s]", "[15s]"],
      ]
    ) assertStringIncludes(stdout, part);
  });
}

for (const flag of ["--version", "-V"]) {
  Deno.test(`cli: ${flag} prints the version`, async () => {
    const { code, stdout, lines } = await run([flag]);
    assertEquals([code, lines], [0, []]);
    assertEquals(stdout, `halfclose ${config.version}\n`);
  });
}

/** Command lines that cannot be understood, and what the complaint names. */
const misuses: [args: string[], named: string][] = [
  [["--port"], "--port"],
  [["--port="], "--port"],
  [["--port", "abc"], "--port"],
  [["--port", "65536"], "--port"],
  [["--port", "0x10"], "--port"],
  [["--port", "1e3"], "--port"],
  [["--port=-1"], "--port"],
  [["--port=8080 "], "--port"],
  [["--port", "0", "--port", "x"], "--port"],
  [["-p"], "--port"],
  [["-p", "x"], "--port"],
  [["--host"], "--host"],
  [["--host="], "--host"],
  [["--host", "--port", "0"], "--host"],
  [["--max-request-bytes"], "--max-request-bytes"],
  [["--max-request-bytes", "many"], "--max-request-bytes"],
  [["--max-request-bytes", "10XB"], "--max-request-bytes"],
  [["--max-request-bytes", "1 KiB"], "--max-request-bytes"],
  [["--max-request-bytes", "99999999GiB"], "--max-request-bytes"],
  [["--max-request-bytes=-1"], "--max-request-bytes"],
  [["--deadline"], "--deadline"],
  [["--deadline", "soon"], "--deadline"],
  [["--deadline", "0"], "--deadline"],
  [["--deadline", "10 s"], "--deadline"],
  [["--deadline=-1s"], "--deadline"],
  [["--idle-timeout", "0ms"], "--idle-timeout"],
  [["--idle-timeout", "Infinity"], "--idle-timeout"],
  [["--idle-timeout", "10KiB"], "--idle-timeout"],
  [["--prot", "80"], "--prot"],
  [["--prot=80"], "--prot"],
  [["--no-help"], "--no-help"],
  [["--help", "--quiet"], "--quiet"],
  [["-x"], "-x"],
  [["8080"], "8080"],
  [["--port", "0", "start"], "start"],
  [["--port", "0", "--", "start"], "start"],
  [["--port", ""], "--port"],
  [["--port", "-1"], "--port"],
  [["--max-request-bytes", "1.5"], "--max-request-bytes"],
];

Deno.test("cli: complains in one line of what it cannot understand", async (t) => {
  for (const [args, named] of misuses) {
    await t.step(args.join(" "), async () => {
      const ending = await run(args);
      checkRefusal(ending, 2, named);
    });
  }
});

Deno.test("cli: says that a port is in use", async () => {
  using other = Deno.listen(local);
  const { port } = other.addr;
  const ending = await run(["--host", "127.0.0.1", "--port", `${port}`]);
  checkRefusal(ending, 1, `127.0.0.1:${port}`);
  assertStringIncludes(ending.lines.join(), "in use");
});

Deno.test("cli: says that an address is none of this machine", async () => {
  // Reserved for documentation (RFC 5737).
  checkRefusal(
    await run(["--host", "192.0.2.1", "--port", "0"]),
    1,
    "192.0.2.1:0",
  );
});

const sizes: [spelling: string, bytes: number][] = [
  ["1000", 1000],
  ["64KiB", 65_536],
  ["16MiB", 16_777_216],
];

for (const [spelling, bytes] of sizes) {
  Deno.test(`cli: --max-request-bytes ${spelling} lets ${bytes} bytes in, no more`, async () => {
    await using tool = await Tool.listening(["--max-request-bytes", spelling]);
    const request = pattern(bytes + 1);
    const most = request.subarray(0, bytes);
    assertSame(await exchange(tool.addr, most), most);
    const reply = await exchange(tool.addr, request);
    assertMatch(
      new TextDecoder().decode(reply),
      new RegExp(`^halfclose: .* ${bytes} bytes .*\n$`),
    );
  });
}

Deno.test("cli: --max-request-bytes none lets more in than the default", async () => {
  await using tool = await Tool.listening(["--max-request-bytes", "none"]);
  const request = pattern(16_777_217);
  assertSame(await exchange(tool.addr, request), request);
});

const times: [spelling: string, milliseconds: number][] = [
  ["700ms", 700],
  ["1s", 1000],
  ["1.5s", 1500],
  ["0.01m", 600],
  ["1", 1000],
];

for (const [spelling, milliseconds] of times) {
  Deno.test(`cli: --idle-timeout ${spelling} is ${milliseconds} ms`, async () => {
    await using tool = await Tool.listening(["--idle-timeout", spelling]);
    const reply = await readText(await connect(tool.addr));
    assertMatch(reply, new RegExp(`^halfclose: .* ${milliseconds} ms.*\n$`));
  });
}

Deno.test("cli: takes times that nobody wants to wait for", async (t) => {
  for (const flag of ["--deadline", "--idle-timeout"]) {
    for (const time of ["10s", "1m", "1h", "none"]) {
      await t.step(`${flag} ${time}`, async () => {
        await using tool = await Tool.listening([flag, time]);
        assertEquals(await ask(tool.addr, "hello"), "hello");
      });
    }
  }
});

/** Clients that are turned away, each for a limit, and what they are told. */
const refusals = [
  {
    does: "sends too much",
    args: ["--max-request-bytes", "1KiB"],
    told: "1024 bytes",
    outcome: "too-large",
  },
  {
    does: "falls silent",
    args: ["--idle-timeout", "1s", "--deadline", "none"],
    told: "1000 ms",
    outcome: "idle",
  },
  {
    does: "takes too long",
    args: ["--idle-timeout", "none", "--deadline", "1s"],
    told: "1000 ms",
    outcome: "deadline",
  },
];

for (const { does, args, told, outcome } of refusals) {
  testWithSignals(
    `cli: tells a client that ${does}, and logs "${outcome}"`,
    async () => {
      await using tool = await Tool.listening(args);
      const bad = await holdUp(tool, "secret".repeat(1000));
      const port = portOf(bad);
      const reply = await readText(bad);
      assertMatch(reply, /^halfclose: .+\n$/);
      assertStringIncludes(reply, told);
      assertFalse(reply.includes("secret"), reply);

      assertEquals(await ask(tool.addr, "hello"), "hello");
      const [first, ...others] = await tool.stop();
      assertEquals(
        [first?.port, first?.bytesOut, first?.outcome],
        [port, 0, outcome],
      );
      assertEquals(outcomes(others), ["ok"]);
    },
  );
}

testWithSignals("cli: logs a reset in the middle of a request", async () => {
  await using tool = await Tool.listening(["--max-request-bytes", "none"]);
  const rude = await RudeClient.connect(tool.addr);
  // More than the kernel buffers: once this is written, the server has read.
  await rude.write(pattern(67_108_864));
  await rude.reset();
  assertEquals(await ask(tool.addr, "hello"), "hello");
  assertEquals(outcomes(await tool.stop()), ["reset", "ok"]);
});

testWithSignals(
  "cli: outlives 200 clients that reset in the backlog",
  async () => {
    await using tool = await Tool.listening();
    const first = await holdUp(tool, "first");
    for (let i = 0; i < 200; i++) {
      const rude = await RudeClient.connect(tool.addr);
      await rude.reset();
    }
    await first.closeWrite();
    assertEquals(await readText(first), "first");
    assertEquals(await ask(tool.addr, "last"), "last");
    const all = outcomes(await tool.stop());
    assertEquals([all.at(0), all.at(-1)], ["ok", "ok"]);
    // Most are gone before there is an exchange that could be logged.
    for (const outcome of all.slice(1, -1)) assertEquals(outcome, "reset");
  },
);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  testWithSignals(
    `cli: ${signal} ends it when there is nothing to do`,
    async () => {
      await using tool = await Tool.listening();
      assertEquals(await tool.stop(signal), []);
    },
  );
}

testWithSignals(
  "cli: SIGTERM leaves nobody in the backlog without an answer",
  async () => {
    await using tool = await Tool.listening();
    const slow = await holdUp(tool, "slow");
    const requests = Array.from({ length: 50 }, (_, i) => pattern(1000 + i));
    const waiting = await Promise.all(
      requests.map((request) => send(tool.addr, request)),
    );
    const ports = [slow, ...waiting].map(portOf);

    tool.kill("SIGTERM");
    await tool.refusesConnections();
    await slow.closeWrite();

    assertEquals(await readText(slow), "slow");
    for (const [i, conn] of waiting.entries()) {
      const reply = await new Response(conn.readable).bytes();
      assertSame(reply, requests[i] ?? new Uint8Array());
    }
    const exchanges = checkEnding(await tool.ending(), 0)
      .filter(({ port }) => ports.includes(port));
    assertEquals(exchanges.length, ports.length);
    assertEquals([...new Set(outcomes(exchanges))], ["ok"]);
  },
);

for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
  testWithSignals(`cli: a second ${signal} cuts those who wait`, async () => {
    const limits = ["--deadline", "none", "--idle-timeout", "none"];
    await using tool = await Tool.listening(limits);
    const slow = await holdUp(tool, "slow");
    const waiting = [];
    for (let i = 0; i < 5; i++) waiting.push(await send(tool.addr, "wait"));
    const ports = [slow, ...waiting].map(portOf);

    tool.kill(signal);
    await tool.refusesConnections();
    tool.kill(signal);
    // Signals that come at once may count as one: `deno task` passes a Ctrl-C
    // on to the tool, which the terminal has sent it as well.
    const insist = setInterval(() => tool.kill(signal), 1000);
    const ending = await tool.ending();
    clearInterval(insist);

    for (const conn of [slow, ...waiting]) {
      assertEquals(await readText(conn).catch(() => ""), "");
    }
    const exchanges = checkEnding(ending, code)
      .filter(({ port }) => ports.includes(port));
    assertEquals(exchanges.length, ports.length);
    assertEquals([...new Set(outcomes(exchanges))], ["aborted"]);
  });
}

testWithSignals("cli: takes a Ctrl-C that arrives twice for one", async () => {
  await using tool = await Tool.listening();
  const slow = await holdUp(tool, "slow");
  for (let i = 0; i < 5; i++) tool.kill("SIGINT");
  await tool.refusesConnections();
  await slow.closeWrite();
  assertEquals(await readText(slow), "slow");
  checkEnding(await tool.ending(), 0);
});
