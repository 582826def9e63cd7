// What answers: an echo, a text, a file; and how often.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { assertSame, encode, pattern } from "./bytes.ts";
import { runProgram } from "./programs.ts";
import { ask, begin, connect, exchange, readText, send } from "./sockets.ts";
import { temporaryFolder, testUnix, testWithSignals } from "./support.ts";
import { checkEnding, checkRefusal, failed, outcomes, Tool } from "./tool.ts";

Deno.test("cli: --echo sends back what is sent, as without it", async () => {
  await using tool = await Tool.listening(["--echo"]);
  assertEquals(await ask(tool.addr, "hello"), "hello");
});

testWithSignals("cli: --text answers with a text", async () => {
  await using tool = await Tool.listening(["--text", "Grüß Gott\n"]);
  for (const request of ["", "hello", "x".repeat(200_000)]) {
    assertEquals(await ask(tool.addr, request), "Grüß Gott\n");
  }
  assertEquals(outcomes(await tool.stop()), ["ok", "ok", "ok"]);
});

testWithSignals(
  "cli: --text turns away a request that is too large",
  async () => {
    const limit = ["--max-request-bytes", "1KiB"];
    await using tool = await Tool.listening(["--text", "hello", ...limit]);
    assertStringIncludes(await ask(tool.addr, "x".repeat(1025)), "1024 bytes");
    assertEquals(await ask(tool.addr, "x".repeat(1024)), "hello");
    assertEquals(outcomes(await tool.stop()), ["too-large", "ok"]);
  },
);

testWithSignals(
  "cli: --text gives up on a client that never half-closes",
  async () => {
    const limit = ["--deadline", "300ms"];
    await using tool = await Tool.listening(["--text", "hello", ...limit]);
    const conn = await begin(tool.addr, "hello");
    assertStringIncludes(await readText(conn), "300 ms");
    assertEquals(outcomes(await tool.stop()), ["deadline"]);
  },
);

/** Defines a test of a file that answers. */
function testFile(
  name: string,
  content: Uint8Array,
  fn: (tool: Tool, path: string) => Promise<void>,
): void {
  testWithSignals(name, async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/file`;
    await Deno.writeFile(path, content);
    const permissions = ["-N", `-R=${path}`];
    await using tool = await Tool.listening(["--file", path], { permissions });
    await fn(tool, path);
  });
}

testFile(
  "cli: --file answers with what the file holds by then",
  encode("one"),
  async (tool, path) => {
    assertEquals(await ask(tool.addr, "?"), "one");
    const large = pattern(5_000_000);
    await Deno.writeFile(path, large);
    assertSame(await exchange(tool.addr, "?"), large);
    await Deno.remove(path);
    assertEquals(await ask(tool.addr, "?"), failed);
    await Deno.writeTextFile(path, "two");
    assertEquals(await ask(tool.addr, "?"), "two");
    assertEquals(outcomes(await tool.stop()), ["ok", "ok", "failed", "ok"]);
  },
);

testFile(
  "cli: --file outlives clients that leave in the middle",
  pattern(20_000_000),
  async (tool) => {
    for (let i = 0; i < 10; i++) {
      const conn = await send(tool.addr, "?");
      await conn.read(new Uint8Array(1));
      conn.close();
    }
    assertEquals((await exchange(tool.addr, "?")).length, 20_000_000);
    const all = outcomes(await tool.stop());
    assertEquals(all, [...Array(10).fill("reset"), "ok"]);
  },
);

Deno.test("cli: --file says that there is no such file", async () => {
  const args = ["--port", "0", "--file", "no-such-file"];
  const ending = await Tool.run(args, { permissions: ["-N", "-R"] });
  checkRefusal(ending, 1, "Cannot read no-such-file: No such file");
});

testUnix("cli: --file says that it is given a FIFO", async (folder) => {
  const file = `${folder}/fifo`;
  await runProgram("mkfifo", [file]);
  const permissions = ["-N", `-R=${folder}`];
  const ending = await Tool.run(["--file", file], { permissions });
  checkRefusal(ending, 1, `Cannot read ${file}: it is a FIFO`);
});

testUnix(
  "cli: --file fails at once for a FIFO that has taken the place of its file",
  async (folder) => {
    const file = `${folder}/file`;
    await Deno.writeTextFile(file, "kept");
    const args = ["--deadline", "none", "--file", file];
    await using tool = await Tool.listening(args, Tool.allowing(folder));
    assertEquals(await ask(tool.addr, "x"), "kept");
    await Deno.remove(file);
    await runProgram("mkfifo", [file]);
    assertEquals(await ask(tool.addr, "x"), failed);
    await tool.line(/failed while handling: .*: it is a FIFO$/);
  },
);

Deno.test("cli: --file says that it is given a directory", async () => {
  const args = ["--port", "0", "--file", "tests"];
  const ending = await Tool.run(args, { permissions: ["-N", "-R"] });
  checkRefusal(ending, 1, "Cannot read tests: it is a directory");
});

testWithSignals("cli: --count ends it after so many connections", async () => {
  await using tool = await Tool.listening(["--count", "3"]);
  assertEquals(await ask(tool.addr, "one"), "one");
  // The others wait in line until this one is done.
  const second = await begin(tool.addr, "two");
  const last = await connect(tool.addr);
  // Those behind the last one are closed without a response.
  const behind = await connect(tool.addr);
  await second.closeWrite();
  assertEquals(await readText(second), "two");
  await tool.refusesConnections();
  await last.write(encode("three"));
  await last.closeWrite();
  assertEquals(await readText(last), "three");
  assertEquals(await readText(behind).catch(() => ""), "");
  const all = checkEnding(await tool.ending(), 0);
  assertEquals(all.map(({ bytesIn }) => bytesIn), [3, 3, 5]);
});

Deno.test("cli: --count counts a client that asks for nothing, too", async () => {
  await using tool = await Tool.listening(["--count", "1"]);
  (await connect(tool.addr)).close();
  assertEquals((await tool.ending()).code, 0);
});
