// What the module exports: no more than is used.

import { assert, assertEquals } from "@std/assert";
import { importMap, root, runDeno } from "./programs.ts";

const entries: string[] = Object.values(
  JSON.parse(Deno.readTextFileSync(`${root}/deno.json`)).exports,
);

/** The text of all documents, all examples and all comments of the exports. */
function textOf(docs: string): string {
  const folders = ["docs", "examples"].flatMap((folder) =>
    Array.from(
      Deno.readDirSync(`${root}/${folder}`),
      ({ name }) => `${folder}/${name}`,
    )
  );
  return ["README.md", ...folders].filter((path) => /\.(md|ts)$/.test(path))
    .map((path) => Deno.readTextFileSync(`${root}/${path}`)).join("\n") + docs;
}

/** The names of the types that a symbol has anywhere. */
function typesOf(symbol: unknown): string[] {
  const names = JSON.stringify(symbol).matchAll(/"typeName":"(\w+)"/g);
  return Array.from(names, ([, name = ""]) => name);
}

Deno.test("every export is imported by an example, or in the type of one that is", async () => {
  const { stdout } = await runDeno(
    ...["doc", "--json", ...importMap()],
    ...entries.map((entry) => `${root}/${entry}`),
  );
  const nodes: { symbols: { name: string }[] }[] = Object.values(
    JSON.parse(stdout).nodes,
  );
  const types = new Map<string, string[]>();
  for (const symbol of nodes.flatMap(({ symbols }) => symbols)) {
    // One entry has it in full, and the others only name it.
    const before = types.get(symbol.name) ?? [];
    types.set(symbol.name, [...before, ...typesOf(symbol)]);
  }
  assert(types.size > 20, "the exports are found");
  const imports = textOf(stdout.replaceAll("\\n", "\n")).matchAll(
    /^[\s*]*import (?:type )?\{([^}]*)\} from \\?"(?:@halfclose|\.\.\/)/gm,
  );
  const used = new Set(
    Array.from(imports, ([, names = ""]) => names.match(/\w+/g) ?? []).flat(),
  );
  // A set that grows while it is iterated over gives what is added, too.
  for (const name of used) types.get(name)?.forEach((type) => used.add(type));
  assertEquals([...types.keys()].filter((name) => !used.has(name)), []);
});
