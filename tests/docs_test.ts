// What the documentation says of the tests, and whether its links lead anywhere.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, join } from "node:path";
import { metrics } from "../metrics/mod.ts";
import { faults } from "./fault_table.ts";
import { runDeno } from "./programs.ts";
import { temporaryFolder } from "./support.ts";

const root = join(import.meta.dirname ?? "", "..");

/** All that is written to be read: paths from the root on. */
const documents = [
  "README.md",
  "SECURITY.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "bench/README.md",
  "examples/README.md",
  "offline/README.md",
  ...Array.from(Deno.readDirSync(`${root}/docs`), ({ name }) => `docs/${name}`)
    .filter((path) => path.endsWith(".md")),
];

function read(path: string): string {
  return Deno.readTextFileSync(join(root, path));
}

function globToRegExp(glob: string): RegExp {
  const source = glob.replaceAll(".", "\\.").replaceAll("*", "[^/]*");
  return new RegExp(`^${source}$`);
}

/** A text without its code, in which nothing is a link or a heading. */
function prose(markdown: string): string {
  return markdown.replaceAll(/^( *)(```+).*\n(?:.*\n)*?\1\2 *$/gm, "")
    .replaceAll(/(?<!`)(`+)(?!`)(?:(?!\n\n)[^])+?(?<!`)\1(?!`)/g, "");
}

/** The anchors of a text, as GitHub makes them of its headings. */
function anchorsOf(markdown: string): Set<string> {
  const text = markdown.replaceAll(/^( *)(```+).*\n(?:.*\n)*?\1\2 *$/gm, "");
  const seen = new Map<string, number>();
  const anchors = Array.from(text.matchAll(/^#+ (.+)$/gm), ([, title = ""]) => {
    const slug = title.replaceAll(/\[(.*?)\]\(.*?\)/g, "$1").trim()
      .toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times === 0 ? slug : `${slug}-${times}`;
  });
  return new Set(anchors);
}

/** Where the links of a text lead that leave neither the project nor the web. */
function relativeLinks(markdown: string): string[] {
  const links = prose(markdown).matchAll(
    /\]\(\s*([^\s)]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)/gm,
  );
  return Array.from(links, ([, inline, reference]) => inline ?? reference ?? "")
    .filter((link) => !/^[a-z][a-z\d+.-]*:/i.test(link));
}

/** What is wrong with a link, if anything is. */
function faultOf(from: string, link: string): string | undefined {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? from : join(dirname(from), path);
  try {
    Deno.statSync(join(root, target));
  } catch {
    return `${from} links to ${link}: there is no ${target}`;
  }
  if (anchor === undefined || anchorsOf(read(target)).has(anchor)) return;
  return `${from} links to ${link}: there is no such heading`;
}

Deno.test("docs/promises.md has a test for every column of every fault", () => {
  assert(faults.length > 20, "the table of faults is there");
  const tests = Array.from(Deno.readDirSync(`${root}/tests`))
    .filter(({ name }) => name.endsWith("_test.ts"))
    .map(({ name }) => read(`tests/${name}`).replaceAll(/\s+/g, " "))
    .join("\n");
  for (const fault of faults) {
    const checked = RegExp(
      `(checkRow|testFault)\\( ?"${fault}"|row = "${fault}"`,
    );
    assertMatch(tests, checked);
  }
});

Deno.test("docs/promises.md alone says whom a stop does not serve", () => {
  const words = "closed without a response, and the exchange under way is cut";
  const pages = documents.filter((path) =>
    read(path).replaceAll(/\s+/g, " ").includes(words)
  );
  assertEquals(pages, ["docs/promises.md"]);
});

Deno.test("documents have tables with one line below the heading", () => {
  for (const path of documents) {
    const tables = prose(read(path)).matchAll(/(?:^\|.*\|\n)+/gm);
    for (const [table] of tables) {
      const heads = table.match(/^\|(?: :?-+:? \|)+$/gm) ?? [];
      assertEquals(heads.length, 1, `${path}:\n${table}`);
    }
  }
});

Deno.test("docs/library.md tells of each field of a record, and of each metric", () => {
  const [, record = ""] =
    /^export interface ExchangeRecord\b[^]*?\{\n([^]*?)^\}/m
      .exec(read("exchange/record.ts")) ?? [];
  const fields = record.match(/(?<=^ {2}readonly )\w+/gm) ?? [];
  const numbers = metrics().text().match(/(?<=^# TYPE )\w+/gm) ?? [];
  assert(fields.length > 10 && numbers.length > 5);
  const page = read("docs/library.md");
  const missing = [...fields, ...numbers].filter((name) =>
    !RegExp(`^\\|.*\`${name}\`.*\\| `, "m").test(page)
  );
  assertEquals(missing, []);
});

