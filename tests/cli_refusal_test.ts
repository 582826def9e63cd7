// What a client gets whose request is refused or has failed, in the words of
// `--refusal`.

import { assertEquals } from "@std/assert";
import { ask, connect, readText } from "./sockets.ts";
import { temporaryFolder, testWithSignals } from "./support.ts";
import { failed, moduleUrl, Tool } from "./tool.ts";

const module = moduleUrl(
  "export default { onRefuse: () => 'module', handler: () => 'answer' };",
);
const http = "HTTP/1.0 413 Content Too Large\r\n\r\n";

for (
  const [given, expected] of [
    [[], "halfclose: request refused, it is larger than the 3 bytes allowed\n"],
    [["--refusal", ""], ""],
    [["--refusal="], ""],
    [["--refusal", http.replaceAll("\r\n", "\\r\\n")], http],
    [[module], "module"],
    [[module, "--refusal", "flag"], "flag"],
    [[module, "--refusal", ""], ""],
  ] as const
) {
  Deno.test(`cli: ${given.join(" ")} words the refusal`, async () => {
    const args = ["--max-request-bytes", "3", ...given];
    await using tool = await Tool.listening(args);
    assertEquals(await ask(tool.addr, "large"), expected);
    await tool.stop();
  });
}

Deno.test("cli: --refusal is not for clients that have sent nothing", async () => {
  const args = ["--idle-timeout", "50ms", "--refusal", "too late"];
  await using tool = await Tool.listening(args);
  assertEquals(await readText(await connect(tool.addr)), "");
  await tool.stop();
});

const throwing = "() => { throw new Error('a secret') }";
const withOnError = (onError: string) =>
  moduleUrl(`export default { onError: ${onError}, handler: ${throwing} };`);

for (
  const [what, args, expected] of [
    [
      "a handler that threw",
      [moduleUrl(`export default ${throwing};`)],
      failed,
    ],
    ["a body that threw", [
      moduleUrl("export default () => (function* () { throw 1 })();"),
    ], failed],
    ["a handler that threw, with --refusal", [
      moduleUrl(`export default ${throwing};`),
      ...["--refusal", "sorry"],
    ], "sorry"],
    ["a handler that threw, with no --refusal", [
      moduleUrl(`export default ${throwing};`),
      ...["--refusal", ""],
    ], ""],
    ["an onError that answers, with --refusal", [
      withOnError("() => 'module'"),
      ...["--refusal", "flag"],
    ], "module"],
    ["an onError that says nothing", [withOnError("() => {}")], failed],
    ["an onError that silences", [withOnError("() => ''")], ""],
    ["an onError that threw", [withOnError(throwing)], failed],
    ["what had begun to answer", [
      moduleUrl("export default function* () { yield 'so far'; throw 1 }"),
    ], "so far"],
    ["a program that failed", ["--", "false"], ""],
    ["a program that printed and failed", [
      ...["--", "sh", "-c", "printf none; exit 1"],
    ], "none"],
  ] as const
) {
  testWithSignals(`cli: tells the client of ${what}`, async () => {
    const permissions = ["-N", "--allow-run"];
    await using tool = await Tool.listening([...args], { permissions });
    assertEquals(await ask(tool.addr, "hello"), expected);
    await tool.line(/ failed while /);
    // The reason is for the log.
    tool.kill("SIGTERM");
    await tool.ending();
  });
}

Deno.test("cli: tells the client that its file is gone", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/file`;
  await Deno.writeTextFile(path, "content");
  const permissions = ["-N", "-R"];
  await using tool = await Tool.listening(["--file", path], { permissions });
  await Deno.remove(path);
  assertEquals(await ask(tool.addr, "hello"), failed);
});
