// The test doubles of docs/testing.md, as they stand there.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { said } from "./clients.ts";
import { filesOf, readPage, writeFiles } from "./page.ts";
import { importMap, root, runProgram } from "./programs.ts";
import { putDenoInto } from "./published.ts";
import { temporaryFolder, testIf } from "./support.ts";

const files = filesOf(readPage("testing.md"));
const imports = ["--config", `${root}/deno.json`, ...importMap()];

// The Deno that takes this checkout for what is published is a script of a shell.
const isUnix = Deno.build.os !== "windows";
const node = isUnix && said("node", "--version").startsWith("v");
const bun = isUnix && /^\d/.test(said("bun", "--version"));

Deno.test("docs/testing.md has the programs that are tried", () => {
  assertEquals(Object.keys(files).sort(), [
    "directory.test.mjs",
    "directory_test.ts",
    "double.mjs",
    "forgotten_fin_test.ts",
  ]);
});

Deno.test("docs/testing.md: the tests for Deno pass", async () => {
  await using folder = await temporaryFolder();
  await writeFiles(folder.path, files);
  const { code, stdout, stderr } = await runProgram(Deno.execPath(), [
    ...["test", "-N", "--parallel", ...imports],
    ...["directory_test.ts", "forgotten_fin_test.ts"],
  ], { cwd: folder.path, env: { NO_COLOR: "1" } });
  assertEquals(code, 0, stdout + stderr);
  assertStringIncludes(stdout, "2 passed");
});

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
