// Programs that were made for `inetd`, under the tool: docs/protocols.md.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { said } from "../clients.ts";
import { runProgram } from "../programs.ts";
import { temporaryFolder, testIf } from "../support.ts";
import { outcomes, Tool } from "../tool.ts";
import { sectionOf } from "./page.ts";

/** Starts a program as the page has it, with a folder of its own to serve. */
function startProgram(
  heading: string,
  program: string,
  folder: string,
): Promise<Tool> {
  const line = new RegExp(`--port \\d+ (.* ${program} .*)\\n`);
  const [, flags] = line.exec(sectionOf(heading)) ?? [];
  assert(flags, `docs/protocols.md has no line for ${program}`);
  const args = flags.replaceAll(/\/srv\/\w+/g, folder).split(" ");
  return Tool.listening(args, { permissions: ["-N", "--allow-run"] });
}

/** Runs a program that is to end well, and gives what it prints. */
async function run(
  command: string[],
  options?: Deno.CommandOptions,
): Promise<string> {
  const [program = "", ...args] = command;
  const { code, stdout, stderr } = await runProgram(program, args, options);
  assertEquals(code, 0, stderr);
  return stdout;
}

testIf(
  said("git", "--version").startsWith("git version"),
  "git",
  "interop: git clones from `git daemon --inetd`, and pushes 20 MB",
  async () => {
    await using folder = await temporaryFolder();
    const home = {
      HOME: folder.path,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_AUTHOR_NAME: "me",
      GIT_AUTHOR_EMAIL: "me@example.com",
      GIT_COMMITTER_NAME: "me",
      GIT_COMMITTER_EMAIL: "me@example.com",
    };
    const git = (cwd: string, ...args: string[]) =>
      run(["git", ...args], { cwd, env: home });
    const served = `${folder.path}/served`;
    await Deno.mkdir(served);
    await git(served, "init", "-q", "--bare", "project.git");
    await using tool = await startProgram("git", "git daemon", served);
    const url = `git://127.0.0.1:${tool.port}/project.git`;
    await git(folder.path, "clone", "-q", url, "one");
    const one = `${folder.path}/one`;
    // Noise does not pack.
    const file = await Deno.open(`${one}/large`, {
      write: true,
      createNew: true,
    });
    for (let i = 0; i < 400; i++) {
      const noise = crypto.getRandomValues(new Uint8Array(50_000));
      assertEquals(await file.write(noise), noise.length);
    }
    file.close();
    await git(one, "add", "large");
    await git(one, "commit", "-q", "-m", "large");
    await git(one, "push", "-q", "origin", "HEAD");
    await git(folder.path, "clone", "-q", url, "two");
    await run(["cmp", `${one}/large`, `${folder.path}/two/large`]);
    const exchanges = await tool.stop();
    assertEquals(outcomes(exchanges), ["ok", "ok", "ok"]);
    assert((exchanges[1]?.bytesIn ?? 0) > 20_000_000);
  },
);

testIf(
  said("gophernicus", "-v").includes("Gophernicus") && Deno.uid() === 0 &&
    said("curl", "--version").includes(" gopher "),
  "gophernicus, curl with Gopher, and root",
  "interop: gophernicus answers curl",
  async () => {
    await using folder = await temporaryFolder();
    await Deno.chmod(folder.path, 0o755);
    await Deno.writeTextFile(`${folder.path}/about.txt`, "One at a time.\n");
    await Deno.chmod(`${folder.path}/about.txt`, 0o644);
    await using tool = await startProgram(
      "Other programs",
      "gophernicus",
      folder.path,
    );
    const url = `gopher://127.0.0.1:${tool.port}`;
    const about = await run(["curl", "-s", `${url}/0/about.txt`]);
    assertStringIncludes(about, "One at a time.");
    assertStringIncludes(await run(["curl", "-s", `${url}/1/`]), "about.txt");
    assertEquals(outcomes(await tool.stop()), ["ok", "ok"]);
  },
);

testIf(
  said("cvs", "--version").includes("CVS") && Deno.uid() === 0,
  "cvs, and root",
  "interop: cvs checks out of, and commits to, a cvs server",
  async () => {
    await using folder = await temporaryFolder();
    await Deno.chmod(folder.path, 0o755);
    const served = `${folder.path}/served`;
    await run(["cvs", "-d", served, "init"]);
    // A user without a password is let in, as nobody special.
    await Deno.writeTextFile(`${served}/CVSROOT/passwd`, "me::nobody\n");
    await Deno.mkdir(`${served}/project`);
    await run(["chown", "-R", "nobody", served]);
    await using tool = await startProgram("Other programs", "cvs", served);
    const root = `:pserver:me@127.0.0.1:${tool.port}${served}`;
    const options = {
      cwd: folder.path,
      env: { HOME: folder.path, USER: "me" },
    };
    const cvs = (cwd: string, ...args: string[]) =>
      run(["cvs", "-Q", "-d", root, ...args], { ...options, cwd });
    await Deno.writeTextFile(`${folder.path}/.cvspass`, "");
    await cvs(folder.path, "checkout", "project");
    const one = `${folder.path}/project`;
    await Deno.writeTextFile(`${one}/file`, "hello\n");
    await cvs(one, "add", "file");
    await cvs(one, "commit", "-m", "a file");
    await cvs(folder.path, "checkout", "-d", "two", "project");
    const file = await Deno.readTextFile(`${folder.path}/two/file`);
    assertEquals(file, "hello\n");
    const all = outcomes(await tool.stop());
    assertEquals(all.filter((outcome) => outcome !== "ok"), []);
  },
);
