// What the command-line tool makes of its arguments.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { checkRefusal, Tool } from "./tool.ts";

for (const flag of ["--help", "-h"]) {
  Deno.test(`cli: ${flag} explains all flags and their defaults`, async () => {
    const { code, stdout, lines } = await Tool.run([flag]);
    assertEquals([code, lines], [0, []]);
    for (
      const part of [
        ...["--echo", "--text", "--file", "--sink", "HANDLER.ts", "-- COMMAND"],
        ...["--host", "-p, --port", "--unix", "--mode", "--tls-cert"],
        ...["--tls-key", "--reuse-port", "--backlog"],
        ...["--max-request-bytes", "--deadline", "--idle-timeout"],
        ...["--linger-timeout", "--count", "--metrics", "--lame-duck"],
        ...["--log-format", "--log-level", "-q, --quiet", "--view"],
        ...["-h, --help", "-V, --version", "Try it:"],
        ...[
          "[0.0.0.0]",
          "[8080]",
          "[511]",
          "[16MiB]",
          "[60s]",
          "[15s]",
          "[2s]",
        ],
      ]
    ) assertStringIncludes(stdout, part);
  });
}

Deno.test("cli: --help fits on a screen", async () => {
  const { stdout } = await Tool.run(["--help"]);
  const lines = stdout.trimEnd().split("\n");
  assert(lines.length <= 52, `${lines.length} lines`);
  for (const line of lines) assert(line.length <= 80, line);
});

for (const flag of ["--version", "-V"]) {
  Deno.test(`cli: ${flag} prints the version`, async () => {
    const { code, stdout, lines } = await Tool.run([flag]);
    assertEquals([code, lines], [0, []]);
    assertEquals(stdout, `halfclose ${config.version}\n`);
  });
}

Deno.test("cli: --help gives help even among values that make no sense", async () => {
  const { code, stdout } = await Tool.run(["--port", "x", "--help"]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "Usage:");
});

Deno.test("cli: completions --help explains where they go", async () => {
  const { code, stdout } = await Tool.run(["completions", "--help"]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, 'eval "$(halfclose completions bash)"');
});

/** Command lines that cannot be understood, and what the complaint names. */
const misuses: [args: string[], named: string][] = [
  [["--_"], "unknown flag --_"],
  [["--_", "./module.ts"], "unknown flag --_"],
  [["--_=./module.ts", "--text", "a"], "unknown flag --_"],
  [["--port"], "--port"],
  [["--port="], "--port"],
  [["--port", ""], "--port"],
  [["--port", "-1"], "--port"],
  [["--port", "abc"], "--port"],
  [["--port", "65536"], "--port"],
  [["--port", "0x10"], "--port"],
  [["--port", "1e3"], "--port"],
  [["--port=-1"], "--port"],
  [["--port=8080 "], "--port"],
  [["--port", "0", "--port", "x"], "--port"],
  [["-p"], "--port"],
  [["-p", "x"], "--port"],
  [["--host"], "--host"],
  [["--host="], "--host"],
  [["--host", "--port", "0"], "--host"],
  [["--unix"], "--unix"],
  [["--unix="], "--unix"],
  [["--unix", "a.sock", "--port", "80"], "--unix and --port"],
  [["--unix", "a.sock", "--host", "::1"], "--unix and --host"],
  [["--unix", "a.sock", "--backlog", "5"], "--unix and --backlog"],
  [["--unix", "a.sock", "--reuse-port"], "--unix and --reuse-port"],
  [["--unix", "a.sock", "--tls-cert", "a.pem"], "--unix and --tls-cert"],
  [["--fd"], "--fd"],
  [["--fd", "-1"], "--fd"],
  [["--fd", "three"], "--fd"],
  [["--fd", "3", "--host", "::1"], "--fd and --host"],
  [["--fd", "3", "--port", "80"], "--fd and --port"],
  [["--fd", "3", "--unix", "a.sock"], "--fd and --unix"],
  [["--fd", "3", "--mode", "660"], "--mode needs --unix"],
  [["--fd", "3", "--backlog", "5"], "--fd and --backlog"],
  [["--fd", "3", "--reuse-port"], "--fd and --reuse-port"],
  [
    ["--fd", "3", "--tls-cert", "a.pem", "--tls-key", "a.key"],
    "--fd and --tls-cert exclude each other: an inherited socket has no TLS",
  ],
  [["--unix", "a.sock", "--mode"], "--mode"],
  [["--unix", "a.sock", "--mode", "rw"], "--mode"],
  [["--unix", "a.sock", "--mode", "888"], "--mode"],
  [["--unix", "a.sock", "--mode", "66"], "--mode"],
  [["--unix", "a.sock", "--mode", "1777"], "--mode"],
  [["--mode", "660"], "--mode needs --unix"],
  [["--tls-cert"], "--tls-cert"],
  [["--tls-cert", "a.pem"], "--tls-cert needs --tls-key"],
  [["--tls-key"], "--tls-key"],
  [["--tls-key", "a.pem"], "--tls-key needs --tls-cert"],
  [["--reuse-port=yes"], "--reuse-port takes no value"],
  [["--backlog"], "--backlog"],
  [["--backlog", "0"], "--backlog"],
  [["--backlog", "1.5"], "--backlog"],
  [["--backlog", "2147483648"], "--backlog"],
  [["--max-request-bytes"], "--max-request-bytes"],
  [["--max-request-bytes", "many"], "--max-request-bytes"],
  [["--max-request-bytes", "10XB"], "--max-request-bytes"],
  [["--max-request-bytes", "1 KiB"], "--max-request-bytes"],
  [["--max-request-bytes", "1.5"], "--max-request-bytes"],
  [["--max-request-bytes", "99999999GiB"], "--max-request-bytes"],
  [["--max-request-bytes=-1"], "--max-request-bytes"],
  [["--deadline"], "--deadline"],
  [["--deadline", "soon"], "--deadline"],
  [["--deadline", "0"], "--deadline"],
  [["--deadline", "10 s"], "--deadline"],
  [["--deadline=-1s"], "--deadline"],
  [["--idle-timeout"], "--idle-timeout"],
  [["--idle-timeout", "0ms"], "--idle-timeout"],
  [["--idle-timeout", "Infinity"], "--idle-timeout"],
  [["--idle-timeout", "10KiB"], "--idle-timeout"],
  [["--linger-timeout"], "--linger-timeout"],
  [["--linger-timeout", "ever"], "--linger-timeout"],
  [["--count"], "--count"],
  [["--count", "0"], "--count"],
  [["--count", "few"], "--count"],
  [["--count", "none"], "--count"],
  [["--log-format"], "--log-format"],
  [
    ["--log-format", "xml"],
    '--log-format must be text or json, received "xml"',
  ],
  [["--log-level"], "--log-level"],
  [["--log-level", "loud"], "--log-level"],
  [["--quiet", "--log-level", "info"], "--quiet and --log-level"],
  [["-q=1"], "--quiet takes no value"],
  [["--refusal"], "--refusal needs a value"],
  [["--text"], "--text"],
  [["--text="], "--text"],
  [["--file"], "--file"],
  [["--sink"], "--sink"],
  [["--echo=loud"], "--echo takes no value"],
  [["--echo", "--text", "hello"], "--echo and --text"],
  [["--text", "hello", "--file", "a.txt"], "--text and --file"],
  [["--file", "a.txt", "--sink", "inbox"], "--file and --sink"],
  [["--sink", "inbox", "handler.ts"], "--sink and handler.ts"],
  [["handler.ts", "--", "wc"], "handler.ts and a command"],
  [["one.ts", "two.ts"], "two.ts"],
  [["--"], "-- needs a command"],
  [["--", ""], "-- needs a command"],
  [["--prot", "80"], "--prot. Did you mean --port?"],
  [["--prot=80"], "--prot. Did you mean --port?"],
  [["-port", "80"], "-port. Did you mean --port?"],
  [["--PORT", "80"], "--PORT. Did you mean --port?"],
  [["--hostname", "::1"], "--hostname. Did you mean --host?"],
  [["--timeout", "1s"], "--timeout. Did you mean --idle-timeout?"],
  [["--cert", "a.pem"], "--cert. Did you mean --tls-cert?"],
  [["--log-levle", "info"], "--log-levle. Did you mean --log-level?"],
  [["--max-request-size", "1"], "--max-request-size. Did you mean"],
  [["--unknown"], "--unknown. See --help"],
  [["--no-help"], "--no-help"],
  [["--help", "--loud"], "--loud"],
  [["-x"], "-x"],
  [["8080"], "8080"],
  [["localhost:8080"], "localhost:8080"],
  [["--port", "0", "start"], "start"],
  [["complitions", "bash"], 'Did you mean "completions"?'],
  [["completions"], "bash, zsh, fish"],
  [["completions", "tcsh"], "bash, zsh, fish"],
  [["completions", "bash", "zsh"], "bash, zsh, fish"],
  [["completions", "--port", "1"], "--port"],
];

