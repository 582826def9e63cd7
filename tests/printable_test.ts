// What comes from outside moves nothing on a terminal, and nothing hides there.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { printable, printableJson } from "../shared/printable.ts";
import { request } from "../mod.ts";
import { ask, exchange } from "./sockets.ts";
import {
  serveLocally,
  temporaryFolder,
  testUnix,
  testWithSignals,
} from "./support.ts";
import { moduleUrl, Tool } from "./tool.ts";

/** Moves the cursor, turns the order of text around, or cannot be seen. */
const unfit = [
  ...["\x00", "\x07", "\x1b", "\x7f", "\x85", "\x9b", "\x9d", "\xad"],
  ...["\u061c", "\u200b", "\u200e", "\u200f", "\u2028", "\u2029"],
  ...["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2060"],
  ...["\u2066", "\u2067", "\u2068", "\u2069", "\ufeff", "\u{e0041}"],
  ...["\u034f", "\u115f", "\u3164", "\ufe0f", "\u{e0100}"],
];

/** Checks that nothing of it can be seen raw, but for the ends of lines. */
function checkPrintable(text: string): void {
  for (const character of unfit) {
    assert(
      !text.includes(character),
      `raw U+${character.codePointAt(0)?.toString(16)} in ${printable(text)}`,
    );
  }
  assert(!text.includes("\r"));
}

Deno.test("printable() escapes what moves the cursor or the text", () => {
  checkPrintable(printable(unfit.join("")));
  for (const character of unfit) checkPrintable(printable(`x${character}`));
  assertEquals(
    printable("a\n\r\t\x00\x1b\x7f\x9b\u2028ü日本🖨"),
    "a\\n\\r\\t\\x00\\x1b\\x7f\\x9b\\u2028ü日本🖨",
  );
  assertEquals(
    printable("\u061c\u202e\u2066\ufeff\u{e0041}"),
    "\\u061c\\u202e\\u2066\\ufeff\\u{e0041}",
  );
});

Deno.test("printableJson() means the same as other JSON", () => {
  for (const text of [unfit.join("ü🖨"), ...unfit, "plain"]) {
    const value = { text, more: [1, null, "\n\t\\"] };
    const json = printableJson(value);
    checkPrintable(json);
    assertEquals(JSON.parse(json), value);
  }
});

/** A request that JSON.parse() quotes in what it throws. */
const badJson = `${unfit.slice(1).join("")}`;

for (const format of ["text", "json"]) {
  testWithSignals(
    `cli: nothing of a request disturbs a terminal, in a log as ${format} and in a trace`,
    async () => {
      await using folder = await temporaryFolder();
      const trace = `${folder.path}/trace`;
      const module = moduleUrl(
        `export default (conn) => conn.json();
        export const onError = (error) => { throw error; };`,
      );
      await using tool = await Tool.listening([
        ...["--log-format", format, "--log-level", "debug"],
        ...["--trace", trace, module],
      ], Tool.allowing(folder.path));
      for (const character of unfit) await ask(tool.addr, `${character}x`);
      tool.kill("SIGTERM");
      const { lines } = await tool.ending();
      const log = lines.join("\n");
      assertStringIncludes(log, "u202e");
      checkPrintable(log);
      const traced = await Deno.readTextFile(trace);
      assertStringIncludes(traced, "u202e");
      checkPrintable(traced);
    },
  );
}

testUnix("cli: no name of a file disturbs a terminal", async (folder) => {
  const name = "x\u202e\x9b\u2066";
  for (
    const args of [
      ["send", `unix:${folder}/${name}`],
      ["send", name],
      ["--file", `${folder}/${name}`],
      [`${folder}/${name}.ts`],
      ["--unix", `${folder}/${name}/socket`],
      ["--trace", `${folder}/${name}/trace`],
      [`--${name}`],
    ]
  ) {
    const { code, lines } = await Tool.run(args, { permissions: ["-A"] });
    assert(code > 0);
    assertStringIncludes(lines.join("\n"), "\\u202e");
    checkPrintable(lines.join("\n"));
  }
});

Deno.test("serve() without onError writes no byte of a client to a terminal", async () => {
  const { server } = serveLocally({}, (conn) => conn.json() as never);
  const { port } = server.addr;
  const written: string[] = [];
  const original = console.error;
  console.error = (...parts) => {
    written.push(parts.map((part) => `${part}`).join(" "));
  };
  try {
    for (const character of unfit) await ask({ port }, `${character}x`);
    await ask({ port }, badJson);
  } finally {
    console.error = original;
  }
  await server.shutdown();
  assertEquals(written.length, unfit.length + 1);
  assertStringIncludes(written.join("\n"), "SyntaxError: ");
  assertStringIncludes(written.join("\n"), "\\u202e");
  checkPrintable(written.join("\n"));
});

Deno.test("json() throws what disturbs no terminal, on both sides", async () => {
  const messages: string[] = [];
  const collect = ({ message }: Error) => messages.push(message);
  const { server } = serveLocally();
  const asking = serveLocally({}, async (conn) => {
    await conn.json().catch(collect);
  });
  for (const character of unfit) {
    await ask(asking.server.addr, `${character}x`);
    const reply = await request(server.addr, `${character}x`);
    await assertRejects(() => reply.json(), SyntaxError).then(collect);
  }
  await server.shutdown();
  await asking.server.shutdown();
  assertEquals(messages.length, 2 * unfit.length);
  assertStringIncludes(messages.join("\n"), "\\u202e");
  checkPrintable(messages.join("\n"));
});

Deno.test("a malformed PROXY header is quoted without what disturbs a terminal", async () => {
  const { server, records } = serveLocally({ proxyProtocol: true });
  const bytes = Uint8Array.from({ length: 12 }, (_, i) => 0x94 + i);
  await exchange(server.addr, bytes).catch(() => {});
  const { error } = await records.nth(1);
  assertStringIncludes(`${error}`, "\\x9d");
  checkPrintable(`${error}`);
  await server.shutdown();
});
