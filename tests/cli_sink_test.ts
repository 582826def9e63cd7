// Requests that become files: `halfclose --sink DIR`.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import {
  ask,
  connect,
  encode,
  pattern,
  RudeClient,
  send,
  writeAll,
} from "./support.ts";
import {
  assertSame,
  checkRefusal,
  outcomes,
  run,
  testWithSignals,
  Tool,
} from "./tool.ts";

const nameLine = /^\d{8}T\d{9}Z-\d{6,}-[\da-f]{16}\n$/;

/** The names of the files in a folder, in order. */
function namesIn(dir: string): string[] {
  return Array.from(Deno.readDirSync(dir), ({ name }) => name).sort();
}

/** Starts a sink in a folder that is gone after the test. */
function testSink(
  name: string,
  flags: string[],
  test: (tool: Tool, dir: string) => Promise<void>,
): void {
  testWithSignals(name, async () => {
    const parent = await Deno.makeTempDir();
    const dir = `${parent}/in/box`;
    const permissions = ["-N", `-R=${dir}`, `-W=${dir}`];
    try {
      await using tool = await Tool.listening(["--sink", dir, ...flags], {
        permissions,
      });
      await test(tool, dir);
    } finally {
      await Deno.remove(parent, { recursive: true });
    }
  });
}

/** The temporary file of the request that is being kept. */
async function partIn(dir: string): Promise<string> {
  for (;;) {
    const part = namesIn(dir).find((name) => name.endsWith(".part"));
    if (part) return `${dir}/${part}`;
    await new Promise((done) => setTimeout(done, 10));
  }
}

/** Waits until a file has so many bytes. */
async function untilLarge(path: string, size: number): Promise<void> {
  while (Deno.statSync(path).size < size) {
    await new Promise((done) => setTimeout(done, 10));
  }
}

testSink(
  "cli: --sink keeps requests of all sizes, and replies with their names",
  ["--max-request-bytes", "none"],
  async (tool, dir) => {
    assertEquals(namesIn(dir), []);
    const names: string[] = [];
    for (const size of [0, 1, 65_536, 65_537, 20_000_000]) {
      const request = pattern(size);
      const conn = await send(tool.addr, request);
      const reply = await new Response(conn.readable).text();
      assertMatch(reply, nameLine);
      names.push(reply.trim());
      assertSame(await Deno.readFile(`${dir}/${reply.trim()}`), request);
    }
    // They sort by time.
    assertEquals(namesIn(dir), names);
    assertEquals(outcomes(await tool.stop()), Array(5).fill("ok"));
  },
);

testSink(
  "cli: --sink keeps 2000 requests that arrive at once, each whole",
  ["--backlog", "4096"],
  async (tool, dir) => {
    const requestOf = (number: number) =>
      encode(`${number} `.repeat(1024).slice(0, 1024));
    const replies = new Map<string, number>();
    let next = 0;
    await Promise.all(Array.from({ length: 200 }, async () => {
      while (next < 2000) {
        const number = next++;
        const conn = await send(tool.addr, requestOf(number));
        const reply = await new Response(conn.readable).text();
        replies.set(reply.trim(), number);
      }
    }));
    assertEquals(namesIn(dir), [...replies.keys()].sort());
    assertEquals(replies.size, 2000);
    for (const [name, number] of replies) {
      assertSame(await Deno.readFile(`${dir}/${name}`), requestOf(number));
    }
  },
);

testSink(
  "cli: --sink leaves nothing of a request that is too large",
  ["--max-request-bytes", "1KiB"],
  async (tool, dir) => {
    assertStringIncludes(await ask(tool.addr, "x".repeat(1025)), "1024 bytes");
    assertMatch(await ask(tool.addr, "x".repeat(1024)), nameLine);
    assertEquals(outcomes(await tool.stop()), ["too-large", "ok"]);
    assertEquals(namesIn(dir).length, 1);
  },
);

