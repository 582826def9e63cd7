// A Unix socket that cannot be had: what is said, and that nothing is left.

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { listen, request } from "../mod.ts";
import { canTrace, root, runProgram } from "./programs.ts";
import { namesIn, temporaryFolder, testIf, testUnix } from "./support.ts";
import { checkRefusal, Tool } from "./tool.ts";
import { injecting } from "./told_server.ts";

/** Paths where no socket can be, and why, by where they begin in a folder. */
const impossible: Record<
  string,
  [type: new (message: string) => Error, reason: string]
> = {
  "/none/s": [Deno.errors.NotFound, "the folder "],
  "/file/s": [Deno.errors.NotADirectory, "Not a directory (os error 20)"],
  [`/${"x".repeat(120)}`]: [RangeError, "its path is too long by "],
};

testUnix(
  "listen() names the path as it was given where it cannot listen",
  async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    for (const [end, [type, reason]] of Object.entries(impossible)) {
      const path = folder + end;
      const { message } = assertThrows(() => listen({ path }), type);
      const said = `Cannot listen on ${path}: ${reason}`;
      assertEquals(message.slice(0, said.length), said);
      assertEquals(message.replaceAll(path, "").includes("/."), false);
      assertEquals(namesIn(folder), ["file"]);
      const flags = Tool.allowing(folder);
      checkRefusal(await Tool.run(["--unix", path], flags), 1, said);
    }
  },
);

const listenAt = `${import.meta.dirname}/testdata/listen_at.ts`;

/** Has a program listen: what it says, what lies in its folder, what is open. */
async function told(
  folder: string,
  permissions: string[],
  wrapper: string[] = [],
): Promise<string[]> {
  const [program = "", ...args] = [
    ...[...wrapper, Deno.execPath(), "run", "--no-config", "--no-prompt"],
    ...[...permissions, listenAt, `${folder}/s`, folder],
  ];
  const { DENO_COVERAGE_DIR: _, ...env } = Deno.env.toObject();
  const { stdout, stderr } = await runProgram(program, args, {
    // Deno would make a folder for the coverage of its children, too.
    clearEnv: true,
    env: { ...env, DENO_NO_UPDATE_CHECK: "1" },
  });
  assertEquals(stderr, "");
  return stdout.trimEnd().split("\n");
}

testUnix(
  "listen() on a Unix socket names the folder that it needs permissions for",
  async (folder) => {
    const read = `-R=${folder},${root}`;
    const write = `-W=${folder}`;
    assertEquals(await told(folder, ["-N", read, write]), ["fine", "", "0"]);
    for (
      const lacking of [
        [read, write],
        ["-N", read],
        ["-N", read, `-W=${folder}/s`],
      ]
    ) {
      const [said = "", names] = await told(folder, lacking);
      assertEquals(
        said,
        `NotCapable: Cannot listen on ${folder}/s: the permission is missing. ` +
          `Run deno with --allow-net, --allow-read=${folder}/ and ` +
          `--allow-write=${folder}/`,
      );
      assertEquals(names ?? "", "");
    }
  },
);

for (
  const [fault, reason] of Object.entries({
    "mkdir:error=ENOSPC": "Error: No space left on device (os error 28)",
    "bind:error=EADDRNOTAVAIL":
      "AddrNotAvailable: Cannot assign requested address (os error 99)",
    "listen:error=ENOBUFS": "Error: No buffer space available (os error 105)",
    "/chmod:error=EROFS": "Error: Read-only file system (os error 30)",
    "/^rename:error=EXDEV": "Error: Invalid cross-device link (os error 18)",
  })
) {
  testIf(
    Deno.build.os === "linux" && await canTrace(),
    "a strace that may trace",
    `listen() leaves nothing behind after ${fault}`,
    async () => {
      await using folder = await temporaryFolder();
      // Deno makes folders for its caches, unless it has run this before.
      assertEquals(await told(folder.path, ["-A"]), ["fine", "", "0"]);
      const said = await told(folder.path, ["-A"], injecting(fault));
      const [type, why] = reason.split(": ");
      assertEquals(said, [
        `${type}: Cannot listen on ${folder.path}/s: ${why}`,
        "",
        "0",
      ]);
    },
  );
}

testIf(
  Deno.build.os === "linux" && await canTrace(),
  "a strace that may trace",
  "listen() says that the user may not listen there",
  async () => {
    await using folder = await temporaryFolder();
    const trace = ["-P", `${folder.path}/s`, "-e", "trace=openat"];
    const [said = "", names] = await told(folder.path, ["-A"], [
      ...["strace", "-f", "-qq", "-o", "/dev/null", ...trace],
      ...["-e", "inject=openat:error=EACCES"],
    ]);
    assertStringIncludes(
      said,
      `PermissionDenied: Cannot listen on ${folder.path}/s: the folder ${folder.path}/ does not let you create files. `,
    );
    assertEquals(names, "");
  },
);

testUnix("abstract sockets cannot be had, and that is said", async (folder) => {
  const why = "Deno has no abstract sockets. Give the path of a socket in a " +
    'folder, such as "./@name"';
  for (const path of ["@name", "\0name"]) {
    const said = `option "path" cannot be ${Deno.inspect(path)}: ${why}`;
    assertThrows(() => listen({ path }), TypeError, `Cannot listen: ${said}`);
    assertEquals(
      await request({ path }).then(String, ({ message }) => message),
      `Cannot request: ${said} or "/run/name.sock"`,
    );
  }
  const options = { ...Tool.allowing(folder), cwd: root };
  for (
    const [args, said] of [
      [["--unix", "@name"], '--unix cannot be "@name": '],
      [["send", "unix:@name"], 'cannot send to "@name": '],
    ] as const
  ) {
    checkRefusal(await Tool.run([...args], options), 2, said + why);
  }
  // A file may have such a name.
  listen({ path: `${folder}/@name` }).close();
});
