// `deno task mutate`: that it makes mutants, and sees whether tests notice them.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Copy } from "./mutate/copy.ts";
import { readSurvivors } from "./mutate/survivors.ts";
import { importMap, printed, root, runDeno } from "./programs.ts";
import { testIf } from "./support.ts";

testIf(
  await printed(["git", "-C", root, "rev-parse"]) !== undefined &&
    await printed(["npm", "view", "@stryker-mutator/instrumenter"]) !==
      undefined,
  "git, npm and its registry",
  "mutate sees which mutants a test notices",
  async () => {
    await using copy = await Copy.make((file) => file === "shared/nearest.ts");
    const tests = { name: "nearest_test.ts", milliseconds: 1000 };
    const notices = async (original: string, replacement: string) => {
      const mutant = copy.mutants.find((one) =>
        one.original === original && one.replacement === replacement
      );
      assert(mutant, `no mutant ${replacement}`);
      assertEquals(mutant.file, "shared/nearest.ts");
      return await copy.notices({ ...tests, passes: new Set() }, mutant);
    };
    assertEquals(await notices("typed.length / 3", "typed.length * 3"), true);
  },
);

Deno.test("mutate says what is wrong with its options", async () => {
  const program = `${root}/tests/mutate/mutate.ts`;
  const run = (...args: string[]) =>
    runDeno("run", "-A", ...importMap(), program, ...args);
  const { code, stderr } = await run("--cuont", "1");
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'mutate: unexpected argument "--cuont"');
  assertStringIncludes((await run("--help")).stdout, "Usage: deno task mutate");
});

Deno.test("mutate knows of each mutant that may live why", () => {
  const lines = Deno.readTextFileSync(`${root}/tests/mutate/survivors.txt`)
    .split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  for (const line of lines) {
    const [file = "", original = "", replacement = "", why = ""] = line
      .split(" | ");
    assert(why.length > 5, line);
    const mutant = { id: "", file, line: 1, original, replacement };
    assert(readSurvivors()(mutant), line);
    const code = Deno.readTextFileSync(`${root}/${file}`);
    const isThere = code.replaceAll(/\s+/g, " ").includes(original);
    assert(isThere, `${file} has no ${original} any more`);
  }
});