Deno.test("README.md has at most 165 lines", () => {
  const lines = read("README.md").trimEnd().split("\n").length;
  assert(lines <= 165, `it has ${lines}: move what is not needed at first`);
});

Deno.test("documents link only to files and headings that exist", () => {
  const links = documents.flatMap((from) =>
    relativeLinks(read(from)).map((link) => ({ from, link }))
  );
  assert(links.length > 40, `only ${links.length} links are found`);
  const faults = links.map(({ from, link }) => faultOf(from, link))
    .filter((fault) => fault !== undefined);
  assertEquals(faults, []);
});

Deno.test("documents that are published link only to what is published", () => {
  const { publish } = JSON.parse(read("deno.json"));
  const published = publish.include.map((glob: string) => globToRegExp(glob));
  const isPublished = (path: string) =>
    published.some((glob: RegExp) => glob.test(path.replace(/\/$/, "/x")));
  const faults = documents.filter(isPublished).flatMap((from) =>
    relativeLinks(read(from)).map((link) => link.replace(/#.*/, ""))
      .filter((link) => link && !isPublished(join(dirname(from), link)))
      .map((link) => `${from} links to ${link}`)
  );
  assertEquals(faults, []);
});

Deno.test("documents have nothing that is yet to be filled in", () => {
  for (const path of documents) {
    assertEquals(read(path).match(/@@\w+|\b(?:TODO|TBD|FIXME)\b/g), null, path);
  }
});

Deno.test("documents name an address to clients that try one of localhost", () => {
  for (const path of documents) {
    const calls = read(path).match(/\b(?:busybox nc|zabbix_sender) .*?[`\n]/g);
    for (const call of calls ?? []) {
      assert(!call.includes("localhost"), `${path}: ${call} may call ::1`);
    }
  }
});

Deno.test("documents have handlers that type-check", async () => {
  await using folder = await temporaryFolder();
  const pages = ["README.md", "docs/library.md", "docs/protocols.md"].map(read);
  const blocks = pages.join("\n").matchAll(/```ts ignore\n(.*?)```/gs);
  // Others are parts of something.
  const whole = Array.from(blocks, ([, block = ""]) => block)
    .filter((block) => /^import .*\n|^export default /m.test(block));
  assert(whole.length > 12, `${whole.length}`);
  for (const [i, block] of whole.entries()) {
    await Deno.writeTextFile(`${folder.path}/${i}.ts`, block);
  }
  const imports = Object.fromEntries(
    Object.entries<string>(JSON.parse(read("deno.json")).exports).map((
      [name, path],
    ) => [
      `jsr:@halfclose/server${name.slice(1)}`,
      `${root}/${path}`,
    ]),
  );
  const config = JSON.stringify({ imports });
  await Deno.writeTextFile(`${folder.path}/deno.json`, config);
  const files = whole.map((_, i) => `${folder.path}/${i}.ts`);
  const { code, stderr } = await runDeno(
    ...["check", "--config", `${folder.path}/deno.json`, ...files],
  );
  assertEquals(code, 0, stderr);
});
