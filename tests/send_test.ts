// `halfclose send`, run as its users run it, against our server and others.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { listen } from "../mod.ts";
import { assertSame, encode, pattern } from "./bytes.ts";
import { Peer } from "./peer.ts";
import { lines, printed, root, runProgram, spawn } from "./programs.ts";
import { local } from "./sockets.ts";
import { serveLocally, temporaryFolder, testIf, testUnix } from "./support.ts";
import { authorityFile, cert, key, keyFile } from "./tls.ts";
import { Tool, type ToolOptions } from "./tool.ts";

const decoder = new TextDecoder();

/** How one ended: its exit status, its reply, what it complained of. */
interface Sent {
  code: number;
  reply: Uint8Array<ArrayBuffer>;
  complaint: string;
}

/** Starts `halfclose send` with its standard input still open. */
function start(
  args: string[],
  options: ToolOptions = {},
): Deno.ChildProcess {
  const [program = "", ...rest] = Tool.command(["send", ...args], options);
  return spawn(program, rest, { stdin: "piped" });
}

async function ended(child: Deno.ChildProcess): Promise<Sent> {
  const { code, stdout, stderr } = await child.output();
  return { code, reply: stdout, complaint: decoder.decode(stderr) };
}

/** Runs `halfclose send` to its end. */
async function send(
  args: string[],
  input: string | Uint8Array<ArrayBuffer> = "",
  options?: ToolOptions,
): Promise<Sent> {
  const child = start(args, options);
  const sent = ended(child);
  const feeding = (async () => {
    const writer = child.stdin.getWriter();
    try {
      await writer.write(typeof input === "string" ? encode(input) : input);
      await writer.close();
    } catch {
      // It has ended before it had read all of it.
    }
  })();
  await feeding;
  return await sent;
}

/** Checks that it gave its reason in one line, and printed nothing else. */
function assertComplains(sent: Sent, code: number, reason: string): void {
  assertEquals(decoder.decode(sent.reply), "");
  assertStringIncludes(sent.complaint, reason);
  assertMatch(sent.complaint, /^halfclose: [^\n]+\n$/);
  assertEquals(sent.code, code);
}

/** Checks that it got a reply, and had nothing to complain of. */
function assertReplied(sent: Sent, expected: string | Uint8Array): void {
  assertEquals([sent.code, sent.complaint], [0, ""]);
  const bytes = typeof expected === "string" ? encode(expected) : expected;
  assertSame(sent.reply, bytes);
}

function placeOf({ hostname, port }: Deno.NetAddr): string {
  return `${hostname}:${port}`;
}

const permissions = ["-N", "-R"];

Deno.test("send sends standard input and prints the reply, byte for byte", async () => {
  const { server } = serveLocally();
  for (const size of [0, 1, 65_537, 5_000_000]) {
    const request = pattern(size);
    assertReplied(await send([placeOf(server.addr)], request), request);
  }
  await server.shutdown();
});

Deno.test("send sends a file", async () => {
  const { server } = serveLocally();
  await using folder = await temporaryFolder();
  const path = `${folder.path}/request`;
  await Deno.writeFile(path, pattern(3_000_000));
  const args = ["--file", path, placeOf(server.addr)];
  const sent = await send(args, "not this", { permissions });
  assertReplied(sent, pattern(3_000_000));
  await server.shutdown();
});

Deno.test("send streams both ways", async () => {
  const { server } = serveLocally({ streaming: true }, (conn) => conn.readable);
  const child = start([placeOf(server.addr)]);
  const writer = child.stdin.getWriter();
  const reader = child.stdout.getReader();
  for (const text of ["one", "two", "three"]) {
    await writer.write(encode(text));
    const { value } = await reader.read();
    assertEquals(decoder.decode(value), text);
  }
  await writer.close();
  assertEquals((await reader.read()).done, true);
  await child.stderr.cancel();
  assertEquals((await child.status).code, 0);
  await server.shutdown();
});

