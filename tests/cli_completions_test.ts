// Completions, as shells make use of them.

import { assert, assertEquals } from "@std/assert";
import { serveFlags } from "../cli/args/flags.ts";
import { completionsFor, type Shell } from "../cli/args/completions.ts";
import { decoded, printed, spawn } from "./programs.ts";
import { testIf } from "./support.ts";
import { Tool } from "./tool.ts";

/** Runs a shell that reads its completions from standard input. */
async function complete(shell: Shell, args: string[]): Promise<string[]> {
  await using child = spawn(shell, args, { stdin: "piped" });
  const ending = child.output();
  const input = new Blob([completionsFor(shell)]).stream();
  await input.pipeTo(child.stdin);
  const { code, stdout, stderr } = decoded(await ending);
  assertEquals([code, stderr], [0, ""]);
  return stdout.split("\n").filter((line) => line !== "").sort();
}

/** Completes the last of some words in bash. */
function inBash(...words: string[]): Promise<string[]> {
  const script = 'source /dev/stdin; COMP_WORDS=(halfclose "$@"); ' +
    'COMP_CWORD=$#; _halfclose; printf "%s\\n" "${COMPREPLY[@]}"';
  const args = ["--noprofile", "--norc", "-c", script, "bash", ...words];
  return complete("bash", args);
}

/** Completes the end of a command line in fish: what is offered, and why. */
function inFish(line: string): Promise<string[]> {
  const script = "source; complete -C $argv[1]";
  return complete("fish", ["--no-config", "-c", script, line]);
}

async function has(shell: Shell): Promise<boolean> {
  return await printed([shell, "-c", "exit"]) !== undefined;
}

const shells = {
  bash: await has("bash"),
  zsh: await has("zsh"),
  fish: await has("fish"),
};

/** Defines a test that is ignored, for all to see, where its shell lacks. */
function testIn(shell: Shell, name: string, fn: () => Promise<void>): void {
  testIf(shells[shell], shell, name, fn);
}

const longFlags = Object.keys(serveFlags).map((name) => `--${name}`).sort();

for (const shell of ["bash", "zsh", "fish"] as const) {
  Deno.test(`cli: completions ${shell} prints them`, async () => {
    const { code, stdout, lines } = await Tool.run(["completions", shell], {
      permissions: [],
    });
    assertEquals([code, lines], [0, []]);
    assertEquals(stdout, `${completionsFor(shell)}\n`);
  });
}

testIn("bash", "completions for bash offer all flags", async () => {
  const offered = await inBash("--");
  assertEquals(offered, longFlags);
  const all = await inBash("--port", "0", "-");
  assertEquals(all.filter((flag) => flag.startsWith("--")), longFlags);
  assertEquals(all.filter((flag) => /^-\w$/.test(flag)), [
    "-V",
    "-h",
    "-p",
    "-q",
  ]);
});

testIn("bash", "completions for bash offer what may come next", async () => {
  const cases: [words: string[], offered: string[]][] = [
    [["--por"], ["--port"]],
    [["--log-format", ""], ["json", "text"]],
    [["--log-format", "j"], ["json"]],
    [["-q", "--log-format", "=", "j"], ["json"]],
    [["--log-format", "="], ["json", "text"]],
    [["--log-level", "d"], ["debug"]],
    [["--port", ""], []],
    [["--text", "REA"], []],
    [["--file", "READ"], ["README.md"]],
    [["--sink", "ben"], ["bench"]],
    [["--sink", "READ"], []],
    [["mod"], ["mod.ts"]],
    [["-q", "mod"], ["mod.ts"]],
    [["comp"], ["completions"]],
    [["sen"], ["send"]],
    [["send", ""], []],
    [["send", "--ti"], ["--timeout"]],
    [["send", "--file", "READ"], ["README.md"]],
    [["-q", "comp"], []],
    [["completions", ""], ["bash", "fish", "zsh"]],
    [["completions", "z"], ["zsh"]],
    [["completions", "--"], ["--help", "--version"]],
    [["--", "wc", "READ"], ["README.md"]],
    [["--", "wc", "--port"], []],
  ];
  for (const [words, offered] of cases) {
    assertEquals(await inBash(...words), offered, words.join(" "));
  }
  assert((await inBash("-q", "--", "bas")).includes("bash"));
});

testIn(
  "zsh",
  "completions for zsh are good zsh, and take their place",
  async () => {
    const script = "autoload -Uz compinit && compinit -u -D && " +
      'eval "$(</dev/stdin)" && print $_comps[halfclose]';
    assertEquals(await complete("zsh", ["-f", "-c", script]), ["_halfclose"]);
  },
);

testIn("fish", "completions for fish offer what may come next", async () => {
  const cases: [line: string, offered: string[]][] = [
    ["halfclose --", longFlags],
    ["halfclose --por", ["--port"]],
    ["halfclose --log-format ", ["json", "text"]],
    ["halfclose --log-format=j", ["--log-format=json"]],
    ["halfclose --port ", []],
    ["halfclose --file READ", ["README.md"]],
    ["halfclose --sink ben", ["bench/"]],
    ["halfclose comp", ["completions"]],
    ["halfclose sen", ["send"]],
    ["halfclose send --ti", ["--timeout"]],
    ["halfclose -q comp", []],
    ["halfclose completions ", ["bash", "fish", "zsh"]],
    ["halfclose completions --v", ["--version"]],
    ["halfclose completions --p", []],
  ];
  for (const [line, offered] of cases) {
    const lines = await inFish(line);
    const words = lines.map((line) => line.replace(/\t.*/, ""));
    assertEquals(words, offered, line);
  }
});

testIn("fish", "completions for fish say what flags do", async () => {
  const [line] = await inFish("halfclose --por");
  assertEquals(line, `--port\t${serveFlags.port.help}`);
});
