// The clients of docs/clients.md in other languages: a program for each, with the
// line of the page that ends its request.

import { assert, assertEquals } from "@std/assert";
import { assertSame, encode, pattern } from "../bytes.ts";
import { type Client, said, talk } from "../clients.ts";
import { readPage } from "../page.ts";
import { importMap, runProgram } from "../programs.ts";
import { serveLocally, temporaryFolder, testIf } from "../support.ts";
import { authorityFile, cert, key } from "../tls.ts";

/** A language, as its row of the page has it. */
interface Language {
  readonly name: string;
  /** The program beside this file. */
  readonly file: string;
  /** What tells that the language is here. */
  readonly version: readonly [program: string, ...args: string[]];
  /** What makes a program of the file, in a folder. */
  readonly build?: (file: string, folder: string) => string[];
  /** What runs the program. */
  readonly run: (file: string, folder: string) => string[];
}

/** Those that each machine with the programs of `.ci/run` has. */
export const atHand: readonly Language[] = [
  {
    name: "Bun",
    file: "bun.js",
    version: ["bun", "--version"],
    run: (file) => ["bun", file],
  },
  {
    name: "C",
    file: "client.c",
    version: ["cc", "--version"],
    build: (file, folder) => ["cc", "-o", `${folder}/client`, file],
    run: (_, folder) => [`${folder}/client`],
  },
  {
    name: "Deno",
    file: "client.ts",
    version: [Deno.execPath(), "--version"],
    run: (file) => [Deno.execPath(), "run", "-N", ...importMap(), file],
  },
  {
    name: "Node",
    file: "client.mjs",
    version: ["node", "--version"],
    run: (file) => ["node", file],
  },
  {
    name: "Perl",
    file: "client.pl",
    version: ["perl", "-MIO::Socket::INET", "-e", "print $^V"],
    run: (file) => ["perl", file],
  },
  {
    name: "Python",
    file: "client.py",
    version: ["python3", "--version"],
    run: (file) => ["python3", file],
  },
  {
    name: "Python, asyncio",
    file: "asyncio_client.py",
    version: ["python3", "--version"],
    run: (file) => ["python3", file],
  },
];

/** The others. */
export const further: readonly Language[] = [
  {
    name: "Erlang",
    file: "client.erl",
    version: ["erl", "-noshell", "-eval", "io:put_chars([$y, $\\n]), halt()."],
    run: (file) => ["escript", file],
  },
  {
    name: "Go",
    file: "client.go",
    version: ["go", "version"],
    build: (file, folder) => ["go", "build", "-o", `${folder}/client`, file],
    run: (_, folder) => [`${folder}/client`],
  },
  {
    name: "Guile",
    file: "client.scm",
    version: ["guile", "--version"],
    run: (file) => ["guile", "--no-auto-compile", file],
  },
  {
    name: "Java",
    file: "Client.java",
    version: ["javac", "-version"],
    build: (file, folder) => ["javac", "-d", folder, file],
    run: (_, folder) => ["java", "-cp", folder, "Client"],
  },
  {
    name: "Lua",
    file: "client.lua",
    version: ["lua5.4", "-l", "socket", "-v"],
    run: (file) => ["lua5.4", file],
  },
  {
    name: ".NET",
    file: "client.cs",
    version: ["mcs", "--version"],
    build: (file, folder) => ["mcs", `-out:${folder}/client.exe`, file],
    run: (_, folder) => ["mono", `${folder}/client.exe`],
  },
  {
    name: "PHP",
    file: "client.php",
    version: ["php", "--version"],
    run: (file) => ["php", file],
  },
  {
    name: "Ruby",
    file: "client.rb",
    version: ["ruby", "--version"],
    run: (file) => ["ruby", file],
  },
  {
    name: "Rust",
    file: "client.rs",
    version: ["rustc", "--version"],
    build: (file, folder) => ["rustc", "-o", `${folder}/client`, file],
    run: (_, folder) => [`${folder}/client`],
  },
  {
    name: "Tcl",
    file: "client.tcl",
    version: ["sh", "-c", "command -v tclsh"],
    run: (file) => ["tclsh", file],
  },
];

