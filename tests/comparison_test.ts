// What docs/comparison.md says of other tools, tried with each of them.

import { assert, assertEquals } from "@std/assert";
import { hasNetcat, said } from "./clients.ts";
import {
  type Lines,
  lines,
  type Task,
  type Tool,
  tools,
} from "./comparison/lines.ts";
import { RunningLine } from "./comparison/running_line.ts";
import { tasks } from "./comparison/tasks.ts";
import { filesOf, readPage } from "./page.ts";
import { ask, begin, readText } from "./sockets.ts";
import { namesIn, temporaryFolder, testIf, until } from "./support.ts";

const page = readPage("comparison.md");

/** The rows below a heading of the page: the cells of each. */
function rowsBelow(heading: string): string[][] {
  const [, section = ""] = page.split(`\n## ${heading}\n`);
  const rows = section.split("\n## ")[0]?.match(/^\|.*\|$/gm) ?? [];
  // The first two are the table's head.
  return rows.slice(2).map((row) => {
    return row.split("|").slice(1, -1).map((cell) => cell.trim());
  });
}

/** What the page's matrix says: a cell for each task and tool. */
const matrix: ReadonlyMap<string, string[]> = new Map(
  rowsBelow("What each can do").map(([task = "", ...cells]) => [task, cells]),
);

/** The versions of the tools that there are, in the order of the page. */
const versions: Record<Exclude<Tool, "halfclose">, string | undefined> = {
  ncat: /Ncat: Version (\S+)/.exec(said("ncat", "--version"))?.[1],
  socat: /socat version (\S+)/.exec(said("socat", "-V"))?.[1],
  tcpserver: versionOfTcpserver(),
  systemd: /systemd (\d+)/.exec(said("systemd-socket-activate", "--version"))
    ?.[1],
  Python: /^Python (3\S+)/.exec(said("python3", "--version"))?.[1],
  Deno: Deno.version.deno,
  Node: /^v(\S+)/.exec(said("node", "--version"))?.[1],
};

/** It does not tell its version: its package may do so. */
function versionOfTcpserver(): string | undefined {
  if (!said("tcpserver").includes("tcpserver: usage")) return undefined;
  const told = said("dpkg-query", "--show", "ucspi-tcp");
  return /\s(?:\d+:)?(\d[\d.]*)/.exec(told)?.[1] ?? "of an unknown version";
}

function isInstalled(tool: Tool): boolean {
  if (Deno.build.os === "windows") return false;
  return tool === "halfclose" || versions[tool] !== undefined;
}

/** What the page says of a line: a cell is one of these, or names an option. */
const words = { yes: true, no: false, sometimes: false };

/** The lines of a cell, and whether each does its task. */
function trialsOf(cell: string, line: Lines): [line: string, does: boolean][] {
  if (typeof line !== "string") {
    const [plain, helped] = line;
    const [, option = ""] = /^with `(.+)`$/.exec(cell) ?? [];
    const without = helped.replace(option, "");
    assertEquals(withoutSpaces(without), withoutSpaces(plain), cell);
    return [[plain, false], [helped, true]];
  }
  assert(cell in words, cell);
  return [[line, words[cell as keyof typeof words]]];
}

function withoutSpaces(line: string): string {
  return line.replaceAll(/[\s,]/g, "");
}

Deno.test("docs/comparison.md has a cell for each line that is tried", () => {
  assertEquals([...matrix.keys()], Object.keys(lines));
  for (const [task, row] of Object.entries(lines)) {
    const cells = matrix.get(task) ?? [];
    const told = tools.filter((_, column) => cells[column] !== "—");
    assertEquals(new Set(told), new Set(Object.keys(row)), task);
  }
});

Deno.test("docs/comparison.md says which versions it was tried with", () => {
  const there = Object.entries(versions)
    .map(([tool, version]) => `${tool} ${version ?? "that is not here"}`);
  const [, named = ""] = /these versions: ([^]+?)\.\s/.exec(page) ?? [];
  // Other versions may be here than those that the page was tried with.
  assertEquals(
    named.split(/,\s+/).map((one) => one.replace(/\s+\d+(?:\.\d+)*$/, "")),
    Object.keys(versions),
    `Here it would be: ${there.join(", ")}.`,
  );
});

/** How often a tool may do what it cannot be relied on to do. */
const LUCK = 100;

for (
  const [task, row] of Object.entries(lines) as [
    Task,
    Partial<Record<Tool, Lines>>,
  ][]
) {
  for (const [column, tool] of tools.entries()) {
    const line = row[tool];
    if (!line) continue;
    const cell = matrix.get(task)?.[column] ?? "";
    for (const [typed, does] of trialsOf(cell, line)) {
      const name = `comparison: ${task}: ${typed}`;
      testIf(isInstalled(tool), tool, name, async () => {
        await using folder = await temporaryFolder();
        await using running = new RunningLine(typed, folder.path);
        await running.listens();
        let done = await tasks[task](running, does, tool);
        for (let tries = 1; done && !does && tries < LUCK; tries++) {
          done = await tasks[task](running, does, tool);
        }
        assertEquals(done, does);
      });
    }
  }
}

testIf(
  isInstalled("ncat"),
  "ncat",
  "comparison: ncat answers before the client's FIN",
  async () => {
    await using folder = await temporaryFolder();
    const line = lines["An echo"].ncat;
    await using running = new RunningLine(line, folder.path);
    await running.listens();
    const conn = await begin(running.place, "hello");
    await conn.read(new Uint8Array(1));
    await conn.closeWrite();
    assertEquals(await readText(conn), "ello");
  },
);

/** The programs that the page shows. */
const files = filesOf(page);

/** Which of the tools a line is for. */
function toolOf(line: string): Tool | "nc" {
  if (/^(?:while )?nc\b/.test(line)) return "nc";
  if (line.startsWith("python3")) return "Python";
  return tools.find((tool) => line.startsWith(`${tool} `)) ?? "halfclose";
}

/** What a line does for one client: what it replies, and what it keeps. */
async function served(line: string): Promise<{ reply: string; kept: string }> {
  await using folder = await temporaryFolder();
  const dir = folder.path;
  const answer = { "answer.txt": "HELLO" };
  await using running = new RunningLine(line, dir, { ...files, ...answer });
  const { reply } = await until(async () => {
    try {
      return { reply: await ask(running.place, "hello") };
    } catch {
      assert(!running.hasEnded, "it has ended");
    }
  });
  const [, file] = />(\w+)$/.exec(line) ?? [];
  const [, sink] = /--sink (\w+)$/.exec(line) ?? [];
  if (!file && !sink) return { reply, kept: "" };
  const kept = await until(() => {
    const path = file ?? `${sink}/${namesIn(`${dir}/${sink}`)[0]}`;
    return Deno.readTextFileSync(`${dir}/${path}`);
  });
  return { reply: "", kept };
}

for (const [old = "", young = ""] of rowsBelow("Coming from")) {
  const from = old.replaceAll("`", "");
  const to = young.replaceAll("`", "");
  const tool = toolOf(from);
  const isThere = tool === "nc" ? hasNetcat : isInstalled(tool);
  testIf(isThere, tool, `comparison: from ${from} to ${to}`, async () => {
    const expected = from.includes(">job")
      ? { reply: "", kept: "hello" }
      : { reply: "HELLO", kept: "" };
    assertEquals(await served(to), expected);
    const before = await served(from);
    // It answers only by chance.
    if (tool === "ncat" && before.reply === "") return;
    assertEquals(before, expected);
  });
}
