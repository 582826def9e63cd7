// What the README says of the tests.

import { assert, assertStringIncludes } from "@std/assert";

const root = `${import.meta.dirname}/..`;

Deno.test("README.md has a test for every promise", () => {
  const readme = Deno.readTextFileSync(`${root}/README.md`);
  const [, table] = /^\| fault .*\n\| -.*\n((?:\|.*\n)+)/m.exec(readme) ?? [];
  const faults = (table ?? "").trim().split("\n")
    .map((row) => row.split("|")[1]?.trim() ?? "");
  assert(faults.length > 20, "the table of faults is there");
  const tests = Array.from(Deno.readDirSync(import.meta.dirname ?? ""))
    .filter(({ name }) => name.endsWith("_test.ts"))
    .map(({ name }) => Deno.readTextFileSync(`${import.meta.dirname}/${name}`))
    .join("\n");
  for (const fault of faults) assertStringIncludes(tests, fault);
});
