// The examples: each is started and talked to as its own words say.

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { assertSame, encode, pattern } from "./bytes.ts";
import { testWith } from "./clients.ts";
import { importMap, root, runProgram } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import { ask, exchange } from "./sockets.ts";
import { Tool } from "./tool.ts";

const folder = `${root}/examples`;

/** An example, as a row of the table in its README tells of it. */
interface Example {
  name: string;
  /** Its file, if it takes one. */
  file: string | undefined;
  /** What starts it. */
  start: string;
  /** What talks to it: lines for a shell. */
  talk: string[];
}

const examples = new Map(
  Deno.readTextFileSync(`${folder}/README.md`).split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map(exampleOf)
    .map((example) => [example.name, example]),
);

function exampleOf(row: string): Example {
  const [, title = "", _, start = "", talk = ""] = row.split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
  const [, name = title, file] = /^\[(.+)\]\((.+)\)$/.exec(title) ?? [];
  const [startWith, talkWith] = [start, talk].map((cell) =>
    cell.replace(/^`(.*)`$/, "$1")
  );
  return {
    name,
    file,
    start: startWith ?? "",
    talk: talkWith ? talkWith.split("; ") : [],
  };
}

function exampleCalled(name: string): Example {
  const example = examples.get(name);
  assert(example, `examples/README.md has no row for ${name}`);
  return example;
}

/** The TypeScript in the folder. */
const files = Array.from(Deno.readDirSync(folder), ({ name }) => name)
  .filter((name) => name.endsWith(".ts"));

/** A file as who has copied it would change it: other specifiers, no more. */
function copied(file: string): string {
  return Deno.readTextFileSync(`${folder}/${file}`).replaceAll(
    /(?<= from ")@[^"]+/g,
    (specifier) => import.meta.resolve(specifier),
  );
}

/** An example that runs in a folder of its own, which holds only copies. */
class Running implements AsyncDisposable {
  readonly dir: string;
  readonly tool: Tool;
  readonly #talk: string[];

  constructor({ start, talk }: Example) {
    this.dir = Deno.makeTempDirSync();
    Deno.mkdirSync(`${this.dir}/examples`);
    for (const file of files) {
      Deno.writeTextFileSync(`${this.dir}/examples/${file}`, copied(file));
    }
    const [deno, command, ...rest] = start.split(" ");
    assertEquals(deno, "deno");
    const args = [
      command ?? "",
      ...inCheckout,
      ...rest.flatMap((word) =>
        word === "jsr:@halfclose/server"
          ? [`${root}/cli.ts`, "--host", "127.0.0.1", "--port", "0"]
          : [word]
      ),
    ];
    this.tool = new Tool(args, { command: Deno.execPath(), cwd: this.dir });
    this.#talk = talk;
  }

  /** The address, when it listens there. */
  async addr(): Promise<Deno.NetAddr> {
    const [, port] = await this.tool.line(/ listening on 127\.0\.0\.1:(\d+)$/);
    return { transport: "tcp", hostname: "127.0.0.1", port: Number(port) };
  }