Deno.test("send speaks TLS", async (t) => {
  const { server } = serveLocally({ cert, key });
  const { port } = server.addr;
  await t.step("with an authority of our own", async () => {
    const args = ["--tls", "--ca", authorityFile, `localhost:${port}`];
    const request = pattern(300_000);
    assertReplied(await send(args, request, { permissions }), request);
  });
  await t.step("and trusts no others", async () => {
    const sent = await send(["--tls", `localhost:${port}`], "secret");
    assertComplains(sent, 1, `Cannot agree on TLS with localhost:${port}`);
    assertStringIncludes(sent.complaint, "with --ca");
  });
  await server.shutdown();
});

testUnix("send reaches a Unix socket", async (folder) => {
  const permissions = ["-N", "-R", "-W"];
  const path = `${folder}/test.sock`;
  const listener = listen({ path });
  const sending = send([`unix:${path}`], "hello", { permissions });
  for await (const conn of listener) {
    await conn.respond((await conn.text()).toUpperCase());
    break;
  }
  assertReplied(await sending, "HELLO");
  const sent = await send([`unix:${folder}/none.sock`], "", { permissions });
  assertComplains(sent, 1, `Cannot connect to ${folder}/none.sock`);
});

/** Servers of others, which print the port that they got. */
const others: [name: string, command: string, args: string[], port: RegExp][] =
  [
    ["socat", "socat", [
      "-dd",
      "TCP-LISTEN:0,bind=127.0.0.1",
      "EXEC:tr a-z A-Z",
    ], /listening on .*:(\d+)/],
    ["Python's socketserver", "python3", [
      "-c",
      `import socketserver, sys
class Upper(socketserver.StreamRequestHandler):
  def handle(self): self.wfile.write(self.rfile.read().upper())
server = socketserver.TCPServer(("127.0.0.1", 0), Upper)
print("port", server.server_address[1], file=sys.stderr, flush=True)
server.handle_request()
server.server_close()`,
    ], /port (\d+)/],
  ];

for (const [name, command, args, port] of others) {
  testIf(
    await printed(["openssl", "version"]) !== undefined,
    "openssl",
    "send: a certificate of one's own is trusted if it is made as the docs say",
    async () => {
      await using folder = await temporaryFolder();
      const { path } = folder;
      const page = await Deno.readTextFile(`${root}/docs/cli.md`);
      const [command = ""] = /^openssl req .*$/m.exec(page) ?? [];
      const [cert, key] = [`${path}/cert.pem`, `${path}/key.pem`];
      const sendTo = async (port: number) =>
        await send(["--tls", "--ca", cert, `localhost:${port}`], "hello", {
          permissions: ["-N", "-R"],
        });
      const seen = [];
      for (
        const made of [command, command.replace(/ -addext basicConst.*/, "")]
      ) {
        const { code, stderr } = await runProgram("sh", [
          "-c",
          `cd '${path}' && ${made}`,
        ]);
        assertEquals(code, 0, stderr);
        const { server } = serveLocally({
          cert: await Deno.readTextFile(cert),
          key: await Deno.readTextFile(key),
        });
        const { code: status, reply, complaint } = await sendTo(
          server.addr.port,
        );
        seen.push([status, decoder.decode(reply)]);
        if (status !== 0) assertStringIncludes(complaint, "CA:FALSE");
        await server.shutdown();
      }
      assertEquals(seen, [[0, "hello"], [1, ""]]);
    },
  );

  Deno.test({
    name: `send talks to ${name}`,
    ignore: Deno.build.os === "windows",
    async fn() {
      const server = spawn(command, args, { stdout: "null" });
      const log = lines(server.stderr);
      let found: string | undefined;
      while (found === undefined) {
        const { value } = await log.next();
        if (value === undefined) throw new Error("It does not listen");
        found = port.exec(value)?.[1];
      }
      assertReplied(await send([`127.0.0.1:${found}`], "hello"), "HELLO");
      for await (const _ of log);
      await server.status;
    },
  });
}

// What goes wrong

Deno.test("send says where nobody listens", async () => {
  const listener = Deno.listen(local);
  const place = placeOf(listener.addr);
  listener.close();
  assertComplains(await send([place]), 1, `Cannot connect to ${place}: `);
});

