// The soak itself: that it passes, and that it can fail.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decoded, importMap, type Output, printed, spawn } from "./programs.ts";
import { testIf } from "./support.ts";

function start(
  args: string[],
  program = "tests/soak/soak.ts",
): Deno.ChildProcess {
  const flags = ["run", "-A", ...importMap(), program];
  return spawn(Deno.execPath(), [...flags, ...args]);
}

/**
 * Waits for the soak and for all that it has started, since each of these has
 * its standard error in common with it.
 */
async function end(soak: Deno.ChildProcess): Promise<Output> {
  return decoded(await soak.output());
}

/** Runs a short one in which nothing may be amiss. */
async function findsNothing(...args: string[]): Promise<string> {
  const flags = ["-n", "1000", "--hostile=0.06", ...args];
  const { code, stdout } = await end(start(flags));
  assertEquals(code, 0, stdout);
  assertMatch(stdout, /^exchanges +1 000$/m);
  for (const row of ["unfinished", "lost", "wrong bytes", "errors"]) {
    assertMatch(stdout, new RegExp(`^${row} +0$`, "m"));
  }
  assertMatch(stdout, /^ {2}sends too much +[1-9]\d*$/m);
  assertMatch(stdout, /^ {2}too-large +[1-9]\d*$/m);
  return stdout;
}

for (const readAhead of [0, 1, 32]) {
  Deno.test(`soak finds nothing amiss, whatever its clients do, with readAhead ${readAhead}`, async () => {
    await findsNothing(`--read-ahead=${readAhead}`);
  });
}

Deno.test("soak finds nothing amiss with a delimiter", async () => {
  const until = String.raw`--until=\r\n`;
  const stdout = await findsNothing("--read-ahead=8", until);
  for (const does of ["breaks off before", "floods after", "resets after"]) {
    assertMatch(stdout, new RegExp(`^ {2}${does} its end +[1-9]`, "m"));
  }
});

Deno.test("soak finds nothing amiss with lengths", async () => {
  const stdout = await findsNothing("--length");
  assertMatch(stdout, /^ {2}half-closes before its end +[1-9]/m);
  assertMatch(stdout, /^ {2}truncated +[1-9]/m);
});

Deno.test("soak notices answers that are cut or wrong, and handlers that fail", async () => {
  const { code, stdout } = await end(start([
    "-n",
    "1000",
    "--hostile=0",
    "--server=tests/testdata/soak_breaks_answers.ts",
  ]));
  assertEquals(code, 1);
  // Which ones are hit depends on the order, how many does not.
  assertMatch(stdout, /^lost +[1-9]\d*$/m);
  assertMatch(stdout, /^wrong bytes +[1-9]\d*$/m);
  assertMatch(stdout, /^client \d+, which behaves: \d+ of \d+ bytes came$/m);
  assertMatch(stdout, /^client \d+, which behaves: byte 0 of its answer/m);
  assertMatch(stdout, /^amiss: \d+ records say "failed"$/m);
});