Deno.test("cli: complains in one line of what it cannot understand", async (t) => {
  for (const [args, named] of misuses) {
    await t.step(args.join(" "), async () => {
      checkRefusal(await Tool.run(args, { permissions: [] }), 2, named);
    });
  }
});

const socket = "no-such-folder/a.sock";

/** What needs which flag of Deno, if it is given no other ones. */
const permissions: [args: string[], given: string[], named: string][] = [
  [[], [], "Run deno with -N (--allow-net)"],
  [["--port", "0"], ["-N=192.0.2.1"], "Run deno with -N (--allow-net)"],
  [["--unix", socket], [], "Run deno with -N (--allow-net)"],
  [["--unix", socket], ["-N"], "Run deno with -R=no-such-folder/"],
  [["--unix", socket], ["-N", "-R"], "Run deno with -W=no-such-folder/"],
  [["--unix", "a.sock"], ["-N", "-R"], "Run deno with -W=."],
  [["--tls-cert", "a.pem", "--tls-key", "b.pem"], ["-N"], "with -R=a.pem"],
  [["--reuse-port"], ["-N"], "Run deno with --unstable-net"],
  [["--file", "a.txt"], ["-N"], "Run deno with -R=a.txt (--allow-read)"],
  [
    ["--sink", "inbox"],
    ["-N"],
    "Run deno with -R=inbox (--allow-read) and -W=inbox (--allow-write)",
  ],
  [["--sink", "inbox"], ["-N", "-W=inbox"], "Run deno with -R=inbox"],
  [["./handler.ts"], ["-N"], "Run deno with -R=./handler.ts (--allow-read)"],
  [
    ["https://192.0.2.1/handler.ts"],
    ["-N"],
    "Run deno with -I=192.0.2.1:443,jsr.io:443 (--allow-import)",
  ],
  [["--", "wc", "-c"], ["-N"], "Run deno with --allow-run=wc"],
  [["--", "wc", "-c"], ["-N", "--allow-run=cat"], "with --allow-run=wc"],
];

Deno.test("cli: says which flag of Deno grants the permission that lacks", async (t) => {
  for (const [args, given, named] of permissions) {
    await t.step([...given, "halfclose", ...args].join(" "), async () => {
      checkRefusal(await Tool.run(args, { permissions: given }), 1, named);
    });
  }
});
