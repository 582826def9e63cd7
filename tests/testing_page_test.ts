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

/** Runs the test for Deno of the page, or of one that differs from it. */
async function runForDeno(program = files["directory_test.ts"] ?? "") {
  await using folder = await temporaryFolder();
  await writeFiles(folder.path, { "directory_test.ts": program });
  const args = ["test", "-N", ...imports, "directory_test.ts"];
  return await runProgram(Deno.execPath(), args, {
    cwd: folder.path,
    env: { NO_COLOR: "1" },
  });
}

Deno.test("docs/testing.md has the programs that are tried", () => {
  assertEquals(Object.keys(files), ["directory_test.ts", "directory.test.mjs"]);
});

Deno.test("docs/testing.md: the test for Deno passes", async () => {
  const { code, stdout, stderr } = await runForDeno();
  assertEquals(code, 0, stdout + stderr);
  assertStringIncludes(stdout, "1 passed");
});

Deno.test("docs/testing.md: the outcome of a client that forgets its FIN is idle", async () => {
  const program = files["directory_test.ts"]?.replace(
    'await request(directory.addr, "ada\\r\\n")',
    `new Response(await Deno.connect({ port: directory.addr.port }).then(
      async (client) => {
        await client.write(new TextEncoder().encode("ada\\r\\n"));
        return client.readable;
      },
    ))`,
  );
  const { code, stdout } = await runForDeno(program);
  assertEquals(code, 1, stdout);
  assertMatch(stdout, /^[-+].*TimeoutError: .*has not ended its side/m);
});

for (
  const { program, args, isThere } of [
    { program: "node", args: ["--test"], isThere: node },
    { program: "bun", args: ["test"], isThere: bun },
  ]
) {
  /** Runs the test of the page, or one that expects something else. */
  const run = async (expected = "phone: 1815") => {
    await using folder = await temporaryFolder();
    const test = files["directory.test.mjs"]?.replaceAll(
      'equal(await text(socket), "phone: 1815',
      `equal(await text(socket), "${expected}`,
    );
    await writeFiles(folder.path, { "directory.test.mjs": test ?? "" });
    const path = await putDenoInto(`${folder.path}/bin`);
    const { code, stdout, stderr } = await runProgram(program, args, {
      cwd: folder.path,
      env: { PATH: path },
    });
    return { code, output: stdout + stderr };
  };

  const name = `docs/testing.md: the double passes a test of ${program}`;
  testIf(isThere, program, name, async () => {
    const { code, output } = await run();
    assertEquals(code, 0, output);
    assertMatch(output, /\bpass 1\b|\b1 pass\b/);
  });

  const failure = `docs/testing.md: a test of ${program} that fails ends`;
  testIf(isThere, program, failure, async () => {
    const { code, output } = await run("phone: 1816");
    assertEquals(code, 1, output);
    assertMatch(output, /\bfail 1\b|\b1 fail\b/);
  });
}
