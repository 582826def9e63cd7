// SIGHUP: what a running server reads anew, and who notices.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  importMap,
  inOwnNetwork,
  printed,
  root,
  runProgram,
  spawn,
} from "./programs.ts";
import {
  ask,
  begin,
  exchangeOn,
  readText,
  send,
  untilRefused,
} from "./sockets.ts";
import {
  temporaryFolder,
  testIf,
  testWithSignals,
  turnOfIo,
} from "./support.ts";
import { newCertificate, type PemFiles } from "./tls.ts";
import { Tool } from "./tool.ts";

const hasOpenssl = await printed(["openssl", "version"]) !== undefined;
const isUnix = Deno.build.os !== "windows";
/** Where Deno has reusePort. */
const isLinux = Deno.build.os === "linux";

/** Tells the tool to reload, and waits until it has. */
async function reload(tool: Tool, expected: RegExp): Promise<void> {
  const seen = tool.lines.length;
  tool.kill("SIGHUP");
  await tool.line(/ reloaded /, seen);
  assert(
    tool.lines.slice(seen).some((line) => expected.test(line)),
    tool.lines.join("\n"),
  );
}

/** What the tool says when it is told to stop. */
async function lastLine(tool: Tool): Promise<string | undefined> {
  tool.kill("SIGTERM");
  const { code, lines } = await tool.ending();
  assertEquals(code, 0, lines.join("\n"));
  return lines.at(-1);
}

const answering = (text: string, options = "") =>
  `export default { ${options} handler: () => "${text}" };`;

testWithSignals(
  "cli: SIGHUP leaves a server alone that has nothing to reload",
  async () => {
    const where = "data:text/javascript,export default () => 'module';";
    for (const args of [[], ["--text", "text"], [where]]) {
      await using tool = await Tool.listening(args);
      await reload(tool, /INFO reloaded nothing$/);
      await ask(tool.addr, "hello");
      assert((await lastLine(tool))?.endsWith("stopped after 1 exchange"));
    }
  },
);

testWithSignals(
  "cli: SIGHUP loads a module anew, and keeps the old one if it cannot",
  async () => {
    await using folder = await temporaryFolder();
    const file = `${folder.path}/handler.ts`;
    await Deno.writeTextFile(file, answering("one"));
    const permissions = ["-N", `-R=${file}`];
    await using tool = await Tool.listening([file], { permissions });
    assertEquals(await ask(tool.addr), "one");
    await Deno.writeTextFile(file, answering("two"));
    assertEquals(await ask(tool.addr), "one");
    await reload(tool, /INFO reloaded the module$/);
    assertEquals(await ask(tool.addr), "two");
    const useless = [
      [
        "syntax error(",
        /ERROR cannot load the module anew, going on as before/,
      ],
      [answering("x", "prot: 1,"), /ERROR .* no option "prot". Did you mean/],
      ["export default 1;", /ERROR .* its default export must be a function/],
    ] as const;
    for (const [source, expected] of useless) {
      await Deno.writeTextFile(file, source);
      await reload(tool, expected);
      assertEquals(await ask(tool.addr), "two");
    }
    await Deno.remove(file);
    await reload(tool, /ERROR cannot load the module anew, .* No such file/);
    // Loading it would block the whole tool.
    assertEquals((await runProgram("mkfifo", [file])).code, 0);
    await reload(tool, /ERROR cannot load the module anew, .*: it is a FIFO$/);
    assertEquals(await ask(tool.addr), "two");
    await Deno.remove(file);
    await Deno.writeTextFile(file, answering("three"));
    await reload(tool, /INFO reloaded the module$/);
    assertEquals(await ask(tool.addr), "three");
  },
);

testWithSignals(
  "cli: SIGHUP tells which options of a module need a restart",
  async () => {
    await using folder = await temporaryFolder();
    const file = `${folder.path}/handler.ts`;
    const options = "deadline: 5000, maxRequestBytes: 3, allow: () => true,";
    await Deno.writeTextFile(file, answering("one", options));
    await using tool = await Tool.listening([file], Tool.allowing(folder.path));
    const others = "deadline: 6000, maxRequestBytes: 3, allow: () => false,";
    await Deno.writeTextFile(file, answering("two", others));
    await reload(tool, /WARN .*\. Restart it for deadline$/);
    assertEquals(await ask(tool.addr), "two");
  },
);