/** What the page has that nobody runs. */
export const onPaper = ["PowerShell"];

/** The lines of the page that end a request, by language. */
export function linesOfPage(): Map<string, string> {
  const [, section = ""] = readPage("clients.md").split(
    "\n## In any language\n",
  );
  const [table = ""] = section.split("\n## ");
  const rows = table.matchAll(/^\| (.+?) +\| `(.+?)` +\|.*\|$/gm);
  return new Map(Array.from(rows, ([, name = "", line = ""]) => [name, line]));
}

/** Defines the test that an echo answers a language's program. */
export function testLanguage(language: Language): void {
  const { name, file, version, build, run } = language;
  const path = `${import.meta.dirname}/${file}`;
  const isThere = isInstalled(version);
  testIf(isThere, name, `serve() answers a client in ${name}`, async () => {
    const line = linesOfPage().get(name) ?? "";
    assert(line && Deno.readTextFileSync(path).includes(line), line);
    await using folder = await temporaryFolder();
    if (build) {
      const [program = "", ...args] = build(path, folder.path);
      const { code, stderr } = await runProgram(program, args);
      assertEquals(code, 0, stderr);
    }
    const { server, records } = serveLocally();
    const client: Pick<Client<Deno.NetAddr>, "command"> = {
      command: ({ hostname, port }) => {
        const [program = "", ...args] = run(path, folder.path);
        return [program, ...args, hostname, `${port}`];
      },
    };
    for (const size of [0, 1, 1_000_000]) {
      const request = pattern(size);
      assertSame(await talk(client, server.addr, request), request);
    }
    await server.shutdown();
    assertEquals(
      records.all.map(({ outcome, end }) => [outcome, end]),
      Array(3).fill(["ok", "fin"]),
    );
  });
}

/** A language whose half-close over TLS is none. */
interface TlsClient {
  readonly name: string;
  readonly file: string;
  readonly version: readonly [program: string, ...args: string[]];
}

/** One that is at hand, and the others. */
export const asyncioTls: TlsClient = {
  name: "Python, asyncio",
  file: "asyncio_tls.py",
  version: ["python3", "--version"],
};

export const furtherTls: readonly TlsClient[] = [
  { name: "Ruby", file: "tls.rb", version: ["ruby", "--version"] },
  { name: "PHP", file: "tls.php", version: ["php", "--version"] },
];

/** Defines the test that a delimiter serves a language over TLS, and a half-close does not. */
export function testTls({ name, file, version }: TlsClient): void {
  const title = `serve() takes no half-close over TLS of ${name}, ` +
    "and answers with a delimiter";
  testIf(isInstalled(version), name, title, async () => {
    const ask = async (halfClose: "yes" | "no", until?: string) => {
      const { server, records } = serveLocally({
        ...{ cert, key },
        ...(until === undefined ? {} : { until }),
      });
      const client: Pick<Client<Deno.NetAddr>, "command"> = {
        command: ({ hostname, port }) => [
          version[0],
          `${import.meta.dirname}/${file}`,
          ...[hostname, `${port}`, authorityFile, halfClose],
        ],
      };
      const reply = await talk(client, server.addr, encode("hello\n"));
      await server.shutdown();
      const outcomes = records.all.map(({ outcome }) => outcome);
      return { reply: new TextDecoder().decode(reply), outcomes };
    };
    assertEquals(await ask("yes"), { reply: "", outcomes: ["truncated"] });
    assertEquals(await ask("no", "\n"), { reply: "hello\n", outcomes: ["ok"] });
  });
}

function isInstalled(
  [program, ...args]: readonly [string, ...string[]],
): boolean {
  return Deno.build.os !== "windows" && said(program, ...args) !== "";
}
