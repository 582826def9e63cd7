// Lessons that are typed as they are read: their files, commands and what these
// show. A lesson is Markdown with four kinds of blocks:
//
// - `ts ignore NAME`: a file. The sentence before it names it, too.
// - `sh`: what is typed. Its first line, a comment, names the terminal. Blocks
//   of `ss` alone need none, as it can be asked anywhere, and again.
// - `text`: what is shown then, in that terminal or in the one it names. A line
//   `...` stands for any lines.
// - without a word: a diagram.

import { assert, assertEquals } from "@std/assert";
import { putDenoInto } from "./published.ts";
import { Desk, portOfLesson } from "./terminals.ts";
import { freePort } from "./sockets.ts";

/** What a reader does, or sees. */
type Step =
  | { kind: "file"; name: string; text: string }
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
    const [language = "", ...words] = info.split(" ");
    const commands = text.trimEnd();
    if (language === "ts") {
      const [ignore, name = ""] = words;
      assertEquals(ignore, "ignore", "the block does not run by itself");
      assert(before.includes(`\`${name}\``), `the text does not name ${name}`);
      steps.push({ kind: "file", name, text });
    } else if (language === "sh" && commands.startsWith("# ")) {
      [, last = ""] = /^# (.+)/.exec(commands) ?? [];
      steps.push({ kind: "type", terminal: last, commands });
    } else if (language === "sh") {
      assert(
        /^(ss .+\n?)+$/.test(commands),
        `where is this typed? ${commands}`,
      );
      steps.push({ kind: "ask", commands });
      last = "";
    } else if (language === "text") {
      const terminal = words.length > 0 ? words.join(" ") : last;
      steps.push({ kind: "see", terminal, shown: commands.split("\n") });
    } else {
      assertEquals(info, "", "the block is of a known kind");
    }
  }
  return steps;
}

/** Writes the files of sections into a folder, with another port. */
export async function writeFiles(
  folder: string,
  sections: readonly Section[],
  port = portOfLesson,
): Promise<string[]> {
  const names: string[] = [];
  for (const step of sections.flatMap(({ steps }) => steps)) {
    if (step.kind !== "file") continue;
    const path = `${folder}/${step.name}`;
    await Deno.writeTextFile(path, withPort(step.text, port));
    names.push(step.name);
  }
  return names;
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
