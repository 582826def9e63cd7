// What examples/README.md has one type in a checkout, with JSR or without.

import { assert, assertEquals } from "@std/assert";
import { root, runProgram } from "./programs.ts";
import { ask } from "./sockets.ts";
import { testIf } from "./support.ts";
import { Tool } from "./tool.ts";

const page = Deno.readTextFileSync(`${root}/examples/README.md`);
const [, paragraph = ""] = page.split("**In a checkout**");
const [, task = ""] = /`(deno task halfclose .+?)`/.exec(paragraph) ?? [];
const [, block = ""] = /^```sh\n([^]*?)^```$/m.exec(paragraph) ?? [];
const [run = "", test = ""] = block.split("\n");
const isUnix = Deno.build.os !== "windows";

for (const line of [task, run]) {
  testIf(isUnix, "a shell", `checkout: ${line}`, async () => {
    assert(line, "examples/README.md has the lines");
    const typed = `exec ${line} --host 127.0.0.1 --port 0`;
    await using tool = new Tool(["-c", typed], { command: "sh" });
    const [, port] = await tool.line(/ listening on 127\.0\.0\.1:(\d+)$/);
    assertEquals(await ask({ port: Number(port) }, "hello"), "HELLO");
    // A task would leave its server behind if it were killed: stop it first.
    tool.kill("SIGINT");
    assertEquals((await tool.ending()).code, 0);
  });
}

testIf(isUnix, "a shell", `checkout: ${test}`, async () => {
  const { code, stdout, stderr } = await runProgram("sh", ["-c", test]);
  assertEquals(code, 0, stdout + stderr);
});
