// Who can reach a Unix socket: only those whom its mode allows, from the start.

import { assertEquals } from "@std/assert";
import { listen } from "../mod.ts";
import {
  lines,
  printed,
  runProgram,
  spawn,
  withoutRights,
} from "./programs.ts";
import { namesIn, temporaryFolder, testIf } from "./support.ts";

const canBecomeAnother = Deno.build.os !== "windows" && Deno.uid() === 0 &&
  await printed(["python3", "--version"]) !== undefined;

testIf(
  canBecomeAnother,
  "python3, and root",
  "listen() never lets a stranger reach a Unix socket that its `mode` keeps from him",
  async () => {
    await using folder = await temporaryFolder();
    await Deno.chmod(folder.path, 0o755);
    await using stranger = spawn("python3", [
      `${import.meta.dirname}/testdata/stranger.py`,
      folder.path,
    ], { stdin: "piped", stderr: "inherit" });
    const output = lines(stranger.stdout);
    assertEquals((await output.next()).value, "watching");
    const umask = Deno.umask(0);
    try {
      for (let i = 0; i < 2_000; i++) {
        listen({ path: `${folder.path}/${i}`, mode: 0o600 }).close();
      }
    } finally {
      Deno.umask(umask);
    }
    await stranger.stdin.close();
    assertEquals(await Array.fromAsync(output), [""], "it was let in");
    assertEquals(namesIn(folder.path), []);
  },
);

testIf(
  Deno.build.os !== "windows" &&
    await printed([...withoutRights, "true"]) !== undefined,
  "a system with umasks, and setpriv if root runs it",
  "listen() listens on a Unix socket under a umask for files",
  async () => {
    await using folder = await temporaryFolder();
    const program = `${import.meta.dirname}/testdata/listen_at.ts`;
    const { stdout } = await runProgram("sh", [
      ...["-c", 'umask 177; exec "$@"', "sh", ...withoutRights],
      ...[Deno.execPath(), "run", "--no-config", "-A", program],
      ...[`${folder.path}/s`, folder.path],
    ]);
    assertEquals(stdout, "fine\n\n0\n");
  },
);

testIf(
  canBecomeAnother,
  "root",
  "listen() gives its Unix socket the group that its folder passes on",
  async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/s`;
    Deno.chownSync(folder.path, 0, 65_534);
    Deno.chmodSync(folder.path, 0o2755);
    const listener = listen({ path, mode: 0o660 });
    assertEquals(Deno.lstatSync(path).gid, 65_534);
    listener.close();
  },
);