testWithSignals(
  "cli: SIGHUP leaves the exchange under way to its handler",
  async () => {
    await using folder = await temporaryFolder();
    const file = `${folder.path}/handler.ts`;
    const streaming = (answer: string) =>
      `export default { streaming: true, async handler(conn) {
        console.error("begun");
        return "${answer} " + await conn.text();
      } };`;
    await Deno.writeTextFile(file, streaming("one"));
    await using tool = await Tool.listening([file], Tool.allowing(folder.path));
    const slow = await begin(tool.addr, "slow");
    await tool.line(/^begun$/);
    const next = await send(tool.addr, "next");
    await Deno.writeTextFile(file, streaming("two"));
    await reload(tool, /INFO reloaded the module$/);
    await slow.closeWrite();
    assertEquals(await readText(slow), "one slow");
    assertEquals(await readText(next), "two next");
  },
);

/** A server that reloads a module, which never finishes loading. */
async function loadingForEver(folder: string) {
  const file = `${folder}/handler.ts`;
  await Deno.writeTextFile(file, answering("one"));
  const tool = await Tool.listening([file], Tool.allowing(folder));
  const endless = 'console.error("loading"); setInterval(() => {}, 1000); ' +
    `await new Promise(() => {}); ${answering("two")}`;
  await Deno.writeTextFile(file, endless);
  tool.kill("SIGHUP");
  await tool.line(/^loading$/);
  assertEquals(await ask(tool.addr), "one");
  return { tool, file };
}

testWithSignals("cli: stops even if a module loads for ever", async () => {
  await using folder = await temporaryFolder();
  const { tool } = await loadingForEver(folder.path);
  await using _tool = tool;
  assert((await lastLine(tool))?.endsWith("stopped after 1 exchange"));
});

testWithSignals(
  "cli: SIGHUP gives up a module that loads for ever, and loads it once more",
  async () => {
    await using folder = await temporaryFolder();
    const { tool, file } = await loadingForEver(folder.path);
    await using _tool = tool;
    await Deno.writeTextFile(file, answering("three"));
    await reload(tool, /INFO reloaded the module$/);
    assertEquals(await ask(tool.addr), "three");
    assert((await lastLine(tool))?.endsWith("stopped after 2 exchanges"));
  },
);

/** A server of TLS with a certificate that can be changed. */
async function serverOfTls(folder: string, ...flags: string[]) {
  const used = { cert: `${folder}/used.pem`, key: `${folder}/used.key` };
  const old = await newCertificate(`${folder}/old`);
  const fresh = await newCertificate(`${folder}/new`);
  await copy(old, used);
  const tool = await Tool.listening(
    ["--tls-cert", used.cert, "--tls-key", used.key, ...flags],
    Tool.allowing(folder, "--unstable-net"),
  );
  const trusting = (...files: PemFiles[]) =>
    Deno.connectTls({
      hostname: "localhost",
      port: tool.port,
      caCerts: files.map(({ cert }) => Deno.readTextFileSync(cert)),
    });
  /** Asks as one who trusts this certificate only. */
  const askTrusting = async (files: PemFiles) => {
    const conn = await trusting(files);
    await conn.handshake();
    const request = new TextEncoder().encode("hello");
    assertEquals(await exchangeOn(conn, request), request);
  };
  return { tool, used, old, fresh, trusting, askTrusting };
}

async function copy(from: PemFiles, to: PemFiles): Promise<void> {
  await Deno.copyFile(from.cert, to.cert);
  await Deno.copyFile(from.key, to.key);
}

