// The test doubles of docs/testing.md, as they stand there.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { said } from "./clients.ts";
import { filesOf, readPage, writeFiles } from "./page.ts";
import { importMap, root, runProgram } from "./programs.ts";
import { putDenoInto } from "./published.ts";
import { temporaryFolder, testIf } from "./support.ts";

const files = filesOf(readPage("testing.md"));
const imports = ["--config", `${root}/deno.json`, ...importMap()];

const curl = /Protocols:.* smtp /.test(said("curl", "--version"));
const node = said("node", "--version").startsWith("v");
const bun = /^\d/.test(said("bun", "--version"));

Deno.test("docs/testing.md has the programs that are tried", () => {
  assertEquals(Object.keys(files).sort(), [
    "directory.test.mjs",
    "directory_test.ts",
    "double.mjs",
    "forgotten_fin_test.ts",
    "mail_server.ts",
  ]);
});

Deno.test("docs/testing.md: the tests for Deno pass", async () => {
  await using folder = await temporaryFolder();
  await writeFiles(folder.path, files);
  const { code, stdout, stderr } = await runProgram(Deno.execPath(), [
    ...["test", "-N", "--parallel", ...imports],
    // The last one has no tests, and is only checked.
    ...["directory_test.ts", "forgotten_fin_test.ts", "mail_server.ts"],
  ], { cwd: folder.path, env: { NO_COLOR: "1" } });
  assertEquals(code, 0, stdout + stderr);
  assertStringIncludes(stdout, "2 passed");
});

testIf(
  curl,
  "curl with SMTP",
  "docs/testing.md: the dialogue is SMTP enough for curl",
  async () => {
    await using folder = await temporaryFolder();
    const script = `
      import { mailServer } from "./mail_server.ts";
      const mails = [];
      const server = mailServer(mails);
      const url = \`smtp://127.0.0.1:\${server.addr.port}\`;
      const { code } = await new Deno.Command("curl", {
        args: [
          ...["-s", "--mail-from", "ada@example.com", "--mail-rcpt"],
          ...["bob@example.com", "--upload-file", "mail.txt", url],
        ],
      }).output();
      await server.shutdown();
      console.log(JSON.stringify({ code, mails }));
    `;
    await writeFiles(folder.path, {
      ...files,
      "deliver.js": script,
      "mail.txt": "Subject: hello\r\n\r\nHello.\r\n",
    });
    const { stdout, stderr } = await runProgram(Deno.execPath(), [
      ...["run", "-N", "--allow-run=curl", ...imports, "deliver.js"],
    ], { cwd: folder.path });
    const mails = ["Subject: hello\n\nHello.\n"];
    assertEquals(stdout, `${JSON.stringify({ code: 0, mails })}\n`, stderr);
  },
);

for (
  const { program, args, isThere } of [
    { program: "node", args: ["--test"], isThere: node },
    { program: "bun", args: ["test"], isThere: bun },
  ]
) {
  const name = `docs/testing.md: the double passes a test of ${program}`;
  testIf(isThere, program, name, async () => {
    await using folder = await temporaryFolder();
    const { "double.mjs": double = "", "directory.test.mjs": test = "" } =
      files;
    await writeFiles(folder.path, {
      "double.mjs": double,
      "directory.test.mjs": test,
    });
    const path = await putDenoInto(`${folder.path}/bin`);
    const { code, stdout, stderr } = await runProgram(program, args, {
      cwd: folder.path,
      env: { PATH: path },
    });
    assertEquals(code, 0, stdout + stderr);
    assertMatch(stdout + stderr, /\bpass 1\b|\b1 pass\b/);
  });
}
