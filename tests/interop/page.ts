// The servers of docs/protocols.md, each started as the page, or the example that it
// links to, has it.

import { assert } from "@std/assert";
import { root } from "../programs.ts";
import { Tool } from "../tool.ts";

const page = Deno.readTextFileSync(`${root}/docs/protocols.md`);

/** What the page has under a heading. */
export function sectionOf(heading: string): string {
  const [, rest] = page.split(`\n## ${heading}\n`);
  assert(rest, `docs/protocols.md has no section ${heading}`);
  return rest.split("\n## ")[0] ?? "";
}

/** The server of a section. */
function sourceIn(section: string): string {
  const [, source] = /```ts ignore\n(.*?)```/s.exec(section) ?? [];
  if (source !== undefined) return source;
  const [, file] = /\]\(\.\.\/(examples\/\w+\.ts)\)/.exec(section) ?? [];
  assert(file, `docs/protocols.md has no server in:\n${section}`);
  return Deno.readTextFileSync(`${root}/${file}`);
}

/** Starts the server that the page has under a heading, in a folder. */
export async function startServer(
  heading: string,
  folder: string,
  ...flags: string[]
): Promise<Tool> {
  const file = `${folder}/server.ts`;
  await Deno.writeTextFile(file, sourceIn(sectionOf(heading)));
  return await Tool.listening([...flags, file], {
    permissions: ["-A", "--config", `${root}/deno.json`],
    entry: `${root}/cli.ts`,
    cwd: folder,
  });
}