testIf(
  isLinux && hasOpenssl,
  "Linux and openssl",
  "cli: SIGHUP changes the certificate of --reuse-port, and serves the backlog",
  async () => {
    await using folder = await temporaryFolder();
    const { tool, used, old, fresh, trusting, askTrusting } = await serverOfTls(
      folder.path,
      "--reuse-port",
    );
    await using _ = tool;
    await askTrusting(old);
    for (
      const [current, next] of [[old, fresh], [fresh, old], [
        old,
        fresh,
      ]] as const
    ) {
      // The first holds the server, the others wait in the backlog.
      const connecting = Array.from(
        { length: 10 },
        () => Deno.connect({ port: tool.port }),
      );
      const clients = await Promise.all(connecting);
      await copy(next, used);
      await reload(tool, /INFO reloaded the certificate$/);
      const answers = clients.map(async (client) => {
        const conn = await Deno.startTls(client, {
          hostname: "localhost",
          caCerts: [Deno.readTextFileSync(current.cert)],
        });
        return await exchangeOn(conn, "waited");
      });
      const expected = new TextEncoder().encode("waited");
      for (const answer of await Promise.all(answers)) {
        assertEquals(
          answer,
          expected,
        );
      }
      await askTrusting(next);
      const wrong = await trusting(current);
      await assertRejects(() => wrong.handshake(), Deno.errors.InvalidData);
      wrong.close();
    }
    await reload(tool, /INFO reloaded nothing$/);
    await Deno.writeTextFile(used.cert, "no certificate");
    await reload(tool, /ERROR cannot use a new certificate, .* no PEM in it$/);
    await Deno.copyFile(old.cert, used.cert);
    await reload(
      tool,
      /ERROR cannot use a new certificate, going on as before: /,
    );
    await askTrusting(fresh);
  },
);

testIf(
  isUnix && hasOpenssl,
  "signals and openssl",
  "cli: SIGHUP says what lacks for a new certificate without --reuse-port",
  async () => {
    await using folder = await temporaryFolder();
    const { tool, used, old, fresh, askTrusting } = await serverOfTls(
      folder.path,
    );
    await using _ = tool;
    await reload(tool, /INFO reloaded nothing$/);
    await copy(fresh, used);
    await reload(
      tool,
      /ERROR cannot use a new certificate, .* --reuse-port \(and deno with --unstable-net\)/,
    );
    await askTrusting(old);
  },
);

testIf(
  isLinux && hasOpenssl,
  "Linux and openssl",
  "cli: SIGHUP says nothing of a new certificate that comes after SIGTERM",
  async () => {
    await using folder = await temporaryFolder();
    const { tool, used, old, fresh, trusting } = await serverOfTls(
      folder.path,
      "--reuse-port",
    );
    await using _ = tool;
    const slow = await trusting(old);
    await slow.write(new TextEncoder().encode("slow"));
    await Deno.copyFile(fresh.cert, used.cert);
    await Deno.remove(used.key);
    assertEquals((await runProgram("mkfifo", [used.key])).code, 0);
    tool.kill("SIGHUP");
    // It opens when the tool reads it, which it does last.
    const fifo = await Deno.open(used.key, { write: true });
    tool.kill("SIGTERM");
    await tool.refusesConnections();
    await fifo.write(await Deno.readFile(fresh.key));
    fifo.close();
    await turnOfIo();
    assertEquals(await exchangeOn(slow, ""), new TextEncoder().encode("slow"));
    const { code, lines } = await tool.ending();
    assertEquals(code, 0);
    assertEquals(lines.filter((line) => / ERROR |reload/.test(line)), []);
  },
);

testIf(
  isLinux && hasOpenssl,
  "Linux and openssl",
  "cli: SIGHUP takes a new certificate from a module, too",
  async () => {
    await using folder = await temporaryFolder();
    const old = await newCertificate(`${folder.path}/old`);
    const fresh = await newCertificate(`${folder.path}/new`);
    const file = `${folder.path}/handler.ts`;
    const write = ({ cert, key }: PemFiles) =>
      Deno.writeTextFile(
        file,
        `export default {
      hostname: "127.0.0.1", port: 0, reusePort: true,
      cert: Deno.readTextFileSync("${cert}"),
      key: Deno.readTextFileSync("${key}"),
      handler: () => "hello",
    };`,
      );
    await write(old);
    await using tool = new Tool(
      [file],
      Tool.allowing(folder.path, "--unstable-net"),
    );
    const [, port] = await tool.line(/ listening on 127\.0\.0\.1:(\d+)$/);
    await write(fresh);
    await reload(tool, /INFO reloaded the module and the certificate$/);
    const conn = await Deno.connectTls({
      hostname: "localhost",
      port: Number(port),
      caCerts: [Deno.readTextFileSync(fresh.cert)],
    });
    await conn.handshake();
    conn.close();
  },
);

