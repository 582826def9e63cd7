// What a client gets whose request is refused, in the words of `--refusal`.

import { assertEquals } from "@std/assert";
import { ask, connect, readText } from "./sockets.ts";
import { moduleUrl, Tool } from "./tool.ts";

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
