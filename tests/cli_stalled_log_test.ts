// A log that nobody reads: the tool serves on, and stops when it is told to.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { LineQueue } from "../cli/log/line_queue.ts";
import { lines, runProgram, spawn } from "./programs.ts";
import { ask, begin } from "./sockets.ts";
import { serveLocally, testUnix, testWithSignals } from "./support.ts";
import { failed, moduleUrl, Tool } from "./tool.ts";

/** Each exchange fails, with a line in the log that is as long as one may be. */
const talkative = moduleUrl(`export default (conn) => {
  throw new Error(conn.id + " ".padEnd(1e4, "x"));
};`);
/** So many exchanges fill the pipe of the log. */
const MANY = 20;
/** So many fill what may wait for the pipe, too. */
const TOO_MANY = 1200;

/** The tool, whose log is read to where it listens, and no further until told. */
class UnreadTool implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #log: AsyncGenerator<string, void, undefined>;
  #port = 0;
  #metrics = "";

  private constructor(args: string[], permissions: string[]) {
    const all = ["--host", "127.0.0.1", "--port", "0", ...args];
    const [deno = "", ...rest] = Tool.command(all, { permissions });
    this.#child = spawn(deno, rest, { stdout: "null" });
    this.#log = lines(this.#child.stderr);
  }

  static async start(
    args: string[],
    permissions = ["-N"],
  ): Promise<UnreadTool> {
    const tool = new UnreadTool(
      ["--metrics", "127.0.0.1:0", ...args],
      permissions,
    );
    while (tool.#port === 0) {
      const line = await tool.next();
      const [, port] = /listening on 127\.0\.0\.1:(\d+)/.exec(line) ?? [];
      const [, url] = /metrics on (http:[^"]+)\/metrics/.exec(line) ?? [];
      tool.#metrics = url ?? tool.#metrics;
      tool.#port = Number(port ?? 0);
    }
    return tool;
  }

  get place() {
    return { port: this.#port };
  }

  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  async next(): Promise<string> {
    const { value } = await this.#log.next();
    assert(typeof value === "string", "the log has ended");
    return value;
  }

  /** Reads all that is still logged. */
  async rest(): Promise<string[]> {
    return await Array.fromAsync(this.#log);
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Fills the pipe, and what may wait for it. */
  async flood(exchanges: number): Promise<void> {
    for (let i = 0; i < exchanges; i++) await ask(this.place, "x");
  }

  async health(): Promise<string> {
    const response = await fetch(`${this.#metrics}/healthz`);
    return await response.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.rest();
    await this.#child.status;
  }
}

testWithSignals(
  "cli: serves and stops even if nobody reads its log",
  async () => {
    await using tool = await UnreadTool.start([talkative]);
    await tool.flood(MANY);
    assertEquals(await tool.health(), "ok\n");
    assertEquals(await ask(tool.place, "x"), failed);
    tool.kill("SIGTERM");
    assertEquals((await tool.status).code, 0);
  },
);

for (const format of ["text", "json"] as const) {
  testWithSignals(
    `cli: counts the lines of a log (${format}) that nobody read, in order`,
    async () => {
      await using tool = await UnreadTool.start(
        ["--log-format", format, talkative],
      );
      await tool.flood(TOO_MANY);
      const read: number[] = [];
      let lost;
      while (!lost) {
        const line = await tool.next();
        lost = (format === "json"
          ? /"level":"WARN","event":"lost",.*"lines":(\d+)}$/
          : / WARN (\d+) lines of the log lost, /).exec(line);
        if (!lost) {
          read.push(Number(/failed while \w+: (\d+)/.exec(line)?.[1]));
        }
      }
      assertEquals(read, read.map((_, i) => i + 1));
      assertEquals(read.length + Number(lost[1]), TOO_MANY);
      assert(read.length < TOO_MANY && read.length > 1);
      // It flows again.
      await ask(tool.place, "x");
      assertStringIncludes(
        await tool.next(),
        `failed while handling: ${TOO_MANY + 1} x`,
      );
      tool.kill("SIGTERM");
      const rest = await tool.rest();
      assertEquals(rest.length, 1);
      assertStringIncludes(
        rest[0] ?? "",
        `stopped after ${TOO_MANY + 1} exchanges`,
      );
      assertEquals((await tool.status).code, 0);
    },
  );
}

testWithSignals(
  "cli: ends at another signal even if nobody reads its log",
  async () => {
    await using tool = await UnreadTool.start([
      moduleUrl(`export default async (conn) => {
      const request = await conn.text();
      if (request === "x") throw new Error("x".repeat(1e4));
      await new Promise(() => {});
    }`),
    ]);
    await tool.flood(MANY);
    const held = await begin(tool.place, "hold");
    await held.closeWrite();
    tool.kill("SIGTERM");
    // Signals that come at once may count as one.
    const insist = setInterval(() => tool.kill("SIGTERM"), 700);
    const { code } = await tool.status;
    clearInterval(insist);
    held.close();
    assertEquals(code, 143);
  },
);

for (
  const [how, end, code] of [
    ["what a module leaves uncaught", "Promise.reject(new Error('oh'))", 1],
    ["a handler", "Deno.exit(3)", 3],
  ] as const
) {
  testWithSignals(
    `cli: is ended by ${how} even if nobody reads its log`,
    async () => {
      await using tool = await UnreadTool.start([
        moduleUrl(`export default (conn) => {
        if (conn.id < ${MANY}) throw new Error("x".repeat(1e4));
        setTimeout(() => { ${end}; }, 200);
        return "";
      }`),
      ]);
      await tool.flood(MANY);
      assertEquals((await tool.status).code, code);
    },
  );
}

testWithSignals(
  "cli: has logged all when a handler ends the process",
  async () => {
    await using tool = await Tool.listening([
      "--log-level",
      "debug",
      moduleUrl("export default ({ id }) => id < 20 ? '' : Deno.exit(3);"),
    ]);
    for (let i = 0; i < 20; i++) await ask(tool.addr, "hello").catch(() => {});
    const { code, lines } = await tool.ending();
    assertEquals(code, 3);
    assertMatch(lines.at(-1) ?? "", /request 20 of [\d.:]+ is "hello"$/);
  },
);

testUnix(
  "cli: --trace to a FIFO that nobody reads lets a handler end the process",
  async (folder) => {
    const path = `${folder}/fifo`;
    assertEquals((await runProgram("mkfifo", [path])).code, 0);
    using _fifo = await Deno.open(path, { read: true, write: true });
    const module = moduleUrl(`export default (conn) => {
      if (conn.id === 300) setTimeout(() => Deno.exit(3), 200);
      return "";
    }`);
    await using tool = await Tool.listening(["--trace", path, module], {
      permissions: ["-N", `-W=${folder}`],
    });
    for (let i = 0; i < 300; i++) await ask(tool.addr, "x");
    assertEquals((await tool.ending()).code, 3);
  },
);

testWithSignals(
  "cli: send --timeout ends even if nobody reads what it prints",
  async () => {
    const { server } = serveLocally({}, () => new Uint8Array(1e6));
    const command = Tool.command(
      ["send", "--timeout", "500ms", `127.0.0.1:${server.addr.port}`],
    );
    const child = spawn("sh", ["-c", 'exec "$@" 2>&1', "sh", ...command], {
      stderr: "null",
    });
    const { code } = await child.status;
    await child.stdout.cancel();
    await server.shutdown();
    assertEquals(code, 124);
  },
);

for (
  const args of [["--no-such-flag"], ["--echo", "--text", "x"], [
    "--quiet",
    "--log-level",
    "info",
  ], ["sevre"]]
) {
  Deno.test(`cli: --log-format json says in JSON what is wrong with ${args.join(" ")}`, async () => {
    for (const format of [["--log-format", "json"], ["--log-format=json"]]) {
      const { code, lines } = await Tool.run([...args, ...format]);
      assertEquals([code, lines.length], [2, 1]);
      const { time, msg, ...line } = JSON.parse(lines[0] ?? "");
      assertMatch(time, /^\d{4}-.*Z$/);
      assertEquals(line, { level: "ERROR", event: "fault", error: msg });
    }
  });
}

/** A stream that takes so many bytes until its disk is full. */
class Disk {
  text = "";
  room = 0;

  write(bytes: Uint8Array): Promise<number> {
    const taken = bytes.subarray(0, this.room);
    if (taken.length === 0) return Promise.reject(new Error("no space"));
    this.room -= taken.length;
    this.text += new TextDecoder().decode(taken);
    return Promise.resolve(taken.length);
  }

  writeSync(): number {
    throw new Error("Not to be called");
  }
}

Deno.test("LineQueue counts what a full disk has not taken, and goes on", async () => {
  const disk = new Disk();
  const queue = new LineQueue(disk, { describe: (lines) => `lost ${lines}` });
  const add = async (...lines: string[]) => {
    lines.forEach((line) => queue.add(line));
    await queue.flush();
  };
  await add("a", "b");
  await add("c");
  disk.room = 10;
  await add("d");
  assertEquals(disk.text, "lost 4\n");
  await add("efgh", "i");
  assertEquals(disk.text, "lost 4\nefg");
  disk.room = 100;
  await add("j");
  await add("k");
  assertEquals(disk.text, "lost 4\nefg\nlost 3\nk\n");
  await queue.end();
});

Deno.test("LineQueue loses nothing to a stream that takes nothing for a while", async () => {
  const text: string[] = [];
  let calls = 0;
  const stream = {
    write(bytes: Uint8Array): Promise<number> {
      if (++calls % 3 !== 0) {
        return Promise.reject(new Deno.errors.WouldBlock());
      }
      text.push(new TextDecoder().decode(bytes.subarray(0, 4)));
      return Promise.resolve(Math.min(bytes.length, 4));
    },
    writeSync(): number {
      throw new Error("Not to be called");
    },
  };
  const queue = new LineQueue(stream, { describe: (lines) => `lost ${lines}` });
  for (const line of ["one", "another", "the last"]) queue.add(line);
  await queue.end();
  assertEquals(text.join(""), "one\nanother\nthe last\n");
});

Deno.test("LineQueue writes nothing any more once its fault was told", async () => {
  const disk = new Disk();
  const faults: unknown[] = [];
  const queue = new LineQueue(disk, {
    describe: (lines) => `lost ${lines}`,
    onFault: (error) => faults.push(error),
  });
  queue.add("a");
  await queue.flush();
  disk.room = 100;
  queue.add("b");
  await queue.end();
  assertEquals([faults.length, disk.text], [1, ""]);
});
