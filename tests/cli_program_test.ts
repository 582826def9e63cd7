// A program that answers: `halfclose -- COMMAND ARGS`.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { descriptors } from "./harness/proc.ts";
import { assertSame, encode, pattern } from "./bytes.ts";
import { printed } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  begin,
  connect,
  exchange,
  pause,
  readBytes,
  readText,
  send,
  writeAll,
} from "./sockets.ts";
import { temporaryFolder, testWithSignals, until } from "./support.ts";
import { checkRefusal, outcomes, Tool, type ToolOptions } from "./tool.ts";

const all: ToolOptions = { permissions: ["-N", "--allow-run"] };

/** Starts the tool with a script of the shell that answers. */
function shell(
  script: string,
  flags: string[] = [],
  options = all,
): Promise<Tool> {
  return Tool.listening([...flags, "--", "sh", "-c", script], options);
}

/** Whether there is such a process. */
async function isRunning(pid: number): Promise<boolean> {
  return await printed(["kill", "-0", `${pid}`]) !== undefined;
}

/** Waits until there is no such process any more. */
async function untilGone(pid: number): Promise<void> {
  // Nothing tells of the end of a process that is no child of ours.
  await until(async () => !await isRunning(pid));
}

/** The number that a script has logged as its own. */
async function loggedPid(tool: Tool): Promise<number> {
  const [, pid] = await tool.line(
    / INFO sh for request \d+ of [\d.:]+: pid (\d+)$/,
  );
  return Number(pid);
}

testWithSignals(
  "cli: a program answers, for requests of all sizes",
  async () => {
    const args = ["--max-request-bytes", "none", "--", "cat"];
    await using tool = await Tool.listening(args, all);
    for (const size of [0, 1, 65_536, 65_537, 30_000_000]) {
      const request = pattern(size);
      assertSame(await exchange(tool.addr, request), request);
    }
    assertEquals(outcomes(await tool.stop()), Array(5).fill("ok"));
  },
);

testWithSignals(
  "cli: a program needs no more than its own permission",
  async () => {
    const permissions = ["-N", "--allow-run=wc"];
    await using tool = await Tool.listening(["--", "wc", "-w"], {
      permissions,
    });
    assertEquals((await ask(tool.addr, "so it goes")).trim(), "3");
    assertEquals((await ask(tool.addr, "")).trim(), "0");
    assertEquals(outcomes(await tool.stop()), ["ok", "ok"]);
  },
);

testWithSignals("cli: a program takes its flags for itself", async () => {
  const args = ["--", "echo", "--port", "1", "-q", "--"];
  await using tool = await Tool.listening(args, all);
  assertEquals(await ask(tool.addr, ""), "--port 1 -q --\n");
});

testWithSignals(
  "cli: a program sees the request before its end, and so does a client the answer",
  async () => {
    await using tool = await Tool.listening(["--", "cat"], all);
    const conn = await connect(tool.addr);
    const buffer = new Uint8Array(10);
    for (const word of ["one", "two"]) {
      await conn.write(encode(word));
      const read = await conn.read(buffer) ?? 0;
      assertEquals(new TextDecoder().decode(buffer.subarray(0, read)), word);
    }
    await conn.closeWrite();
    assertEquals(await readText(conn), "");
    assertEquals(outcomes(await tool.stop()), ["ok"]);
  },
);

testWithSignals(
  "cli: a program's environment tells of the connection",
  async () => {
    const variables =
      'echo "$PROTO $TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP $TCPLOCALPORT"';
    await using tool = await shell(variables);
    const conn = await connect(tool.addr);
    const { port } = conn.localAddr as Deno.NetAddr;
    await conn.closeWrite();
    const reply = await readText(conn);
    assertEquals(reply, `TCP 127.0.0.1 ${port} 127.0.0.1 ${tool.port}\n`);
  },
);

