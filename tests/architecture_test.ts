// Who may import whom: the table in docs/architecture.md, held against the imports.

import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "node:path";
import { root } from "./programs.ts";

/** Places whose row names each import that they may have. */
const places = [
  "mod.ts",
  "server.ts",
  "conn.ts",
  "client.ts",
  "cli.ts",
  "cli/serve.ts",
  "cli/send.ts",
  "cli/lifecycle/",
  "cli/answers/",
  "cli/args/",
  "cli/monitor/",
  "cli/trace/",
  "cli/view/",
  "cli/log/",
  "cli/shared/",
  "serving/",
  "listening/",
  "metrics/",
  "proxy/",
  "draining/",
  "exchange/",
  "client/",
  "shared/",
] as const;

/** What each place may import: files, folders and packages. */
function readTable(): Map<string, string[]> {
  const page = Deno.readTextFileSync(join(root, "docs/architecture.md"));
  const [, rows = ""] = /^\| place .*\n\| -.*\n((?:\|.*\n)+)/m.exec(page) ?? [];
  return new Map(
    rows.trim().split("\n").map((row) => {
      const [, place = "", , imports = ""] = row.split("|");
      const names = imports.match(/(?<=`)[^`, ]+(?=`)/g) ?? [];
      return [place.replaceAll("`", "").trim(), names];
    }),
  );
}

/** The sources of a place: a file, or those of a folder and the ones within it. */
function sourcesOf(place: string): string[] {
  if (!place.endsWith("/")) return [place];
  return Array.from(Deno.readDirSync(join(root, place)), (entry) => {
    const path = `${place}${entry.name}`;
    if (entry.isDirectory) return sourcesOf(`${path}/`);
    return path.endsWith(".ts") ? [path] : [];
  }).flat();
}

/**
 * What a file imports, types included: paths from the root, and packages. Lines
 * of comments do not count, nor those that match `except`.
 */
function importsOf(path: string, except = /^$/gm): string[] {
  const code = Deno.readTextFileSync(join(root, path))
    .replaceAll(/^\s*(?:\*|\/\*|\/\/).*$/gm, "")
    .replaceAll(except, "");
  const specifiers = code.matchAll(
    /^(?:import|export|\}).*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport(?:\.meta\.resolve)?\("([^"]+[^/])"/gm,
  );
  return Array.from(specifiers, ([, from, bare, dynamic]) => {
    const specifier = from ?? bare ?? dynamic ?? "";
    const isPath = specifier.startsWith(".");
    return isPath ? join(dirname(path), specifier) : specifier;
  });
}

/** All files of the published module. */
function allSources(): string[] {
  const here = Array.from(Deno.readDirSync(root), ({ name }) => name)
    .filter((name) => name.endsWith(".ts"));
  const folders = new Set(
    places.flatMap((place) => place.match(/^.*?\//) ?? []),
  );
  return [...here, ...Array.from(folders, sourcesOf).flat()];
}

/** Whether a name in the table covers an import: the same, or a folder of it. */
function covers(name: string, imported: string): boolean {
  return imported === name ||
    imported.startsWith(name.endsWith("/") ? name : `${name}/`);
}

for (const place of places) {
  Deno.test(`docs/architecture.md says what ${place} imports`, () => {
    const allowed = readTable().get(place);
    assert(allowed, `there is no row for ${place}`);
    const imported = new Set(
      sourcesOf(place).flatMap((path) => importsOf(path)).filter((name) => {
        return !covers(place, name) && name !== "deno.json" &&
          !name.startsWith("node:");
      }),
    );
    const forbidden = [...imported].filter((name) =>
      !allowed.some((one) => covers(one, name))
    );
    assertEquals(forbidden, [], "imports that the table does not allow");
    const unused = allowed.filter((one) =>
      ![...imported].some((name) => covers(one, name))
    );
    assertEquals(unused, [], "imports of the table that nobody makes");
  });
}

Deno.test("the library imports nothing from outside", () => {
  const library = places.filter((place) => !place.startsWith("cli"));
  // Types of Node's modules are gone at run time.
  const outside = library.flatMap(sourcesOf)
    .flatMap((path) => importsOf(path, /^import type \w+ from "node:.*$/gm))
    .filter((name) => !name.endsWith(".ts"));
  assertEquals(outside, []);
});

/** What is in a circle, or on a way from one circle to another. */
function inCircles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const left = new Map(imports);
  for (;;) {
    const outside = [...left].find(([name, imported]) =>
      !imported.some((one) => left.has(one)) ||
      ![...left.values()].some((others) => others.includes(name))
    );
    if (!outside) return [...left.keys()];
    left.delete(outside[0]);
  }
}

Deno.test("no files import each other in a circle, types included", () => {
  const imports = allSources().map((path) => [path, importsOf(path)] as const);
  assertEquals(inCircles(new Map(imports)), []);
});

Deno.test("no places import each other in a circle, types included", () => {
  const placeOf = (path: string) => places.find((place) => covers(place, path));
  const imports = places.map((place) => {
    const imported = sourcesOf(place).flatMap((path) => importsOf(path))
      .map(placeOf);
    const others = imported.filter((one) => one !== undefined && one !== place);
    return [place, others as string[]] as const;
  });
  assertEquals(inCircles(new Map(imports)), []);
});

Deno.test("every file of the module belongs to a place", () => {
  const homeless = allSources().filter((path) =>
    !places.some((place) => covers(place, path))
  );
  assertEquals(homeless, []);
});

Deno.test("every file of the module says first what it does", () => {
  const silent = allSources().filter((path) =>
    !/^\/\*\*(?:\n \*.*)+\n \* @module\n/.test(
      Deno.readTextFileSync(join(root, path)),
    )
  );
  assertEquals(silent, []);
});

Deno.test("docs/architecture.md names only files that exist", () => {
  const page = Deno.readTextFileSync(join(root, "docs/architecture.md"));
  const named = Array.from(
    page.matchAll(/`([\w/]+\.ts)`/g),
    ([, name = ""]) => name,
  );
  assert(named.length > 20);
  const missing = named.filter((name) => {
    try {
      return !Deno.statSync(join(root, name)).isFile;
    } catch {
      return true;
    }
  });
  assertEquals(missing, []);
});
