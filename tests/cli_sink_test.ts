// Requests that become files: `halfclose --sink DIR`.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
  fail,
} from "@std/assert";
import { assertSame, encode, pattern } from "./bytes.ts";
import { printed, runProgram } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import { ask, begin, connect, readText, send } from "./sockets.ts";
import {
  namesIn,
  temporaryFolder,
  testIf,
  testWithSignals,
  until,
} from "./support.ts";
import { checkRefusal, failed, outcomes, Tool } from "./tool.ts";

/** What `sha256sum` prints: a hash, and the name of the file. */
const receipt = /^([\da-f]{64}) {2}(\d{8}T\d{9}Z-\d{6,}-[\da-f]{16})\n$/;

/** The name of the file that a receipt is for. */
function nameIn(reply: string): string {
  return receipt.exec(reply)?.[2] ?? fail(`Not a receipt: ${reply}`);
}

/** Starts a sink in a folder that is gone after the test. */
function testSink(
  name: string,
  flags: string[],
  test: (tool: Tool, dir: string) => Promise<void>,
): void {
  testWithSignals(name, async () => {
    await using parent = await temporaryFolder();
    const dir = `${parent.path}/in/box`;
    const args = ["--sink", dir, ...flags];
    await using tool = await Tool.listening(args, Tool.allowing(dir));
    await test(tool, dir);
  });
}

/** The temporary file of the request that is being kept. */
async function partIn(dir: string): Promise<string> {
  const isPart = (name: string) => name.endsWith(".part");
  return `${dir}/${await until(() => namesIn(dir).find(isPart))}`;
}

/** A client that is in its request, of which so many bytes are kept. */
async function beginIn(tool: Tool, dir: string): Promise<Deno.Conn> {
  const conn = await begin(tool.addr, pattern(100_000));
  await untilLarge(await partIn(dir), 100_000);
  return conn;
}

/** Waits until a file has so many bytes. */
async function untilLarge(path: string, size: number): Promise<void> {
  await until(() => Deno.statSync(path).size >= size);
}

testSink(
  "cli: --sink keeps requests of all sizes, and replies with receipts",
  ["--max-request-bytes", "none"],
  async (tool, dir) => {
    assertEquals(namesIn(dir), []);
    const names: string[] = [];
    let receipts = "";
    for (const size of [1, 65_536, 65_537, 20_000_000]) {
      const request = pattern(size);
      const reply = await readText(await send(tool.addr, request));
      const name = nameIn(reply);
      names.push(name);
      receipts += reply;
      assertSame(await Deno.readFile(`${dir}/${name}`), request);
    }
    // They sort by time.
    assertEquals(namesIn(dir), names);
    assertEquals(outcomes(await tool.stop()), Array(4).fill("ok"));
    if (await printed(["sha256sum", "--version"]) === undefined) return;
    await Deno.writeTextFile(`${dir}/receipts`, receipts);
    const { code, stdout } = await runProgram("sha256sum", ["-c", "receipts"], {
      cwd: dir,
    });
    assertEquals([code, stdout], [0, names.map((n) => `${n}: OK\n`).join("")]);
  },
);

testSink(
  "cli: --sink keeps no file of an empty request, and says so",
  [],
  async (tool, dir) => {
    assertEquals(
      await ask(tool.addr, ""),
      "halfclose: request not kept, it is empty\n",
    );
    // A probe: it connects and leaves.
    (await connect(tool.addr)).close();
    assertMatch(await ask(tool.addr, "x"), receipt);
    assertEquals(outcomes(await tool.stop()), ["ok", "ok", "ok"]);
    assertEquals(namesIn(dir).length, 1);
  },
);

testSink(
  "cli: --sink names in the log what it has kept, as sha256sum does",
  ["--log-format", "json"],
  async (tool, dir) => {
    await ask(tool.addr, "");
    const reply = await ask(tool.addr, "hello");
    tool.kill("SIGTERM");
    const { lines } = await tool.ending();
    const [empty, kept] = lines.map((line) => JSON.parse(line))
      .filter(({ event }) => event === "exchange");
    assertEquals([empty.file, empty.sha256], [undefined, undefined]);
    assertEquals(`${kept.sha256}  ${kept.file}\n`, reply);
    assert(kept.msg.endsWith(`, ok, kept: ${reply.trimEnd()}`), kept.msg);
    assertEquals(namesIn(dir), [kept.file]);
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
        const reply = await readText(
          await send(tool.addr, requestOf(number)),
        );
        replies.set(nameIn(reply), number);
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
    assertMatch(await ask(tool.addr, "x".repeat(1024)), receipt);
    assertEquals(outcomes(await tool.stop()), ["too-large", "ok"]);
    assertEquals(namesIn(dir).length, 1);
  },
);

testSink(
  "cli: --sink leaves nothing of a request that is not ended in time",
  ["--deadline", "1s"],
  async (tool, dir) => {
    const conn = await begin(tool.addr, "hello");
    const part = await partIn(dir);
    assertMatch(part, /\/\.halfclose-[^/]+\.part$/);
    assertStringIncludes(await readText(conn), "1000 ms");
    assertEquals(outcomes(await tool.stop()), ["deadline"]);
    assertEquals(namesIn(dir), []);
  },
);

testSink(
  "cli: --sink logs a request once that is cut before it is read",
  ["--deadline", "1ms"],
  async (tool, dir) => {
    for (let count = 0; count < 10; count++) await ask(tool.addr, "hello");
    assertEquals((await tool.stop()).length, 10);
    // The time may be over when it is kept already.
    const kept = tool.lines.filter((line) => line.includes(", kept: "));
    assertEquals(namesIn(dir).length, kept.length);
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
    assertMatch(await ask(tool.addr, "hello"), receipt);
    assertEquals(outcomes(await tool.stop()), ["reset", "ok"]);
    assertEquals(namesIn(dir).length, 1);
  },
);

testSink(
  "cli: --sink leaves nothing of a request when the server stops at once",
  ["--deadline", "none", "--idle-timeout", "none"],
  async (tool, dir) => {
    const conn = await beginIn(tool, dir);
    const { code } = await tool.cut("SIGTERM");
    conn.close();
    assertEquals(code, 143);
    assertEquals(namesIn(dir), []);
  },
);

testSink(
  "cli: --sink leaves no half request under its name when it is killed",
  [],
  async (tool, dir) => {
    assertMatch(await ask(tool.addr, "whole"), receipt);
    const conn = await beginIn(tool, dir);
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
          await readText(await send(tool.addr, request));
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
    assertEquals(await ask(tool.addr, "hello"), failed);
    await Deno.mkdir(dir);
    assertMatch(await ask(tool.addr, "hello"), receipt);
    assertEquals(outcomes(await tool.stop()), ["failed", "ok"]);
  },
);

testIf(
  Deno.build.os === "linux",
  "Linux",
  "cli: --sink says at the start that no file can be made in its folder",
  async () => {
    const ending = await Tool.run(["--port", "0", "--sink", "/sys"], {
      permissions: ["-A"],
    });
    checkRefusal(ending, 1, "Cannot keep requests in /sys: ");
  },
);

Deno.test("cli: --sink says that it is given a file", async () => {
  const args = ["--port", "0", "--sink", "README.md"];
  const ending = await Tool.run(args, Tool.allowing("README.md"));
  checkRefusal(ending, 1, "Cannot keep requests in README.md: ");
});
