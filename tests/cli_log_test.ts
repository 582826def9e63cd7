// What the command-line tool logs, and how.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { quoted } from "../cli/shared/wording.ts";
import { encode } from "./bytes.ts";
import { printed, spawn } from "./programs.ts";
import { ask, connect, readBytes } from "./sockets.ts";
import { temporaryFolder, testIf, testWithSignals } from "./support.ts";
import { checkRefusal, failed, firstAnswer, moduleUrl, Tool } from "./tool.ts";

type Line = Record<string, unknown>;

/** Stops the tool and gives what it has logged. */
async function stopped(tool: Tool): Promise<string[]> {
  tool.kill("SIGTERM");
  const { code, stdout, lines } = await tool.ending();
  assertEquals([code, stdout], [0, ""]);
  return lines;
}

/** As `stopped()`, for a log in JSON, whose times are checked and left out. */
async function stoppedJson(tool: Tool): Promise<Line[]> {
  return (await stopped(tool)).map((line) => {
    const { time, ...rest } = JSON.parse(line) as Line;
    assertMatch(`${time}`, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    return rest;
  });
}

testWithSignals(
  "cli: --log-format json logs one object for each line",
  async () => {
    const args = ["--log-format", "json", "--max-request-bytes", "5"];
    await using tool = await Tool.listening(args);
    assertEquals(await ask(tool.addr, "hello"), "hello");
    await ask(tool.addr, "too much");
    const server = `127.0.0.1:${tool.port}`;
    const [first, good, bad, last, ...others] = await stoppedJson(tool);
    assertEquals(others, []);
    assertEquals(first, {
      level: "INFO",
      event: "listening",
      msg: `listening on ${server}`,
      server,
    });
    assertEquals(last, {
      level: "INFO",
      event: "stopped",
      msg: "stopped after 2 exchanges",
      exchanges: 2,
    });
    for (
      const [line, expected] of [
        [good, {
          id: 1,
          level: "INFO",
          bytesIn: 5,
          bytesOut: 5,
          outcome: "ok",
        }],
        [bad, {
          id: 2,
          level: "WARN",
          bytesIn: 8,
          bytesOut: 0,
          outcome: "too-large",
        }],
      ] as const
    ) {
      const { client, startedAt, durationMs, msg, end, phase, error, ...rest } =
        line ?? {};
      assertEquals(end, expected.outcome === "ok" ? "fin" : undefined);
      assertMatch(`${client}`, /^127\.0\.0\.1:\d+$/);
      assertMatch(`${startedAt}`, /^\d{4}-.*Z$/);
      assertEquals(typeof durationMs, "number");
      assertMatch(
        `${msg}`,
        new RegExp(`^${client} ${expected.bytesIn} bytes in, `),
      );
      assertEquals(phase, expected.outcome === "ok" ? "writing" : "reading");
      assertEquals(error === undefined, expected.outcome === "ok");
      assertEquals(rest, { event: "exchange", server, ...expected });
    }
  },
);

testWithSignals(
  "cli: --log-format json tells of programs and faults",
  async () => {
    const args = [
      "--log-format",
      "json",
      "--",
      "sh",
      "-c",
      "echo oops >&2; exit 3",
    ];
    const permissions = ["-N", "--allow-run=sh"];
    await using tool = await Tool.listening(args, { permissions });
    assertEquals(await ask(tool.addr, "hello"), "");
    const lines = await stoppedJson(tool);
    const program = lines.find(({ event }) => event === "program");
    const exchange = lines.find(({ event }) => event === "exchange");
    assertEquals(program, {
      level: "INFO",
      event: "program",
      msg: `sh for request 1 of ${exchange?.["client"]}: oops`,
      id: 1,
      line: "oops",
    });
    assertEquals(exchange?.["outcome"], "failed");
    assertEquals(exchange?.["error"], "sh ended with status 3");
  },
);

Deno.test("cli: --log-format json says why it cannot run", async () => {
  const args = ["--log-format", "json", "--file", "no-such-file"];
  const { code, lines } = await Tool.run(args, { permissions: ["-N", "-R"] });
  assertEquals([code, lines.length], [1, 1]);
  const { time: _, ...line } = JSON.parse(lines[0] ?? "") as Line;
  const error = `${line["error"]}`;
  assertMatch(error, /^Cannot read no-such-file: /);
  assertEquals(line, { level: "ERROR", event: "fault", msg: error, error });
});

testWithSignals(
  "cli: --log-format json knows no address of a Unix socket's client",
  async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/test.sock`;
    const args = ["--log-format", "json", "--unix", path];
    await using tool = await Tool.listening(args, Tool.allowing(folder.path));
    await ask(tool.addr, "hello");
    const [first, exchange] = await stoppedJson(tool);
    assertEquals(first?.["server"], path);
    assertEquals(exchange?.["server"], path);
    assertEquals(exchange?.["client"], null);
  },
);

/** What is at the head of a request, and how the log shows it. */
const heads: [request: string | Uint8Array, shown: string][] = [
  ["hello", 'is "hello"'],
  ["", 'is ""'],
  ['a "b" \\ \r\n\t\x1b[31m', 'is "a \\"b\\" \\\\ \\r\\n\\t\\x1b[31m"'],
  [new Uint8Array([0, 127, 128, 255]), 'is "\\x00\\x7f\\x80\\xff"'],
  ["x".repeat(64), `is "${"x".repeat(64)}"`],
  ["x".repeat(65), `begins with "${"x".repeat(64)}"`],
];

testWithSignals(
  "cli: --log-level debug shows each accept and the head of each request",
  async () => {
    await using tool = await Tool.listening(["--log-level", "debug"]);
    for (const [request] of heads) {
      const conn = await connect(tool.addr);
      await conn.write(typeof request === "string" ? encode(request) : request)
        .catch(() => {});
      await conn.closeWrite();
      await readBytes(conn);
    }
    const lines = await stopped(tool);
    const accepts = lines.filter((line) =>
      /Z DEBUG accepted 127\.0\.0\.1:\d+$/.test(line)
    );
    assertEquals(accepts.length, heads.length);
    assertEquals(
      lines.flatMap((line) =>
        /Z DEBUG request \d+ of [\d.:]+ (.*)$/.exec(line)?.[1] ?? []
      ),
      heads.map(([, shown]) => shown),
    );
  },
);

for (
  const [what, args, permissions] of [
    ["a streamed one", ["--text", "hello"], []],
    ["one for a program", ["--", "echo", "hello"], ["--allow-run"]],
    [
      "one that nobody reads",
      ["data:text/javascript,export default () => 'hello\\n'"],
      [],
    ],
  ] as const
) {
  testWithSignals(
    `cli: --log-level debug shows the head of ${what}`,
    async () => {
      await using tool = await Tool.listening(
        ["--log-level", "debug", ...args],
        { permissions: ["-N", ...permissions] },
      );
      assertEquals((await ask(tool.addr, "a request")).trim(), "hello");
      const lines = await stopped(tool);
      assert(
        lines.some((line) =>
          /DEBUG request 1 of [\d.:]+ is "a request"$/.test(line)
        ),
        lines.join("\n"),
      );
    },
  );
}

testWithSignals(
  "cli: --log-level debug leaves requests as they are",
  async () => {
    const module = moduleUrl(`export default async (conn) => {
      const used = [conn.bodyUsed];
      const request = await conn.json();
      used.push(conn.bodyUsed);
      const again = await conn.text().catch((error) => error.name);
      return JSON.stringify([conn.id, request, used, again, conn.bytesRead]);
    }`);
    await using tool = await Tool.listening(["--log-level", "debug", module]);
    assertEquals(
      await ask(tool.addr, '{"a":1}'),
      '[1,{"a":1},[false,true],"TypeError",7]',
    );
  },
);

testWithSignals(
  "cli: --log-level debug shows where a handler failed, and nothing less does",
  async () => {
    const module = moduleUrl("export default () => { throw new Error('oh'); }");
    for (const level of ["debug", "info"]) {
      await using tool = await Tool.listening(["--log-level", level, module]);
      await ask(tool.addr, "hello");
      const lines = await stopped(tool);
      const trace = lines.filter((line) => /^ +at /.test(line));
      assertEquals(trace.length > 0, level === "debug", lines.join("\n"));
    }
  },
);

for (const format of ["text", "json"]) {
  testWithSignals(
    `cli: shortens what a handler throws, in a log as ${format}`,
    async () => {
      const module = moduleUrl(`export default async (conn) => {
      throw new Error("unknown: " + (await conn.text()) + "!");
    };`);
      const flags = ["--log-format", format, "--log-level", "debug"];
      await using tool = await Tool.listening([...flags, module]);
      assertEquals(await ask(tool.addr, "x".repeat(9e6)), failed);
      const lines = await stopped(tool);
      const line = lines.find((line) => line.includes("failed while handling"));
      assertMatch(line ?? "", /unknown: x+ \(\d+ characters left out\) x+!/);
      assert(lines.every(({ length }) => length < 50_000));
    },
  );
}

testWithSignals("cli: logs what an onError() throws, in one line", async () => {
  const module = moduleUrl(`export default {
    handler() { throw new Error("oh"); },
    onError() { throw new Error("no\\u009b31m"); },
  }`);
  await using tool = await Tool.listening(["--log-format", "json", module]);
  assertEquals(await ask(tool.addr, "hello"), failed);
  const lines = (await stopped(tool)).slice(1, -1);
  const logged = lines.map((line) => JSON.parse(line) as Line);
  const faults = logged.filter(({ event }) => event === "fault");
  const client = logged.find(({ event }) => event === "exchange")?.["client"];
  assertEquals(
    faults.map(({ msg, id }) => [msg, id]),
    [[`onError() threw after request 1 of ${client}: no\x9b31m`, 1]],
  );
  assertEquals(lines.join().match(/[\x80-\x9f]/), null);
});

for (
  const [flags, levels] of [
    [["--quiet"], ["WARN"]],
    [["-q"], ["WARN"]],
    [["--log-level", "warn"], ["WARN"]],
    [["--log-level", "WARN"], ["WARN"]],
    [["--log-level", "error"], []],
    [["--log-level", "info"], ["INFO", "INFO", "WARN", "INFO"]],
  ] as const
) {
  testWithSignals(
    `cli: ${flags.join(" ")} logs ${levels.join(", ") || "no exchange"}`,
    async () => {
      await using folder = await temporaryFolder();
      const path = `${folder.path}/test.sock`;
      const args = ["--max-request-bytes", "5", "--unix", path, ...flags];
      await using tool = new Tool(args, Tool.allowing(folder.path));
      assertEquals(await firstAnswer(path), "hello");
      await ask({ transport: "unix", path }, "too much");
      const lines = await stopped(tool);
      assertEquals(lines.map((line) => line.split(" ")[1] ?? ""), [...levels]);
    },
  );
}

// Runs a command on a terminal of its own, and gives what it writes there.
const onTerminal = `
import os, pty, sys
output = b""
def read(fd):
    global output
    data = os.read(fd, 4096)
    output += data
    return data
status = pty.spawn(sys.argv[1:], read)
sys.exit(os.waitstatus_to_exitcode(status))
`;

/**
 * Runs the tool to its end on a terminal, and gives what it writes there. If it
 * listens, it is asked once.
 */
async function runOnTerminal(
  args: string[],
  { permissions = ["-N"], env = {} } = {},
): Promise<{ code: number; output: string }> {
  const command = Tool.command(args, { permissions });
  await using child = spawn("python3", ["-c", onTerminal, ...command], {
    env: { NO_COLOR: "", ...env },
    stderr: "inherit",
  });
  let output = "";
  let asked: Promise<string> | undefined;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    const [, port] = /listening on 127\.0\.0\.1:(\d+)\r?\n/.exec(output) ?? [];
    if (port) {
      asked ??= ask({ port: Number(port) }, "hello");
    }
  }
  await asked;
  const { code } = await child.status;
  return { code, output };
}

const hasTerminals = Deno.build.os !== "windows" &&
  await printed(["python3", "-c", "import pty"]) !== undefined;

function testOnTerminal(name: string, fn: () => Promise<void>): void {
  testIf(hasTerminals, "python3", name, fn);
}

testOnTerminal("cli: colors the levels on a terminal", async () => {
  const { output } = await terminalLines({});
  assertStringIncludes(output, "Z \x1b[34mINFO\x1b[39m listening on ");
});

testOnTerminal(
  "cli: uses no colors on a terminal against NO_COLOR",
  async () => {
    const { output } = await terminalLines({ NO_COLOR: "1" });
    assertMatch(output, /Z INFO listening on /);
  },
);

/** Serves one exchange on a terminal. */
function terminalLines(env: Record<string, string>) {
  const args = ["--host", "127.0.0.1", "--port", "0", "--count", "1"];
  return runOnTerminal(args, { env });
}

testOnTerminal(
  "cli: never asks for a permission, not even on a terminal",
  async () => {
    for (
      const args of [[], ["--file", "a.txt"], ["--sink", "inbox"], ["./a.ts"], [
        "--",
        "wc",
      ]]
    ) {
      const permissions = args.length === 0 ? [] : ["-N"];
      const { code, output } = await runOnTerminal(args, { permissions });
      assertEquals(code, 1, output);
      assertMatch(
        output,
        /^halfclose: Cannot [^\n]* without permission\. [^\n]*\n$/,
      );
    }
  },
);

Deno.test("cli: escapes what could disturb a terminal", async () => {
  const ending = await Tool.run(["--host", "\x1b[31mred"]);
  checkRefusal(ending, 1, "\\x1b[31mred");
});

Deno.test("quoted() shows any bytes as ASCII", () => {
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  assertMatch(quoted(all), /^"[ -~]*"$/);
  assertEquals(quoted(encode('a"\\\n')), '"a\\"\\\\\\n"');
});

testWithSignals(
  "cli: serves on even if its log cannot be written",
  async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/test.sock`;
    const command = Tool.command(["--unix", path], Tool.allowing(folder.path));
    const script = 'exec "$@" 2>/dev/full';
    const child = spawn("sh", ["-c", script, "sh", ...command], {
      stdout: "null",
      stderr: "null",
    });
    assertEquals(await firstAnswer(path), "hello");
    assertEquals(await ask({ transport: "unix", path }, "hello"), "hello");
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
  },
);