testSink(
  "cli: --sink leaves nothing of a request that is not ended in time",
  ["--deadline", "1s"],
  async (tool, dir) => {
    const conn = await connect(tool.addr);
    await conn.write(encode("hello"));
    const part = await partIn(dir);
    assertMatch(part, /\/\.halfclose-[^/]+\.part$/);
    assertStringIncludes(await new Response(conn.readable).text(), "1000 ms");
    assertEquals(outcomes(await tool.stop()), ["deadline"]);
    assertEquals(namesIn(dir), []);
  },
);

testSink(
  "cli: --sink leaves nothing of a request that is cut short",
  [],
  async (tool, dir) => {
    const rude = await RudeClient.connect(tool.addr);
    await rude.write(pattern(100_000));
    await untilLarge(await partIn(dir), 100_000);
    await rude.reset();
    assertMatch(await ask(tool.addr, "hello"), nameLine);
    assertEquals(outcomes(await tool.stop()), ["reset", "ok"]);
    assertEquals(namesIn(dir).length, 1);
  },
);

testSink(
  "cli: --sink leaves nothing of a request when the server stops at once",
  ["--deadline", "none", "--idle-timeout", "none"],
  async (tool, dir) => {
    const conn = await connect(tool.addr);
    await writeAll(conn, pattern(100_000));
    await untilLarge(await partIn(dir), 100_000);
    tool.kill("SIGTERM");
    await tool.refusesConnections();
    // Signals that come at once count as one.
    const insist = setInterval(() => tool.kill("SIGTERM"), 600);
    const { code } = await tool.ending();
    clearInterval(insist);
    conn.close();
    assertEquals(code, 143);
    assertEquals(namesIn(dir), []);
  },
);

testSink(
  "cli: --sink leaves no half request under its name when it is killed",
  [],
  async (tool, dir) => {
    assertMatch(await ask(tool.addr, "whole"), nameLine);
    const conn = await connect(tool.addr);
    await writeAll(conn, pattern(100_000));
    await untilLarge(await partIn(dir), 100_000);
    tool.kill("SIGKILL");
    await tool.ending();
    conn.close();
    const [part, whole, ...others] = namesIn(dir);
    assertMatch(part ?? "", /^\.halfclose-.*\.part$/);
    assertEquals(await Deno.readTextFile(`${dir}/${whole}`), "whole");
    assertEquals(others, []);
  },
);

testSink(
  "cli: --sink leaves no half request when it is killed under load",
  [],
  async (tool, dir) => {
    const request = pattern(100_000);
    let kept = 0;
    const killed = Promise.withResolvers<void>();
    const clients = Array.from({ length: 20 }, async () => {
      try {
        for (;;) {
          const conn = await send(tool.addr, request);
          await new Response(conn.readable).text();
          if (++kept === 50) killed.resolve();
        }
      } catch {
        // The server is gone.
      }
    });
    await killed.promise;
    tool.kill("SIGKILL");
    await Promise.all(clients);
    await tool.ending();
    const whole = namesIn(dir).filter((name) => !name.endsWith(".part"));
    assert(whole.length >= 50);
    for (const name of whole) {
      assertSame(await Deno.readFile(`${dir}/${name}`), request);
    }
  },
);

testSink(
  "cli: --sink goes on after a request that cannot be kept",
  [],
  async (tool, dir) => {
    await Deno.remove(dir);
    assertEquals(await ask(tool.addr, "hello"), "");
    await Deno.mkdir(dir);
    assertMatch(await ask(tool.addr, "hello"), nameLine);
    assertEquals(outcomes(await tool.stop()), ["failed", "ok"]);
  },
);

Deno.test("cli: --sink says that it is given a file", async () => {
  const args = ["--port", "0", "--sink", "README.md"];
  const permissions = ["-N", "-R=README.md", "-W=README.md"];
  const ending = await run(args, { permissions });
  checkRefusal(ending, 1, "Cannot keep requests in README.md: ");
});
