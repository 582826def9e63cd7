// Pages of the manual whose programs are tried as they stand there.

import { root } from "./programs.ts";

/** A page of the manual. */
export function readPage(name: string): string {
  return Deno.readTextFileSync(`${root}/docs/${name}`);
}

/** The programs that a page shows, by the name after the language. */
export function filesOf(page: string): Record<string, string> {
  const blocks = page.matchAll(
    /^```\w+ (?:ignore )?(\S+\.\w+)\n([^]*?)^```$/gm,
  );
  return Object.fromEntries(
    Array.from(blocks, ([, name = "", content = ""]) => [name, content]),
  );
}

/** Puts programs into a folder, where this checkout is what is published. */
export async function writeFiles(
  folder: string,
  files: Record<string, string>,
): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const here = content.replaceAll(' from "jsr:', ' from "');
    await Deno.writeTextFile(`${folder}/${name}`, here);
  }
}
