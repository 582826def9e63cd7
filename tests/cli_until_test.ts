// The tool with clients that never half-close: `--until` and `--until-idle`.

import { assertEquals } from "@std/assert";
import { begin, readText } from "./sockets.ts";
import { testWithSignals } from "./support.ts";
import { checkRefusal, outcomes, Tool } from "./tool.ts";

for (
  const [flags, request, reply] of [
    [["--until", "\\n"], "hello\nmore", "hello\n"],
    [["--until", "\\r\\n\\r\\n"], "a\r\n\r\nb", "a\r\n\r\n"],
    [["--until", "\\0"], "a\0b", "a\0"],
    [["--until", "\\x41\\\\"], "bA\\c", "bA\\"],
    [["--until", "end"], "the end of it", "the end"],
    [["--until-idle", "50ms"], "hello", "hello"],
  ] as const
) {
  testWithSignals(`cli: ${flags.join(" ")} ends a request`, async () => {
    await using tool = await Tool.listening([...flags]);
    const client = await begin(tool.addr, request);
    assertEquals(await readText(client), reply);
    assertEquals(outcomes(await tool.stop()), ["ok"]);
  });
}

testWithSignals("cli: the JSON log tells what ended a request", async () => {
  const args = ["--until", "\\n", "--log-format", "json"];
  await using tool = await Tool.listening(args);
  const client = await begin(tool.addr, "hello\n");
  assertEquals(await readText(client), "hello\n");
  await tool.line(/"event":"exchange".*"end":"delimiter"/);
});

Deno.test("cli: refuses a delimiter that makes no sense", async (t) => {
  for (
    const [args, reason] of [
      [["--until", "\\q"], "--until must be text, perhaps with \\r, \\n"],
      [["--until", "\\x4"], "--until must be text"],
      [["--until", "\\"], "--until must be text"],
      [["--until", ""], "--until needs a value"],
      [["--until-idle", "0"], "--until-idle must be a time"],
      [["--until", "x", "--until-idle", "1s"], "exclude each other"],
    ] as const
  ) {
    await t.step(args.join(" "), async () => {
      checkRefusal(await Tool.run(["--port", "0", ...args]), 2, reason);
    });
  }
});