testWithSignals(
  "cli: SIGHUP is not heeded by a server that stops",
  async () => {
    await using tool = await Tool.listening();
    const slow = await begin(tool.addr, "slow");
    tool.kill("SIGTERM");
    await tool.refusesConnections();
    tool.kill("SIGHUP");
    await slow.closeWrite();
    assertEquals(await readText(slow), "slow");
    const { code, lines } = await tool.ending();
    assertEquals(code, 0);
    assertEquals(lines.filter((line) => line.includes("reload")), []);
  },
);

testWithSignals(
  "heedSignals() lets no late SIGHUP end the process",
  async () => {
    const script = `
    import { heedSignals } from ${
      JSON.stringify(`${root}/cli/lifecycle/signals.ts`)
    };
    heedSignals({ stop() {}, reload() {} })[Symbol.dispose]();
    Deno.addSignalListener("SIGUSR1", () => Deno.exit());
    setInterval(() => {}, 1000);
    // Signals are told of in the order of their numbers.
    Deno.kill(Deno.pid, "SIGHUP");
    Deno.kill(Deno.pid, "SIGUSR1");
  `;
    const { code, stderr } = await runProgram(Deno.execPath(), [
      "eval",
      script,
    ]);
    assertEquals(code, 0, stderr);
  },
);

// Runs a command on a terminal, tells when it listens, and closes the terminal
// when it is told to.
const closingTerminal = `
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
signal.alarm(120) # who waits in vain shall fail, not hang
output = b""
def await_line(expected):
    global output
    while expected not in output or not output.endswith(b"\\n"):
        output += os.read(terminal, 4096)
await_line(b" listening on ")
os.kill(pid, signal.SIGHUP)
await_line(b" reloaded nothing")
print(output.decode(), flush=True)
sys.stdin.readline()
os.close(terminal)
print("closed", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
`;

testIf(
  isUnix && await printed(["python3", "-c", "import pty"]) !== undefined,
  "python3",
  "cli: stops, and loses nobody, when its terminal is closed",
  async () => {
    const command = Tool.command(["--host", "127.0.0.1", "--port", "0"]);
    await using child = spawn("python3", ["-c", closingTerminal, ...command], {
      stdin: "piped",
      stderr: "inherit",
    });
    const output = child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    let text = "";
    const read = async () => {
      const { value, done } = await output.read();
      text += value ?? "";
      return !done;
    };
    while (!text.includes("reloaded") && await read());
    const [, port] = /listening on 127\.0\.0\.1:(\d+)/.exec(text) ?? [];
    const slow = await begin({ port: Number(port) }, "slow");
    const stdin = child.stdin.getWriter();
    await stdin.write(new TextEncoder().encode("close\n"));
    await untilRefused({ port: Number(port) });
    await slow.closeWrite();
    assertEquals(await readText(slow), "slow");
    while (await read());
    assertStringIncludes(text, "closed 0");
    await stdin.close();
  },
);

// Only there does the kernel hand over connections, and only to root.
const namespace = inOwnNetwork("sysctl -q net.ipv4.tcp_migrate_req=1");
const hasNamespaces = isUnix && hasOpenssl &&
  await printed([...namespace, "true"]) !== undefined;

testIf(
  hasNamespaces,
  "root, unshare, ip, sysctl and openssl",
  "cli: SIGHUP under traffic drops nobody where the kernel hands connections over",
  async () => {
    const [program = "", ...args] = [
      ...namespace,
      Deno.execPath(),
      "run",
      "-A",
      ...importMap(),
      "tests/soak/reloads.ts",
      "--count",
      "10",
      "--clients",
      "4",
      "--rate",
      "50",
    ];
    const { code, stdout, stderr } = await runProgram(program, args);
    assertEquals(code, 0, stdout + stderr);
    assertStringIncludes(stdout, "10 reloads, ");
    assertStringIncludes(stdout, " 0 lost");
  },
);
