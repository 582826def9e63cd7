// The types of the library in a program that is stricter than it.

import { assertEquals } from "@std/assert";
import { root, runDeno } from "./programs.ts";
import { temporaryFolder } from "./support.ts";

Deno.test("the library passes the strictest checks that a program may ask for", async () => {
  await using folder = await temporaryFolder();
  const config = `${folder.path}/deno.json`;
  const options = [
    "exactOptionalPropertyTypes",
    "noFallthroughCasesInSwitch",
    "noImplicitOverride",
    "noImplicitReturns",
    "noUncheckedIndexedAccess",
    "strict",
  ];
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      compilerOptions: Object.fromEntries(options.map((name) => [name, true])),
    }),
  );
  const entries = ["server.ts", "client.ts", "metrics/mod.ts"];
  const { code, stderr } = await runDeno(
    ...["check", "--quiet", "--config", config],
    ...entries.map((entry) => `${root}/${entry}`),
  );
  assertEquals(code, 0, stderr);
});