Deno.test("send exits with 124 when its time is over", async () => {
  const { server } = serveLocally();
  // Its input does not end.
  const child = start(["--timeout", "100ms", placeOf(server.addr)]);
  assertComplains(
    await ended(child),
    124,
    `${placeOf(server.addr)} took longer than the 100 ms of --timeout`,
  );
  await child.stdin.close().catch(() => {});
  await server.shutdown();
});

testUnix(
  "send exits with 124 even if its file does not open",
  async (folder) => {
    const { server } = serveLocally();
    const file = `${folder}/fifo`;
    await runProgram("mkfifo", [file]);
    const place = placeOf(server.addr);
    const sent = await send(["--timeout", "100ms", "--file", file, place], "", {
      permissions: ["-N", "-R"],
    });
    assertComplains(sent, 124, "took longer than the 100 ms of --timeout");
    await server.shutdown();
  },
);

Deno.test("send prints what came before the server reset", async () => {
  const printed = Promise.withResolvers<void>();
  await using peer = await Peer.of((socket) => {
    socket.resume();
    socket.write("so far");
    printed.promise.then(() => socket.resetAndDestroy());
  });
  const child = start([`127.0.0.1:${peer.port}`]);
  const reader = child.stdout.getReader();
  assertEquals(decoder.decode((await reader.read()).value), "so far");
  printed.resolve();
  assertEquals((await reader.read()).done, true);
  const complaint = await new Response(child.stderr).text();
  assertMatch(complaint, /^halfclose: The server reset the connection.*\n$/);
  assertEquals((await child.status).code, 1);
  await child.stdin.close().catch(() => {});
});

Deno.test("send fails if the server does not take the whole request", async () => {
  await using peer = await Peer.of((socket) => {
    socket.pause();
    socket.end("enough", () => socket.destroy());
  });
  const place = `127.0.0.1:${peer.port}`;
  const sent = await send([place], pattern(16 * 1024 ** 2));
  assertEquals(decoder.decode(sent.reply), "enough");
  // Deno's `node:net` cannot always tell this from a reset in mid-reply.
  const { complaint } = sent;
  const reasons = [
    `halfclose: ${place} closed before it had taken the whole request\n`,
    "halfclose: The server reset the connection after 6 bytes of its reply\n",
  ];
  assert(reasons.includes(complaint), complaint);
  assertEquals(sent.code, 1);
});

Deno.test("send leaves quietly when nobody reads the reply", async () => {
  const { server, records } = serveLocally(
    {},
    () => pattern(16 * 1024 ** 2),
  );
  const child = start([placeOf(server.addr)]);
  await child.stdin.close();
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  assertEquals(await new Response(child.stderr).text(), "");
  assertEquals((await child.status).code, 141);
  assertEquals((await records.nth(1)).outcome, "reset");
  await server.shutdown();
});

const misuses: [args: string[], reason: string][] = [
  [[], "send needs a destination: HOST:PORT, [IPV6]:PORT or unix:PATH"],
  [["localhost"], 'received "localhost"'],
  [["localhost:"], 'received "localhost:"'],
  [[":80"], 'received ":80"'],
  [["localhost:0"], 'received "localhost:0"'],
  [["localhost:65536"], 'received "localhost:65536"'],
  [["localhost:http"], 'received "localhost:http"'],
  [["::1:80"], 'received "::1:80"'],
  [["http://localhost:80"], 'received "http://localhost:80"'],
  [["unix:"], 'received "unix:"'],
  [["a:1", "b:2"], 'unexpected argument "b:2"'],
  [["a:1", "--", "b"], 'unexpected argument "b"'],
  [["--tls", "unix:x"], "--tls is not for Unix sockets"],
  [["--ca", "x", "a:1"], "--ca needs --tls"],
  [["--file"], "--file needs a value"],
  [["--timeout", "soon", "a:1"], "--timeout must be a time"],
  [["--timeout", "0", "a:1"], "--timeout must be a time"],
  [["--timout", "1s", "a:1"], "Did you mean --timeout?"],
  [["--port", "80"], "unknown flag --port"],
];

