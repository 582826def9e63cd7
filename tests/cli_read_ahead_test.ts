// The tool that reads ahead: `--read-ahead`.

import { assertEquals } from "@std/assert";
import { ask, begin, readText } from "./sockets.ts";
import { temporaryFolder, testWithSignals } from "./support.ts";
import { checkRefusal, outcomes, Tool, type ToolOptions } from "./tool.ts";

for (
  const [what, args, reply, options] of [
    ["an echo", [], "hello"],
    ["a text", ["--text", "text"], "text"],
    ["a program", ["--", "tr", "a-z", "A-Z"], "HELLO", {
      permissions: ["-N", "--allow-run"],
    }],
  ] as [string, string[], string, ToolOptions?][]
) {
  testWithSignals(
    `cli: --read-ahead lets no silent client hold up ${what}`,
    async () => {
      const flags = ["--read-ahead", "3", ...args];
      await using tool = await Tool.listening(flags, options);
      const silent = await begin(tool.addr, "half");
      assertEquals(await ask(tool.addr, "hello"), reply);
      assertEquals(await ask(tool.addr, "hello"), reply);
      await silent.closeWrite();
      await readText(silent);
      assertEquals(outcomes(await tool.stop()), ["ok", "ok", "ok"]);
    },
  );
}

testWithSignals("cli: --read-ahead keeps requests in a sink, too", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder;
  const flags = ["--read-ahead", "3", "--sink", path];
  await using tool = await Tool.listening(
    flags,
    Tool.allowing(path),
  );
  const silent = await begin(tool.addr, "half");
  const [, name] = (await ask(tool.addr, "hello")).trim().split("  ");
  assertEquals(await Deno.readTextFile(`${path}/${name}`), "hello");
  silent.close();
  await tool.stop();
});

Deno.test("cli: refuses to read ahead what is no number", async () => {
  const ending = await Tool.run(["--port", "0", "--read-ahead", "x"]);
  checkRefusal(ending, 2, "--read-ahead must be a whole number");
});

Deno.test("cli: --read-ahead excludes a module that streams", async () => {
  const module =
    "data:text/javascript,export default { streaming: true, handler() {} };";
  const ending = await Tool.run(["--port", "0", "--read-ahead", "2", module]);
  checkRefusal(ending, 2, '--read-ahead and the "streaming" of data:');
});
