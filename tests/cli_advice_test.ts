// Command lines of other tools: the message ends with the line that works, and it
// does work.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ask, freePort } from "./sockets.ts";
import { checkRefusal, Tool } from "./tool.ts";

/** What is typed, and what is advised, for servers on one port. */
const servers: (port: number) => [typed: string[], advised: string][] = (
  port,
) => [
  [[`${port}`], `--port ${port}`],
  [[`127.0.0.1:${port}`], `--host 127.0.0.1 --port ${port}`],
  [["127.0.0.1", `${port}`], `--host 127.0.0.1 --port ${port}`],
  [["0", `${port}`, "cat"], `--host 0.0.0.0 --port ${port} -- cat`],
  [["--port", `${port}`, "cat -u"], `--port ${port} -- cat -u`],
  [["-p", `${port}`, "cat"], `-p ${port} -- cat`],
  [["-lk", `${port}`, "-e", "cat"], `--port ${port} -- cat`],
  [["-l", "-k", "-p", `${port}`], `-p ${port}`],
  [["-lk", "-p", `${port}`, "--exec", "cat -u"], `-p ${port} -- cat -u`],
  [["-l", `${port}`, "-c", "cat"], `--port ${port} -- cat`],
  [[`:${port}`], `--port ${port}`],
  [["-lvnp", `${port}`], `--port ${port}`],
  [["-p", `${port}`, "127.0.0.1"], `-p ${port} --host 127.0.0.1`],
  [["serve", "-p", `${port}`], `-p ${port}`],
];

Deno.test("cli: a server's line of another tool is answered with the line that works", async (t) => {
  const port = freePort();
  for (const [typed, advised] of servers(port)) {
    await t.step(`halfclose ${typed.join(" ")}`, async () => {
      const refused = await Tool.run(typed);
      checkRefusal(refused, 2, `. Try: halfclose ${advised}`);
      await using tool = new Tool(advised.split(" "), {
        permissions: ["-N", "--allow-run"],
      });
      await tool.line(/ listening on /);
      assertEquals(await ask({ port }, "hello"), "hello");
      tool.kill("SIGTERM");
      assertEquals((await tool.ending()).code, 0);
    });
  }
});

for (
  const [typed, advised] of [
    [["help"], "--help"],
    [["help", "send"], "send --help"],
    [["version"], "--version"],
  ] as const
) {
  Deno.test(`cli: halfclose ${typed.join(" ")} is answered with the line that works`, async () => {
    checkRefusal(await Tool.run([...typed]), 2, `. Try: halfclose ${advised}`);
    const { code, stdout } = await Tool.run(advised.split(" "));
    assertEquals(code, 0);
    assertMatch(stdout, /^halfclose \d/);
  });
}

for (const typed of [["9100"], ["localhost", "9100"]]) {
  Deno.test(`cli: halfclose send ${typed.join(" ")} is answered with the line that works`, async () => {
    const refused = await Tool.run(["send", ...typed]);
    checkRefusal(refused, 2, ". Try: halfclose send localhost:9100");
  });
}

Deno.test("cli: a line that means nothing is answered without advice", async () => {
  for (
    const typed of [["--nope"], ["TCP-LISTEN:9", "EXEC:cat"], ["-x", "9100"], [
      "./a.ts",
      "b",
      "--nope",
    ]]
  ) {
    const { lines: [line = ""] } = await Tool.run(typed);
    assertStringIncludes(line, "halfclose: ");
    assertEquals(line.includes("try:"), false, line);
  }
});