  /** Talks to it as one is told to, and gives what that prints. */
  async talk(where?: Deno.NetAddr): Promise<string> {
    const script = this.#talk.join("\n").replaceAll(
      /\blocalhost([: ])\d+/g,
      `${where?.hostname}$1${where?.port}`,
    );
    const args = ["-c", `${halfclose}\n${script}`];
    const output = await runProgram("sh", args, { cwd: this.dir });
    assertEquals([output.code, output.stderr], [0, ""]);
    return output.stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tool[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** What Deno is told in a checkout. */
const inCheckout = ["--config", `${root}/deno.json`, ...importMap()];

/** What puts the command into a shell. */
const halfclose = `halfclose() { ${
  [Deno.execPath(), "run", "-N", "-R", "-W", ...inCheckout, `${root}/cli.ts`]
    .map((word) => `'${word}'`).join(" ")
} "$@"; }`;

/** Defines a test of an example that is talked to. */
function testExample(
  name: string,
  fn: (example: Running) => Promise<void>,
): void {
  testWith({ needs: "nc with -N" }, `examples: ${name}`, async () => {
    const [title = ""] = name.split(": ");
    await using running = new Running(exampleCalled(title));
    await fn(running);
  });
}

Deno.test("examples/README.md tells of each file what it tells itself", () => {
  const told = Array.from(examples.values(), ({ file }) => file);
  assertEquals(
    told.filter((file) => file !== undefined).toSorted(),
    files.toSorted(),
  );
  for (const { file, start, talk } of examples.values()) {
    if (file === undefined) continue;
    const source = Deno.readTextFileSync(`${folder}/${file}`);
    const [, block = ""] =
      /^ \* ```sh\n((?: \* .+\n)+?) \* ```/m.exec(source) ??
        [];
    const lines = block.trimEnd().split("\n").map((line) => line.slice(3));
    assertEquals(lines, [start, ...talk], file);
    // It listens where the client is told to go.
    const [, port = "8080"] = /^ {2}port: (\d+),$/m.exec(source) ?? [];
    for (const [, told] of talk.join().matchAll(/localhost[: ](\d+)/g)) {
      assertEquals(told, port, file);
    }
  }
});

Deno.test("README.md links to the examples, and deno.json does not publish them", () => {
  const readme = Deno.readTextFileSync(`${root}/README.md`);
  assert(readme.includes("](examples/README.md)"));
  const config = JSON.parse(Deno.readTextFileSync(`${root}/deno.json`));
  for (const path of config.publish.include) {
    assertMatch(
      path,
      /^(((cli|client|exchange|listening|serving)\/)?\*\.ts|[^/*]+|docs\/\*\.md)$/,
    );
  }
});

testExample("upper case: answers in capitals", async (example) => {
  assertEquals(await example.talk(await example.addr()), "HELLO\n");
});

testExample(
  "daytime: tells the time to a client that sends nothing",
  async (example) => {
    const addr = await example.addr();
    const before = Math.floor(Date.now() / 1000) * 1000;
    const reply = await example.talk(addr);
    assertMatch(reply, /^[\x20-\x7e]+\r\n$/);
    const time = Date.parse(reply);
    assert(before <= time && time <= Date.now(), reply);
  },
);

testExample(
  "quote of the day: is what RFC 865 allows, each day",
  async (example) => {
    const { default: { handler } } = await import(
      "../examples/quote_of_the_day.ts"
    );
    const quotes = new Set<string>();
    const now = Date.now;
    try {
      for (let day = 0; day < 100; day++) {
        Date.now = () => day * 24 * 60 * 60 * 1000;
        quotes.add(handler() ?? "");
      }
    } finally {
      Date.now = now;
    }
    assert(quotes.size > 1, "one day's quote is not another's");
    for (const quote of quotes) {
      assertMatch(quote, /^[\x20-\x7e\r\n]{1,512}$/);
    }
    assert(quotes.has(await example.talk(await example.addr())));
  },
);

testExample(
  "log sink: prints who sent each line, and when",
  async (example) => {
    const addr = await example.addr();
    assertEquals(await example.talk(addr), "");
    assertEquals(await ask(addr, "\n\r\n\tred \x1b[31m\nlast"), "");
    example.tool.kill("SIGTERM");
    const { stdout } = await example.tool.ending();
    const lines = stdout.split("\n").map((line) =>
      line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, "")
    );
    assertEquals(lines, [
      "127.0.0.1 disk 91% full",
      "127.0.0.1 fan failed",
      "127.0.0.1 \tred ?[31m",
      "127.0.0.1 last",
      "",
    ]);
  },
);

testExample("paste bin: gives a paste back", async (example) => {
  const addr = await example.addr();
  assertEquals(await example.talk(addr), "hello\n");
  const paste = pattern(1024 * 1024);
  const name = await exchange(addr, paste);
  assertSame(await exchange(addr, name), paste);
});

testExample("paste bin: reads no other file", async (example) => {
  const addr = await example.addr();
  const name = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$/;
  const known = await ask(addr, "hello");
  for (
    const path of [
      "../examples/paste_bin.ts",
      `${example.dir}/examples/paste_bin.ts`,
      `../pastes/${known}`,
      `./${known}`,
      known.trim().replace(/.$/, "/"),
      `${known.trim()}\0.ts`,
      ".",
    ]
  ) {
    // It is a paste like any other.
    const reply = await ask(addr, path);
    assertMatch(reply, name);
    assertEquals(await ask(addr, reply), path);
  }
  const unknown = known.replace(/./, (digit) => digit === "0" ? "1" : "0");
  assertEquals(await ask(addr, unknown), "no such paste\n");
  assertEquals(await ask(addr), "send a paste, or the name of one\n");
});

testExample("raw printer: keeps jobs as they came", async (example) => {
  const addr = await example.addr();
  const jobs = `${example.dir}/jobs`;
  const report = new Uint8Array([
    ...encode("\x1b%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=POSTSCRIPT\r\n"),
    ...encode("%!PS\r\n(\x04\x00) show showpage\n\x04\x1b%-12345X"),
    ...pattern(1_000_000),
  ]);
  await Deno.writeFile(`${example.dir}/report.ps`, report);
  assertEquals(await example.talk(addr), "");
  const [job, ...others] = Array.from(Deno.readDirSync(jobs));
  assertMatch(job?.name ?? "", /^[-\dT.]+Z-1\.prn$/);
  assertEquals(others, []);
  assertSame(await Deno.readFile(`${jobs}/${job?.name}`), report);
});

testExample(
  "raw printer: keeps nothing of a job that is cut off",
  async (example) => {
    const addr = await example.addr();
    using watcher = Deno.watchFs(example.dir);
    const client = await RudeClient.connect(addr);
    await client.write(pattern(100_000));
    // It has been accepted as soon as there is a folder.
    for await (const { paths } of watcher) {
      if (paths.some((path) => path.endsWith("jobs"))) break;
    }
    await client.reset();
    await example.tool.line(/ WARN .* reset while /);
    assertEquals(await ask(addr, "whole"), "");
    const jobs = Array.from(Deno.readDirSync(`${example.dir}/jobs`));
    assertEquals(jobs.map(({ name }) => /-\d+\.prn.*$/.exec(name)?.[0]), [
      "-2.prn",
    ]);
  },
);

testExample("word counter: counts", async (example) => {
  assertEquals((await example.talk(await example.addr())).trim(), "3");
});

testExample(
  "control channel: tells how it is, and stops",
  async (example) => {
    await example.tool.line(/^listening on control\.sock$/);
    const path = `${example.dir}/control.sock`;
    assertEquals((await Deno.stat(path)).mode ?? 0, 0o140600);
    const unknown = await ask({ transport: "unix", path }, "toString");
    assertEquals(JSON.parse(unknown), {
      error: "no such command",
      commands: ["status", "stop"],
    });
    const [status = "", stop = ""] = (await example.talk()).split("\n");
    assertEquals(JSON.parse(status).pid, example.tool.pid);
    assertEquals(JSON.parse(stop), { stopping: true });
    assertEquals((await example.tool.ending()).code, 0);
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  },
);

testExample(
  "control channel: removes its socket when it is told to end",
  async (example) => {
    await example.tool.line(/^listening on control\.sock$/);
    example.tool.kill("SIGTERM");
    assertEquals((await example.tool.ending()).code, 0);
    const path = `${example.dir}/control.sock`;
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  },
);

Deno.test("examples: test double: its tests pass", async () => {
  await using example = new Running(exampleCalled("test double"));
  const { code, stdout, lines } = await example.tool.ending();
  assertEquals(code, 0, stdout + lines.join("\n"));
  assertStringIncludes(stdout, "3 passed | 0 failed");
});
