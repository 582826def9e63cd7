// `halfclose send --receipt`: it succeeds only if the request was kept, whatever
// happens on the way.

import { assert, assertEquals, assertMatch } from "@std/assert";
import net from "node:net";
import { decode, pattern } from "./bytes.ts";
import { Peer } from "./peer.ts";
import { canTrace, kill, printed, runProgram, spawn } from "./programs.ts";
import {
  namesIn,
  serveLocally,
  temporaryFolder,
  testIf,
  testWithSignals,
  until,
} from "./support.ts";
import { Tool, type ToolOptions } from "./tool.ts";

/** A file, and what becomes of it. */
interface Job {
  /** What it ends with: exit status, standard output, standard error. */
  readonly status: number;
  readonly reply: string;
  readonly complaint: string;
  /** Whether the file is still there. */
  readonly isThere: boolean;
}

const hash = /^([\da-f]{64}) {2}\S+\n$/;
const unconfirmed =
  /^halfclose: [^\n]+, and 127\.0\.0\.1:\d+ has not confirmed that it has kept the request \(it may have kept it all the same\)\n$/;

/** Sends a file, and removes it if that succeeds, as people do. */
async function sendAndRemove(
  port: number,
  content: Uint8Array = pattern(300_000),
  flags: string[] = [],
): Promise<Job> {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/job`;
  await Deno.writeFile(file, content);
  const command = Tool.command(
    ["send", "--receipt", "--file", file, ...flags, `127.0.0.1:${port}`],
    { permissions: ["-N", "-R"] },
  );
  const script = 'job=$1; shift; "$@" && rm "$job"';
  const { code, stdout, stderr } = await runProgram("sh", [
    ...["-c", script, "sh", file],
    ...command,
  ]);
  const isThere = namesIn(folder.path).length > 0;
  return { status: code, reply: stdout, complaint: stderr, isThere };
}

function assertUnconfirmed(job: Job): void {
  assertMatch(job.complaint, unconfirmed);
  assertEquals([job.status, job.isThere], [1, true]);
}

/** Starts a sink in a folder, and gives both to a test. */
async function withSink(
  test: (tool: Tool, dir: string) => Promise<void>,
  flags: string[] = [],
  wrapper: (dir: string) => string[] = () => [],
): Promise<void> {
  await using folder = await temporaryFolder();
  const dir = folder.path;
  const options: ToolOptions = {
    ...Tool.allowing(dir),
    wrapper: wrapper(dir),
    env: { DENO_NO_UPDATE_CHECK: "1" },
  };
  await using tool = await Tool.listening(["--sink", dir, ...flags], options);
  await test(tool, dir);
}

testWithSignals("send --receipt succeeds if the file was kept", async () => {
  await withSink(async (tool, dir) => {
    for (const size of [1, 300_000, 20_000_000]) {
      const job = await sendAndRemove(tool.port, pattern(size));
      assertMatch(job.reply, hash);
      assertEquals([job.status, job.complaint, job.isThere], [0, "", false]);
    }
    assertEquals(namesIn(dir).length, 3);
  }, ["--max-request-bytes", "none"]);
});

testWithSignals("send --receipt fails if the request is refused", async () => {
  await withSink(async (tool, dir) => {
    const job = await sendAndRemove(tool.port);
    assertUnconfirmed(job);
    assertMatch(job.reply, /^halfclose: request refused, it is larger/);
    assertEquals(namesIn(dir), []);
  }, ["--max-request-bytes", "1000"]);
});

testWithSignals("send --receipt fails if the request is empty", async () => {
  await withSink(async (tool, dir) => {
    const job = await sendAndRemove(tool.port, new Uint8Array());
    assertUnconfirmed(job);
    assertEquals(job.reply, "halfclose: request not kept, it is empty\n");
    assertEquals(namesIn(dir), []);
  });
});

testIf(
  Deno.build.os === "linux" &&
    await printed(["unshare", "--mount", "true"]) !== undefined,
  "root and unshare",
  "send --receipt fails if the disk of the server is full",
  async () => {
    const script = 'mount -t tmpfs -o size=64k none "$1" && shift && exec "$@"';
    await withSink(
      async (tool) => {
        const full = await sendAndRemove(tool.port);
        assertUnconfirmed(full);
        assertMatch(full.reply, /^halfclose: request failed/);
        // Nothing is left of it, so that this one fits.
        const fits = await sendAndRemove(tool.port, pattern(60_000));
        assertEquals([fits.status, fits.isThere], [0, false]);
      },
      [],
      (dir) => ["unshare", "--mount", "sh", "-c", script, "sh", dir],
    );
  },
);

testWithSignals(
  "send --receipt fails if a proxy cuts the request",
  async () => {
    await withSink(async (tool, dir) => {
      // As nginx does with a client's reset: what came, and a FIN.
      await using proxy = await Peer.of((client) => {
        const server = net.connect(tool.port, "127.0.0.1");
        client.once("data", (chunk) => server.end(chunk.subarray(0, 1000)));
        client.resume();
        server.pipe(client);
      });
      const job = await sendAndRemove(proxy.port);
      assertUnconfirmed(job);
      // It has kept something else.
      assertMatch(job.reply, hash);
      const [name = ""] = namesIn(dir);
      assertEquals((await Deno.stat(`${dir}/${name}`)).size, 1000);
    });
  },
);

for (const victim of ["client", "server"] as const) {
  testWithSignals(
    `send --receipt fails if the ${victim} is killed in the middle`,
    async () => {
      await withSink(async (tool, dir) => {
        const [program = "", ...args] = Tool.command(
          ["send", "--receipt", `127.0.0.1:${tool.port}`],
        );
        const child = spawn(program, args, { stdin: "piped" });
        const writer = child.stdin.getWriter();
        await writer.write(pattern(100_000));
        await until(() => namesIn(dir).length);
        if (victim === "client") kill(child);
        else tool.kill("SIGKILL");
        await writer.abort().catch(() => {});
        const { code, stdout, stderr } = await child.output();
        assertEquals([code, stdout.length], [victim === "client" ? 137 : 1, 0]);
        if (victim === "server") assertMatch(decode(stderr), unconfirmed);
      });
    },
  );
}

/**
 * The words before a program whose system calls fail. It stays our own child.
 *
 * @param path Where they fail, or everywhere.
 */
function injecting(fault: string, path?: string): string[] {
  const [call = ""] = fault.split(":");
  return [
    ..."strace -D -f -qq -o /dev/null".split(" "),
    ...["-e", `trace=${call}`, "-e", `inject=${fault}`],
    ...path === undefined ? [] : ["-P", path],
  ];
}

for (
  const [when, call, where, keeps] of [
    ["before the rename", "rename", "everywhere", false],
    ["after the rename", "fsync", "the folder", true],
  ] as const
) {
  testIf(
    await canTrace(),
    "strace",
    `send --receipt fails if the server is killed ${when}`,
    async () => {
      await withSink(
        async (tool, dir) => {
          assertUnconfirmed(await sendAndRemove(tool.port));
          const whole = namesIn(dir).filter((name) => !name.startsWith("."));
          assertEquals(whole.length, keeps ? 1 : 0);
        },
        [],
        (dir) =>
          injecting(
            `${call}:signal=SIGKILL`,
            where === "the folder" ? dir : undefined,
          ),
      );
    },
  );
}

for (
  const [what, error, where, log, keeps] of [
    ["a file", "EIO", "everywhere", "failed while handling", false],
    ["its folder", "EIO", "the folder", "failed while handling", true],
    ["its folder, if it can be", "EINVAL", "the folder", "ok", true],
  ] as const
) {
  testIf(
    await canTrace(),
    "strace",
    `send --receipt says that ${what} is on the disk (${error})`,
    async () => {
      await withSink(
        async (tool, dir) => {
          const job = await sendAndRemove(tool.port);
          if (log === "ok") assertEquals(job.status, 0);
          else assertUnconfirmed(job);
          const [line] = await tool.line(/ bytes in, .*/);
          assert(line.includes(`ms, ${log}`), line);
          assertEquals(namesIn(dir).length, keeps ? 1 : 0);
          assertEquals(line.includes(", kept: "), keeps);
        },
        [],
        (dir) =>
          injecting(
            `fsync:error=${error}`,
            where === "the folder" ? dir : undefined,
          ),
      );
    },
  );
}

for (
  const [what, reply, status] of [
    ["a receipt", "HASH  name\n", 0],
    ["a receipt of sha256sum -b", "HASH *name\n", 0],
    ["no newline", "HASH  name", 1],
    ["two lines", "HASH  name\nHASH  name\n", 1],
    ["no name", "HASH\n", 1],
    ["more than a hash", "HASH0  name\n", 1],
    ["a line before it", "\nHASH  name\n", 1],
    ["nothing", "", 1],
    ["a very long name", `HASH  ${"x".repeat(10_000)}\n`, 1],
  ] as const
) {
  Deno.test(`send --receipt ends with ${status} on ${what}`, async () => {
    const { server } = serveLocally({}, async (conn) => {
      const digest = await crypto.subtle.digest("SHA-256", await conn.bytes());
      const hash = new Uint8Array(digest).toHex();
      return reply.replaceAll("HASH", hash);
    });
    const job = await sendAndRemove(server.addr.port);
    assertEquals(job.status, status);
    if (status === 1) assertUnconfirmed(job);
    await server.shutdown();
  });
}

Deno.test("send --receipt says that nothing was sent, or that time is over", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const late = await sendAndRemove(port, pattern(10), ["--timeout", "300ms"]);
  assertMatch(late.complaint, unconfirmed);
  assertEquals([late.status, late.isThere], [124, true]);
  listener.close();
  const { status, complaint } = await sendAndRemove(port);
  assertMatch(complaint, /^halfclose: Cannot connect to [^,]*\n$/);
  assertEquals(status, 1);
});
