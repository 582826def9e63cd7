// Lessons that are typed as they are read: their files, commands and what these
// show. A lesson is Markdown with five kinds of blocks:
//
// - `ts ignore NAME`: a file. The sentence before it names it, too.
// - `diff OLD NEW`: what to change in a file to get another one. A line `...`
//   stands for any lines that stay.
// - `sh`: what is typed. A comment names the terminal. `ss` is asked again until
//   it shows what it should.
// - `text`: what is shown then, in that terminal, or in those that lines like
//   the comments name. A line `...` stands for any lines.
// - without a word: a diagram.

import { assert, assertEquals } from "@std/assert";
import { putDenoInto } from "./published.ts";
import { Desk, portOfLesson } from "./terminals.ts";
import { freePort } from "./sockets.ts";

/** What a reader does, or sees. */
type Step =
  | { kind: "file"; name: string; text: string }
  | { kind: "change"; old: string; name: string; changes: string }
  | { kind: "type"; terminal: string; commands: string }
  | { kind: "ask"; commands: string }
  | { kind: "see"; terminal: string; shown: string[] };

/** A part of a lesson, under a heading of its own. */
export interface Section {
  title: string;
  steps: Step[];
}

/** The sections of a lesson. */
export function sectionsOf(markdown: string): Section[] {
  return markdown.split(/^## /m).slice(1).map((section) => {
    const [title = ""] = section.split("\n", 1);
    return { title, steps: stepsOf(section) };
  });
}

function stepsOf(section: string): Step[] {
  const steps: Step[] = [];
  let last = "";
  let end = 0;
  for (const block of section.matchAll(/^```(.*)\n([^]*?\n)```$/gm)) {
    const [whole, info = "", text = ""] = block;
    const before = section.slice(end, block.index);
    end = block.index + whole.length;
    const [language = "", first = "", name = ""] = info.split(" ");
    if (language === "ts" || language === "diff") {
      assert(before.includes(`\`${name}\``), `the text does not name ${name}`);
    }
    if (language === "ts") {
      assertEquals(first, "ignore", "the block does not run by itself");
      steps.push({ kind: "file", name, text });
    } else if (language === "diff") {
      steps.push({ kind: "change", old: first, name, changes: text });
    } else if (language === "sh") {
      for (const [terminal, lines] of partsOf(text, last)) {
        const commands = lines.join("\n");
        steps.push(
          commands.startsWith("ss ")
            ? { kind: "ask", commands }
            : { kind: "type", terminal, commands },
        );
        last = terminal;
      }
    } else if (language === "text") {
      for (const [terminal, shown] of partsOf(text, last)) {
        steps.push({ kind: "see", terminal, shown });
      }
    } else {
      assertEquals(info, "", "the block is of a known kind");
    }
  }
  return steps;
}

/**
 * The lines of a block by terminal, where "" is any, in which `ss` is asked. Those
 * before the first name are of `last`.
 */
function partsOf(text: string, last: string): [string, string[]][] {
  const parts: [string, string[]][] = [[last, []]];
  for (const line of text.trimEnd().split("\n")) {
    const [, terminal] = /^# (server|client|second client)$/.exec(line) ?? [];
    if (terminal) parts.push([terminal, []]);
    else if (line.startsWith("ss ")) parts.push(["", [line]]);
    else parts.at(-1)?.[1].push(line);
  }
  return parts.filter(([, lines]) => lines.length > 0);
}

/** Writes the files of sections into a folder, with another port. */
export async function writeFiles(
  folder: string,
  sections: readonly Section[],
  port = portOfLesson,
): Promise<string[]> {
  const files = new Map<string, string>();
  for (const step of sections.flatMap(({ steps }) => steps)) {
    if (step.kind !== "file" && step.kind !== "change") continue;
    assert(!files.has(step.name), `there are two files ${step.name}`);
    const text = step.kind === "file"
      ? step.text
      : changed(files.get(step.old) ?? "", step.changes);
    files.set(step.name, text);
    await Deno.writeTextFile(`${folder}/${step.name}`, withPort(text, port));
  }
  return Array.from(files.keys());
}

/** A text after changes, which name each place by the lines that are there. */
function changed(text: string, changes: string): string {
  for (const hunk of changes.split(/^\.\.\.\n/m)) {
    const old = hunk.replaceAll(/^\+.*\n/gm, "").replaceAll(/^[- ]/gm, "");
    const places = text.split(old).length - 1;
    assertEquals(places, 1, `these lines are there once:\n${old}`);
    const added = hunk.replaceAll(/^-.*\n/gm, "").replaceAll(/^[+ ]/gm, "");
    text = text.replace(old, () => added);
  }
  return text;
}

function withPort(text: string, port: number): string {
  return text.replaceAll(`${portOfLesson}`, `${port}`);
}

/** Does in an empty folder what a reader of the last of these sections does. */
export async function study(
  folder: string,
  sections: readonly Section[],
): Promise<void> {
  const port = freePort();
  await writeFiles(folder, sections, port);
  const path = await putDenoInto(`${folder}/.bin`);
  await using desk = new Desk(folder, { PATH: path, NO_COLOR: "1" });
  let asked = "";
  const preparation = sections.find(({ title }) =>
    title === "Before you begin"
  );
  const steps = [preparation, sections.at(-1)]
    .flatMap((section) => section?.steps ?? []);
  for (const step of steps) {
    if (step.kind === "type") {
      await desk.type(step.terminal, withPort(step.commands, port));
      if (step.terminal === "server") await desk.listens(port);
    } else if (step.kind === "ask") {
      asked = withPort(step.commands, port);
    } else if (step.kind === "see" && step.terminal === "") {
      await desk.ask(asked, step.shown, port);
    } else if (step.kind === "see") {
      await desk.see(step.terminal, step.shown, port);
    }
  }
  await desk.leave();
}