Deno.test("soak notices memory and descriptors that are never given back", async () => {
  const { code, stdout } = await end(start([
    "-n",
    "4000",
    "--hostile=0",
    "--server=tests/testdata/soak_leaks.ts",
  ]));
  assertEquals(code, 1);
  assertMatch(stdout, /^lost +0$/m);
  assertMatch(stdout, /^amiss: the server's heap grew by/m);
  if (Deno.build.os !== "linux") return;
  assertMatch(stdout, /^amiss: the server had \d+ descriptors open, then/m);
});

Deno.test("soak notices records that do not fit what its clients did", async () => {
  const { code, stdout } = await end(start([
    "-n",
    "1000",
    "--hostile=0",
    "--server=tests/testdata/soak_miscounts.ts",
  ]));
  assertEquals(code, 1);
  // A thousand, two to measure by, and one that held the server.
  assertEquals(stdout.match(/^amiss: .*$/gm), [
    "amiss: 994 records of 1003 connections",
    "amiss: 1 records out of order",
    "amiss: 994 records, expected from 1002 to 1002",
    'amiss: 994 records that say "ok", expected from 1002 to 1002',
    'amiss: 9 records that say "reset", expected from 0 to 0',
  ]);
});

Deno.test("soak fails, and leaves no process behind, when its time is up", async () => {
  const { code, stdout } = await end(start(["--minutes=0.03"]));
  assertEquals(code, 1);
  assertStringIncludes(stdout, "amiss: it did not end within 0.03 minutes");
  assertMatch(stdout, /^unfinished +[1-9]/m);
});

Deno.test("soak fails when its server ends", async () => {
  const { code, stdout } = await end(start(["--server=bench/nothing.ts"]));
  assertEquals(code, 1);
  assertStringIncludes(stdout, "amiss: The server ended by itself");
});

Deno.test("soak leaves no process behind when it is stopped", async () => {
  const soak = start(["--minutes=1"]);
  // It has begun as soon as it says how far it is, which it does at once.
  const reader = soak.stderr.getReader();
  await reader.read();
  reader.releaseLock();
  soak.kill(Deno.build.os === "windows" ? "SIGINT" : "SIGTERM");
  const { code, stdout } = await end(soak);
  assertEquals(code, 1);
  assertMatch(stdout, /^amiss: stopped by SIG/m);
});

Deno.test("soak says in one line which argument it cannot understand", async () => {
  const cases: [args: string[], message: string][] = [
    [
      ["-n", "many"],
      '-n must be a whole number from 1000 to 1000000000, received "many"',
    ],
    [["-c0"], '--clients must be a whole number from 1 to 32, received "0"'],
    [["--hostile=2"], '--hostile must be from 0 to 1, received "2"'],
    [["--minutes="], '--minutes must be over 0, received ""'],
    [["--until=x", "--length"], "--until and --length exclude each other"],
    [["--until="], '--until must be ASCII text, received ""'],
    [["--until=é"], '--until must be ASCII text, received "é"'],
    [["--server="], "--server needs a value: a file"],
    [["--nope"], 'unexpected argument "--nope". See --help'],
    [["extra"], 'unexpected argument "extra". See --help'],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await end(start(args));
    const problems = stderr.split("\n").filter((line) => line.includes("soak"));
    assertEquals(
      { code, stdout, problems },
      { code: 2, stdout: "", problems: [`soak: ${message}`] },
    );
  }
});

const hasCompiler = await printed(["cc", "--version"]) !== undefined;

function testOfStops(behaviour: string, fn: () => Promise<void>): void {
  testIf(hasCompiler, "a C compiler", `soak of stops ${behaviour}`, fn);
}

testOfStops("counts what is answered, refused and lost", async () => {
  // How many are lost is for the long run to say: machines may be busy.
  const { stdout } = await end(start(["-n3"], "tests/soak/stops.ts"));
  assertMatch(stdout, /^stops +3$/m);
  assertMatch(stdout, /^answered +[1-9]/m);
  assertMatch(stdout, /^refused +[1-9]/m);
  assertMatch(stdout, /^lost +\d/m);
});

testOfStops("notices a server that just closes", async () => {
  const { code, stdout } = await end(start(
    ["-n3", "--server=tests/testdata/stops_just_close.ts"],
    "tests/soak/stops.ts",
  ));
  assertEquals(code, 1);
  assertMatch(stdout, /^lost +[1-9]/m);
  assertMatch(stdout, /^amiss: \d stops lost some, 0 may$/m);
});

testOfStops(
  "restarts the tool on a socket that is kept, and loses nobody",
  async () => {
    if (Deno.build.os !== "linux") return;
    for (const flags of [[], ["--unix"], ["--program", "--rate=20"]]) {
      const { code, stdout } = await end(
        start(["-n3", ...flags], "tests/soak/restarts.ts"),
      );
      assertMatch(stdout, /^restarts +3$/m);
      assertMatch(stdout, /^answered +[1-9]/m);
      assertMatch(stdout, /^refused +0\nlost +0$/m);
      assertEquals(code, 0);
    }
  },
);

testOfStops("notices a restart that loses those who wait", async () => {
  if (Deno.build.os !== "linux") return;
  const { stdout } = await end(
    start(["-n3", "--kill"], "tests/soak/restarts.ts"),
  );
  assertMatch(stdout, /^refused +0\nlost +[1-9]/m);
});