testWithSignals(
  "cli: a program's environment tells of a Unix socket",
  async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/test.sock`;
    const options = Tool.allowing(folder.path, "--allow-run");
    await using tool = await shell(
      'echo "$PROTO $UNIXLOCALPATH [$TCPREMOTEIP]"',
      ["--unix", path],
      // Who is asked for by a program must not come from elsewhere.
      { ...options, env: { TCPREMOTEIP: "192.0.2.1" } },
    );
    assertEquals(await ask(tool.addr), `UNIX ${path} []\n`);
    await tool.stop();
  },
);

testWithSignals(
  "cli: a program's environment may hold what that of the server does",
  async () => {
    const env = { HALFCLOSE_TEST: "handed on" };
    await using tool = await shell("echo $HALFCLOSE_TEST", [], { ...all, env });
    assertEquals(await ask(tool.addr), "handed on\n");
  },
);

testWithSignals(
  "cli: a program's standard error goes to the log, line by line",
  async () => {
    const script = "printf 'one\\ntwo\\033[31m\\nthree' >&2; echo done";
    await using tool = await shell(script);
    assertEquals(await ask(tool.addr), "done\n");
    tool.kill("SIGTERM");
    const { lines } = await tool.ending();
    assertEquals(
      lines.flatMap((line) =>
        / INFO sh for request 1 of [\d.:]+: (.*)$/.exec(line)?.[1] ?? []
      ),
      ["one", "two\\x1b[31m", "three"],
    );
  },
);

testWithSignals(
  "cli: a program that writes very many lines holds nothing up, and loses none",
  async () => {
    await using tool = await shell("yes '' | head -n 150000 >&2");
    await ask(tool.addr);
    const isLoss = (line: string) => line.includes(" of the log lost, ");
    await until(() => tool.lines.length > 150_001 || tool.lines.some(isLoss));
    const others = tool.lines.filter((line) => !line.endsWith(": "));
    assertEquals(others.length, 2, others.join("\n"));
    assertMatch(others[1] ?? "", /, ok$/);
  },
);

testWithSignals(
  "cli: a program that fails makes the exchange fail",
  async () => {
    const script = 'read -r what; echo "$what"; exit "$what"';
    await using tool = await shell(script);
    assertEquals(await ask(tool.addr, "3\n"), "3\n");
    await tool.line(/ WARN .* failed while [a-z]+: sh ended with status 3$/);
    assertEquals(await ask(tool.addr, "0\n"), "0\n");
    assertEquals(outcomes(await tool.stop()), ["failed", "ok"]);
  },
);

testWithSignals(
  "cli: a program that is ended by a signal makes the exchange fail",
  async () => {
    await using tool = await shell("kill -TERM $$");
    assertEquals(await ask(tool.addr, ""), "");
    await tool.line(/ WARN .* failed while [a-z]+: sh was ended by SIGTERM$/);
    assertEquals(outcomes(await tool.stop()), ["failed"]);
  },
);

testWithSignals(
  "cli: a program that can no longer be started makes the exchange fail",
  async () => {
    const program = await Deno.makeTempFile();
    await Deno.writeTextFile(program, "#!/bin/sh\ncat\n", { mode: 0o700 });
    await Deno.chmod(program, 0o700);
    await using tool = await Tool.listening(["--", program], all);
    assertEquals(await ask(tool.addr, "hello"), "hello");
    await Deno.remove(program);
    assertEquals(await ask(tool.addr, "hello"), "");
    await tool.line(/ failed while handling: Cannot run \/\S+: /);
    assertEquals(outcomes(await tool.stop()), ["ok", "failed"]);
  },
);

for (const program of ["no-such-program", "./no-such-program", "./README.md"]) {
  testWithSignals(
    `cli: notices before it listens that it cannot run ${program}`,
    async () => {
      const ending = await Tool.run(["--port", "0", "--", program], all);
      checkRefusal(ending, 1, `Cannot run ${program}: `);
    },
  );
}

testWithSignals(
  "cli: a program's response ends with its output, and its turn with the program",
  async () => {
    await using folder = await temporaryFolder();
    const fifo = `${folder.path}/fifo`;
    assertEquals(await printed(["mkfifo", fifo]), "");
    const script =
      `cat; exec 1>&-; [ "$TCPREMOTEPORT" = "$1" ] || read x <${fifo}`;
    await using tool = await shell(script);
    const reply = await ask(tool.addr, "first");
    // The program waits for the pipe.
    assertEquals(reply, "first");
    const second = ask(tool.addr, "second");
    const opened = Deno.writeTextFile(fifo, "go on\n");
    await opened;
    await tool.line(/ 5 bytes in, 5 bytes out, /);
    await Deno.writeTextFile(fifo, "go on\n");
    assertEquals(await second, "second");
    assertEquals(outcomes(await tool.stop()), ["ok", "ok"]);
  },
);

testWithSignals(
  "cli: a program gets all of its request even if its output has ended",
  async () => {
    const script = "echo hi; exec 1>&-; echo closed >&2; cat >&2; echo >&2";
    await using tool = await shell(script);
    const client = await begin(tool.addr, "one ");
    await tool.line(/: closed$/);
    // Longer than a program has to end after its output.
    await pause(400);
    await client.write(encode("two"));
    await client.closeWrite();
    assertEquals(await readText(client), "hi\n");
    await tool.line(/: one two$/);
    await tool.line(/ 7 bytes in, 3 bytes out, .* ok$/);
  },
);

testWithSignals(
  "cli: a program that fails after its output makes the exchange fail, too",
  async () => {
    await using folder = await temporaryFolder();
    const fifo = `${folder.path}/fifo`;
    assertEquals(await printed(["mkfifo", fifo]), "");
    await using tool = await shell(`cat; exec 1>&-; read x <${fifo}; exit 3`);
    assertEquals(await ask(tool.addr, "request"), "request");
    await Deno.writeTextFile(fifo, "go on\n");
    await tool.line(/ WARN .* failed while [a-z]+: sh ended with status 3$/);
  },
);

testWithSignals(
  "cli: the log names what holds the output of a program that has ended",
  async () => {
    await using tool = await shell("sleep 1000 & echo hi", [
      "--deadline",
      "1s",
    ]);
    assertEquals(await ask(tool.addr, ""), "hi\n");
    await tool.line(
      / deadline while writing: it took longer than the 1000 ms of --deadline \(sh has ended, but what it has started holds its output open\. Redirect that /,
    );
  },
);

testWithSignals(
  "cli: a program may think for longer than --idle-timeout while its client waits",
  async () => {
    const script = "head -n 1 >/dev/null; sleep 1; echo done";
    await using tool = await shell(script, ["--idle-timeout", "200ms"]);
    const client = await begin(tool.addr, "GET /\r\n");
    assertEquals(await readText(client), "done\n");
    // One that has sent nothing is due itself, and so is one that does not read.
    const silent = await connect(tool.addr);
    assertEquals(await readText(silent), "");
    await tool.line(
      / idle while [a-z]+: the client sent nothing for the 200 ms /,
    );
    assertEquals(outcomes(await tool.stop()), ["ok", "idle"]);
  },
);

testWithSignals(
  "cli: a client of a program that never half-closes is told so at the deadline",
  async () => {
    await using tool = await Tool.listening(
      ["--idle-timeout", "200ms", "--deadline", "1s", "--", "wc", "-w"],
      all,
    );
    const client = await begin(tool.addr, "one two\n");
    assertEquals(
      await readText(client),
      "halfclose: request refused, it took longer than the 1000 ms allowed, " +
        "and you have not ended your side. Half-close (nc -N)\n",
    );
    await tool.line(
      / deadline while [a-z]+: it took longer than the 1000 ms of --deadline, and the client has not ended its side. It must half-close \(nc -N\), or use --until or --until-idle \(wc has not ended\)$/,
    );
  },
);

testWithSignals(
  "cli: a client that waits for a program is not blamed at the deadline",
  async () => {
    await using tool = await shell("exec sleep 1000", ["--deadline", "1s"]);
    assertEquals(
      await ask(tool.addr, "hi"),
      "halfclose: request refused, the response took longer than the 1000 ms allowed\n",
    );
    await tool.line(
      / deadline while [a-z]+: it took longer than the 1000 ms of --deadline \(sh has not ended\)$/,
    );
  },
);

testWithSignals(
  "cli: a program whose client does not read is bound by --idle-timeout",
  async () => {
    await using tool = await shell("cat /dev/zero", [
      "--idle-timeout",
      "200ms",
    ]);
    using _client = await begin(tool.addr, "go");
    await tool.line(
      / idle while writing: the client took nothing of the response /,
    );
  },
);

testWithSignals(
  "cli: a program's environment has nothing that describes another connection",
  async () => {
    const stale = {
      NOTIFY_SOCKET: "/nowhere",
      TCPREMOTEHOST: "example.com",
      TCPREMOTEINFO: "root",
      SSL_CLIENT_S_DN: "CN=root",
      SSL_CIPHER: "none",
      IPCREMOTEEUID: "0",
      UNIXREMOTEEUID: "0",
      TCPCONNNUM: "7",
    };
    // They look similar, but are settings.
    const settings = { SSL_CERT_FILE: "/ca.pem" };
    const kept = Object.entries(settings).sort()
      .map(([name, value]) => `${name}=${value}\n`).join("");
    const names = Object.keys({ ...stale, ...settings }).join("|");
    const script = `env | grep -E '^(${names})=' | LC_ALL=C sort`;
    const blank = Object.keys(stale).sort().map((name) => `${name}=\n`).join(
      "",
    );
    for (
      const [permissions, expected] of [
        [["-N", "--allow-run"], blank],
        [["-N", "--allow-run", "-E"], ""],
      ] as const
    ) {
      await using tool = await shell(`${script}; true`, [], {
        permissions: [...permissions],
        env: { ...stale, ...settings },
      });
      const sorted = (expected + kept).trimEnd().split("\n").sort();
      assertEquals((await ask(tool.addr)).trimEnd().split("\n"), sorted);
    }
  },
);

testWithSignals(
  "cli: a command in quotes is answered with the line that works",
  async () => {
    for (
      const permissions of [["-N", "--allow-run"], ["-N", "--allow-run=wc"]]
    ) {
      const args = ["--port", "0", "--", "wc -w", "a file"];
      const ending = await Tool.run(args, { permissions });
      checkRefusal(ending, 1, ". Try: -- wc -w 'a file'");
    }
  },
);

testWithSignals("cli: a program need not read its input", async () => {
  const flags = ["--max-request-bytes", "none"];
  await using tool = await shell("head -c 5", flags);
  const request = pattern(20_000_000);
  for (let i = 0; i < 5; i++) {
    const reply = await readBytes(await send(tool.addr, request));
    assertSame(reply, request.subarray(0, 5));
  }
  assertEquals(outcomes(await tool.stop()), Array(5).fill("ok"));
});

testWithSignals(
  "cli: a program may answer a client that never half-closes",
  async () => {
    await using tool = await Tool.listening(["--", "echo", "hello"], all);
    using conn = await connect(tool.addr);
    const reply = new Uint8Array(10);
    const read = await conn.read(reply) ?? 0;
    assertEquals(new TextDecoder().decode(reply.subarray(0, read)), "hello\n");
    assertEquals(await conn.read(reply), null);
    assertEquals(outcomes(await tool.stop()), ["ok"]);
  },
);

testWithSignals(
  "cli: a program is killed at the deadline, with all that it has started",
  async () => {
    const script = 'echo "pid $$" >&2; sleep 1000 & echo "pid $!" >&2; wait';
    await using tool = await shell(script, ["--deadline", "1s"]);
    const reply = await ask(tool.addr, "hello");
    assertMatch(reply, /^halfclose: .* 1000 ms/);
    const pids = tool.lines.flatMap((line) =>
      / pid (\d+)$/.exec(line)?.[1] ?? []
    );
    assertEquals(pids.length, 2);
    for (const pid of pids) await untilGone(Number(pid));
    tool.kill("SIGTERM");
    const { code } = await tool.ending();
    assertEquals(code, 0);
  },
);

testWithSignals(
  "cli: a program alone is killed at the deadline, where no more is allowed",
  async () => {
    const script = 'echo "pid $$" >&2; exec sleep 1000';
    const permissions = ["-N", "--allow-run=sh"];
    await using tool = await shell(script, ["--deadline", "1s"], {
      permissions,
    });
    assertMatch(await ask(tool.addr, "hello"), /^halfclose: .* 1000 ms/);
    await untilGone(await loggedPid(tool));
  },
);

testWithSignals("cli: a program is killed when its client resets", async () => {
  // What it reads before it is killed must not look like a whole request.
  const script = 'echo "pid $$" >&2; cat >&2; echo "whole" >&2';
  await using tool = await shell(script);
  const rude = await RudeClient.connect(tool.addr);
  await rude.write("hello\n");
  const pid = await loggedPid(tool);
  await tool.line(/: hello$/);
  await rude.reset();
  await untilGone(pid);
  tool.kill("SIGTERM");
  const { lines } = await tool.ending();
  assert(!lines.some((line) => line.endsWith(": whole")), lines.join("\n"));
  assert(lines.some((line) => / WARN .* reset while /.test(line)));
});

testWithSignals(
  "cli: a program is killed when its request is too large",
  async () => {
    const script = 'echo "pid $$" >&2; cat >/dev/null; echo "whole" >&2';
    await using tool = await shell(script, ["--max-request-bytes", "1KiB"]);
    const conn = await begin(tool.addr, "x");
    const pid = await loggedPid(tool);
    await writeAll(conn, pattern(1024));
    assertMatch(await readText(conn), /^halfclose: .* 1024 bytes/);
    await untilGone(pid);
    tool.kill("SIGTERM");
    const { lines } = await tool.ending();
    assert(!lines.some((line) => line.endsWith(": whole")), lines.join("\n"));
    assert(lines.some((line) => / WARN .* too-large while /.test(line)));
  },
);

testWithSignals(
  "cli: a program is killed when the server stops at once",
  async () => {
    const script = 'echo "pid $$" >&2; cat >/dev/null; sleep 1000';
    const flags = ["--deadline", "none", "--idle-timeout", "none"];
    await using tool = await shell(script, flags);
    const reply = ask(tool.addr, "hello").catch(() => "");
    const pid = await loggedPid(tool);
    const { code } = await tool.cut("SIGTERM");
    assertEquals([code, await reply], [143, ""]);
    await untilGone(pid);
  },
);

testWithSignals(
  "cli: a program may finish when the server is told to stop",
  async () => {
    await using tool = await shell('echo "pid $$" >&2; cat');
    const conn = await connect(tool.addr);
    await loggedPid(tool);
    tool.kill("SIGINT");
    await tool.refusesConnections();
    await conn.write(encode("to the end"));
    await conn.closeWrite();
    assertEquals(await readText(conn), "to the end");
    assertEquals((await tool.ending()).code, 0);
  },
);

testWithSignals(
  "cli: a program may leave something in the background",
  async () => {
    const script =
      'sleep 1000 >/dev/null 2>&1 & echo $!; echo "last words" >&2';
    await using tool = await shell(script);
    const pid = Number(await ask(tool.addr));
    try {
      tool.kill("SIGTERM");
      const { lines } = await tool.ending();
      assert(lines.some((line) => line.endsWith(": last words")), `${lines}`);
      assertEquals(await isRunning(pid), true);
    } finally {
      Deno.kill(pid, "SIGKILL");
    }
  },
);

Deno.test({
  name: "cli: programs leave no zombies and no descriptors",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using tool = await shell("cat; exit 0");
    await ask(tool.addr, "first");
    const before = descriptors(tool.pid) ?? NaN;
    for (let i = 0; i < 50; i++) await ask(tool.addr, `${i}`);
    const children = await Deno.readTextFile(
      `/proc/${tool.pid}/task/${tool.pid}/children`,
    );
    assertEquals(children.trim(), "");
    const after = descriptors(tool.pid) ?? NaN;
    assert(after <= before + 4, `${before} descriptors before, ${after} after`);
    await tool.stop();
  },
});