for (const [args, reason] of misuses) {
  Deno.test(`send refuses ${args.join(" ") || "no arguments"}`, async () => {
    assertComplains(await send(args), 2, reason);
  });
}

Deno.test("send says which files it cannot use", async () => {
  await using folder = await temporaryFolder();
  const dir = folder.path;
  const tls = ["--tls", "localhost:1", "--ca"];
  for (
    const [args, reason] of [
      [["a:1", "--file", `${dir}/none`], `Cannot read ${dir}/none: No such`],
      [["a:1", "--file", dir], `Cannot read ${dir}: it is a directory`],
      [[...tls, `${dir}/none`], `Cannot read ${dir}/none: No such`],
      [
        [...tls, keyFile],
        "localhost.key: there is no certificate in PEM in it",
      ],
    ] as const
  ) assertComplains(await send([...args], "", { permissions }), 1, reason);
});

Deno.test("send names the permission that lacks, and asks for none", async () => {
  for (
    const [args, granted, missing] of [
      [["127.0.0.1:1"], [], "-N (--allow-net)"],
      [["127.0.0.1:1", "--file", "x"], ["-N"], "-R=x (--allow-read)"],
      [["localhost:1", "--tls", "--ca", "x"], ["-N"], "-R=x (--allow-read)"],
      [["unix:x"], ["-R", "-W"], "-N (--allow-net)"],
      [["unix:/x"], ["-R", "-W"], "-N=unix:/x (--allow-net)"],
      [["unix:x"], ["-N", "-W"], "-R=x (--allow-read)"],
      [["unix:x"], ["-N", "-R"], "-W=x (--allow-write)"],
    ] as const
  ) {
    const sent = await send([...args], "", { permissions: [...granted] });
    assertComplains(sent, 1, `without permission. Run deno with ${missing}`);
  }
});

Deno.test("send explains its flags and exit statuses", async () => {
  const { code, reply, complaint } = await send(["--help"]);
  assertEquals([code, complaint], [0, ""]);
  const help = decoder.decode(reply);
  for (const flag of ["--file", "--receipt", "--timeout", "--tls", "--ca"]) {
    assertStringIncludes(help, flag);
  }
  for (const status of [0, 1, 2, 124, 129, 130, 141, 143]) {
    assertMatch(help, RegExp(`[ ,]${status}[ :]`));
  }
});

// On a terminal

/** Runs a command line of a shell in a terminal, and gives what that shows. */
async function onTerminal(line: string): Promise<string> {
  const args = ["-qec", line, "/dev/null"];
  const { code, stdout } = await runProgram("script", args);
  assertEquals(code, 0);
  return stdout;
}

function quote(words: string[]): string {
  return words.map((word) => `'${word}'`).join(" ");
}

Deno.test({
  name: "send shows a bar for large inputs on a terminal, and wipes it away",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { server } = serveLocally();
    await using folder = await temporaryFolder();
    const path = `${folder.path}/request`;
    await Deno.writeFile(path, pattern(3 * 1024 ** 2));
    const place = placeOf(server.addr);
    const file = quote(
      Tool.command(["send", "--file", path, place], { permissions }),
    );
    const input = quote(Tool.command(["send", place]));
    assertMatch(
      await onTerminal(`${file} >/dev/null`),
      // deno-lint-ignore no-control-regex -- it is what wipes a line.
      /^\r\x1b\[K\[00:00\] \[-{44}\] \[0\.00\/3\.00 MiB\].*\r\x1b\[K$/s,
    );
    assertMatch(
      await onTerminal(`${input} <'${path}' >/dev/null`),
      // deno-lint-ignore no-control-regex -- it is what wipes a line.
      /^\r\x1b\[K\[00:00\] \[\d\.\d\d MiB\].*\r\x1b\[K$/s,
    );
    await Deno.writeFile(path, pattern(1000));
    assertEquals(await onTerminal(`${file} >/dev/null`), "");
    assertEquals(await onTerminal(`${input} <'${path}' >/dev/null`), "");
    await server.shutdown();
  },
});
