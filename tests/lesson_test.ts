// The lesson: what is typed in it shows what it says.

import { assert, assertEquals } from "@std/assert";
import { said } from "./clients.ts";
import { type Section, sectionsOf, study, writeFiles } from "./lesson.ts";
import { canTrace, root, runProgram } from "./programs.ts";
import { temporaryFolder, testIf } from "./support.ts";

const lesson = read("from-the-socket-up.md");
const solutions = read("from-the-socket-up-solutions.md");

function read(name: string): Section[] {
  return sectionsOf(Deno.readTextFileSync(`${root}/docs/${name}`));
}

const nothingLacks = Deno.build.os === "linux" &&
  said("bash", "--version").includes("bash") &&
  said("nc", "-h").includes("-N") &&
  said("ss", "-V").includes("iproute2");
/** The programs that only some sections use: a name, and whether it is there. */
const further = {
  "strace": await canTrace(),
  "systemd-socket-activate":
    said("systemd-socket-activate", "--version") !== "",
};

function uses({ steps }: Section, program: string): boolean {
  return steps.some((step) =>
    step.kind === "type" && step.commands.includes(`${program} `)
  );
}

/** Tests the last of these sections, with the files of all. */
function testSection(page: string, sections: Section[]): void {
  const section = sections.at(-1);
  if (!section?.steps.some(({ kind }) => kind === "see")) return;
  const needed = Object.entries(further)
    .filter(([program]) => uses(section, program));
  testIf(
    nothingLacks && needed.every(([, isThere]) => isThere),
    ["Linux with bash, ss, nc -N", ...needed.map(([program]) => program)]
      .join(", "),
    `docs/${page}.md: ${section.title}`,
    async () => {
      await using folder = await temporaryFolder();
      await study(folder.path, sections);
    },
  );
}

for (let i = 1; i <= lesson.length; i++) {
  testSection("from-the-socket-up", lesson.slice(0, i));
}

for (const solution of solutions) {
  testSection("from-the-socket-up-solutions", [...lesson, solution]);
}

Deno.test("docs/from-the-socket-up.md has files of the right types", async () => {
  await using folder = await temporaryFolder();
  const names = await writeFiles(folder.path, [...lesson, ...solutions]);
  assert(names.length > 5, `only ${names}`);
  const files = names.filter((name) => name !== "halfclose.ts")
    .map((name) => `${folder.path}/${name}`);
  const args = ["check", "--no-config", ...files];
  const { code, stderr } = await runProgram(Deno.execPath(), args);
  assertEquals(code, 0, stderr);
});

Deno.test("docs/from-the-socket-up.md has a solution for each exercise", () => {
  const text = Deno.readTextFileSync(`${root}/docs/from-the-socket-up.md`);
  const exercises = Array.from(
    text.matchAll(/^(\d+\. )\*\*(.+?)\.?\*\*/gm),
    ([, number, title]) => `${number}${title}`,
  );
  assert(exercises.length >= 6);
  assertEquals(solutions.map(({ title }) => title), exercises);
});
