// git, with a daemon that is a program of the tool: docs/protocols.md.

import { assert, assertEquals } from "@std/assert";
import { assertSame, pattern } from "../bytes.ts";
import { said } from "../clients.ts";
import { runProgram } from "../programs.ts";
import { temporaryFolder, testIf } from "../support.ts";
import { outcomes, Tool } from "../tool.ts";
import { sectionOf } from "./page.ts";

/** The words after the address, as the page has them. */
function flagsFor(folder: string): string[] {
  const [, flags] = /--port 9418 (.*)\n/.exec(sectionOf("git")) ?? [];
  assert(flags, "docs/protocols.md has no line for git");
  return flags.replaceAll("/srv/git", folder).split(" ");
}

testIf(
  said("git", "daemon", "--help").includes("inetd") ||
    said("git", "--version").startsWith("git version"),
  "git",
  "interop: git clones from `-- git daemon --inetd`, and pushes 20 MB",
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
    const git = async (cwd: string, ...args: string[]) => {
      const { code, stderr } = await runProgram("git", args, {
        cwd,
        env: home,
      });
      assertEquals(code, 0, stderr);
    };
    const served = `${folder.path}/served`;
    await Deno.mkdir(served);
    await git(served, "init", "-q", "--bare", "project.git");
    const options = { permissions: ["-N", "--allow-run"], env: home };
    await using tool = await Tool.listening(flagsFor(served), options);
    const url = `git://127.0.0.1:${tool.port}/project.git`;
    await git(folder.path, "clone", "-q", url, "one");
    const one = `${folder.path}/one`;
    // Nothing that packs well.
    const large = crypto.getRandomValues(new Uint8Array(65_536));
    const file = pattern(20_000_000).map((byte, i) =>
      byte ^ (large[i % 65_536] ?? 0) ^ (large[(i >> 8) % 65_521] ?? 0)
    );
    await Deno.writeFile(`${one}/large`, file);
    await git(one, "add", "large");
    await git(one, "commit", "-q", "-m", "large");
    await git(one, "push", "-q", "origin", "HEAD");
    await git(folder.path, "clone", "-q", url, "two");
    assertSame(await Deno.readFile(`${folder.path}/two/large`), file);
    const exchanges = await tool.stop();
    assertEquals(outcomes(exchanges), ["ok", "ok", "ok"]);
    assert((exchanges[1]?.bytesIn ?? 0) > 16 * 1024 ** 2);
  },
);
