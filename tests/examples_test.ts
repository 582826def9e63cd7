// The examples: each is started and talked to as its own words say.

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { serve } from "../mod.ts";
import { chromiumFlags } from "./browser.ts";
import { assertSame, encode, pattern } from "./bytes.ts";
import { clients, talk, testWith } from "./clients.ts";
import { importMap, root, runProgram } from "./programs.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  begin,
  exchange,
  freePort,
  local,
  readText,
  writeAll,
} from "./sockets.ts";
import { namesIn, until } from "./support.ts";
import { Tool } from "./tool.ts";

const folder = `${root}/examples`;

/** An example, as a row of the table in its README names it. */
interface Example {
  name: string;
  file: string;
  /** What starts it, by its own words. */
  start: string;
  /** What talks to it: lines for a shell. */
  talk: string[];
}

const rows = Deno.readTextFileSync(`${folder}/README.md`)
  .matchAll(/^\| \[(.+?)\]\((.+?)\) /gm);
const examples = new Map(
  Array.from(
    rows,
    ([, name = "", file = ""]) => [name, exampleIn(file, name)] as const,
  ),
);

function exampleIn(file: string, name: string): Example {
  const [, block = ""] =
    /^ \* ```sh\n((?: \* .+\n)+?) \* ```/m.exec(textOf(file)) ?? [];
  const [start = "", ...talk] = block.trimEnd().split("\n")
    .map((line) => line.slice(3));
  assert(start, `${file} says how to start it`);
  return { name, file, start, talk };
}

function exampleCalled(name: string): Example {
  const example = examples.get(name);
  assert(example, `examples/README.md has no row for ${name}`);
  return example;
}

/** The TypeScript in the folder. */
const files = Array.from(Deno.readDirSync(folder), ({ name }) => name)
  .filter((name) => name.endsWith(".ts"));

/** What a file holds. A copy of it keeps its imports, as in a project of one's own. */
function textOf(file: string): string {
  return Deno.readTextFileSync(`${folder}/${file}`);
}

/** An example that runs in a folder of its own, which holds only copies. */
class Running implements AsyncDisposable {
  readonly dir: string;
  tool: Tool;
  readonly #args: string[];
  readonly #env: Record<string, string>;
  readonly #talk: string[];

  /** @param change What is changed in the copies, as their reader would. */
  constructor(
    { start, talk }: Example,
    port = 0,
    change = (source: string) => source,
    env: Record<string, string> = {},
  ) {
    this.dir = Deno.makeTempDirSync();
    Deno.mkdirSync(`${this.dir}/examples`);
    for (const file of files) {
      Deno.writeTextFileSync(
        `${this.dir}/examples/${file}`,
        change(textOf(file)),
      );
    }
    const words = start.split(" ");
    const settings = words.splice(0, words.indexOf("deno"));
    const [, command, ...rest] = words;
    const place = rest.includes("--unix")
      ? []
      : ["--host", "127.0.0.1", "--port", `${port}`];
    this.#env = {
      ...Object.fromEntries(settings.map((setting) => setting.split("="))),
      ...env,
    };
    this.#args = [
      command ?? "",
      ...inCheckout,
      ...rest.flatMap((word) =>
        word === "jsr:@halfclose/server" ? [`${root}/cli.ts`, ...place] : [word]
      ),
    ];
    this.tool = this.#start();
    this.#talk = talk;
  }

  #start(): Tool {
    return new Tool(this.#args, {
      command: Deno.execPath(),
      cwd: this.dir,
      env: this.#env,
    });
  }

  /** Ends it as a crash does, and starts it again. */
  async restart(): Promise<void> {
    await this.tool[Symbol.asyncDispose]();
    this.tool = this.#start();
  }

  /** The address, when it listens there. */
  async addr(): Promise<Deno.NetAddr> {
    const [, port] = await this.tool.line(/ listening on 127\.0\.0\.1:(\d+)$/);
    return { transport: "tcp", hostname: "127.0.0.1", port: Number(port) };
  }

  /** Talks to it as one is told to, and gives what that prints. */
  async talk(where?: Deno.NetAddr): Promise<string> {
    const script = this.#talk.join("\n").replaceAll(
      /\b(?:localhost|127\.0\.0\.1)(:| | -p | --port )\d+/g,
      `${where?.hostname}$1${where?.port}`,
    ).replaceAll(/@localhost\b/g, `@${where?.hostname}`);
    const args = ["-c", `${commands}\n${script}`];
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

/** What puts the commands into a shell. */
const commands = `halfclose() { ${
  quoted([
    ...[Deno.execPath(), "run", "-N", "-R", "-W", ...inCheckout],
    `${root}/cli.ts`,
  ])
} "$@"; }
deno() { shift; ${quoted([Deno.execPath(), "run", ...inCheckout])} "$@"; }`;

function quoted(words: string[]): string {
  return words.map((word) => `'${word}'`).join(" ");
}

/** Defines a test of an example that is talked to. */
function testExample(
  name: string,
  fn: (example: Running) => Promise<void>,
  { needs = "nc with -N", port, change }: {
    needs?: Parameters<typeof testWith>[0]["needs"];
    port?: number;
    change?: (source: string) => string;
  } = {},
): void {
  testWith({ needs }, `examples: ${name}`, async () => {
    const [title = ""] = name.split(": ");
    await using running = new Running(exampleCalled(title), port, change);
    await fn(running);
  });
}

/** Runs a program that shall end well, and gives what it prints. */
async function output(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args);
  assertEquals(code, 0, stderr);
  return stdout;
}

Deno.test("examples/README.md names each file", () => {
  const told = Array.from(examples.values(), ({ file }) => file);
  assertEquals(told.toSorted(), files.toSorted());
});

Deno.test("examples: each listens where its client is told to go", () => {
  for (const { file, talk } of examples.values()) {
    const [, port = "8080"] =
      /^(?:export default \{| ) port: (\d+),/m.exec(textOf(file)) ?? [];
    for (
      const [, told] of talk.join().matchAll(
        /(?:localhost|127\.0\.0\.1)(?::| | -p | --port )(\d+)/g,
      )
    ) {
      assertEquals(told, port, file);
    }
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
    assertEquals(await ask(addr, "\n\r\n\tred \x1b[31m\u202e\nlast"), "");
    example.tool.kill("SIGTERM");
    const { stdout } = await example.tool.ending();
    const lines = stdout.split("\n").map((line) =>
      line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, "")
    );
    assertEquals(lines, [
      "127.0.0.1 disk 91% full",
      "127.0.0.1 fan failed",
      "127.0.0.1 \tred ?[31m?",
      "127.0.0.1 last",
      "",
    ]);
  },
);

testExample("LPD: keeps the files of a job", async (example) => {
  const reply = await example.talk(await example.addr());
  assertEquals(reply, "\0\0\0");
  const kept = await Deno.readTextFile(`${example.dir}/jobs/1-1.data`);
  assertEquals(kept, "hello");
});

testExample("munin: tells the load", async (example) => {
  const reply = await example.talk(await example.addr());
  assertMatch(reply, /^# munin node at here\nload\.value [\d.]+\n\.\n$/);
});

testExample("dictionary: says what a word means", async (example) => {
  const reply = await example.talk(await example.addr());
  assertStringIncludes(reply, "To end one's sending half");
}, { needs: "curl" });

testExample("SMTP double: prints each mail", async (example) => {
  const addr = await example.addr();
  assertEquals(await example.talk(addr), "");
  const dialogue = [
    ...["HELO me", "DATA", "MAIL FROM:<a@b>", "RCPT TO:<nobody@c>", "DATA"],
    ...["RCPT TO:<c@d>", "RCPT TO:<e@f>", "DATA", "..dot\x1b", "two", "."],
    ...["VRFY c", "QUIT", ""],
  ];
  const replies = (await ask(addr, dialogue.join("\r\n"))).split("\r\n");
  assertEquals(replies.map((reply) => reply.slice(0, 3)), [
    ...["220", "250", "503", "250", "550", "503"],
    ...["250", "250", "354", "250", "502", "221", ""],
  ]);
  // One that leaves in the middle leaves nothing.
  await ask(addr, dialogue.slice(0, 9).join("\r\n"));
  example.tool.kill("SIGTERM");
  const { stdout } = await example.tool.ending();
  assertEquals(
    stdout,
    "from a@example.com to b@example.com\nSubject: hi\n\nLunch?\n\n" +
      "from a@b to c@d,e@f\n.dot\ntwo\n\n",
  );
}, { needs: "curl" });

testExample(
  "printer status: answers in the middle of a job",
  async (example) => {
    const addr = await example.addr();
    const status = 'CODE=10001\r\nDISPLAY="Ready"\r\nONLINE=TRUE\r\n\f';
    const answer = `@PJL INFO STATUS\r\n${status}`;
    assertEquals(await example.talk(addr), answer);
    const client = await begin(addr, "@PJL INFO ID\r\n@PJL INFO STA");
    await writeAll(client, encode("TUS\n@PJL INFO WHAT\r\n"));
    await writeAll(client, pattern(1_000_000));
    await client.closeWrite();
    assertEquals(
      await readText(client),
      `@PJL INFO ID\r\n"halfclose"\r\n\f${answer}@PJL INFO WHAT\r\n"?"\r\n\f`,
    );
    const [, large = ""] = namesIn(`${example.dir}/jobs`);
    const { size } = await Deno.stat(`${example.dir}/jobs/${large}`);
    assertEquals(size, 1_000_000 + 47);
  },
);

testExample(
  "printer status: keeps nothing of a job that is cut off",
  async (example) => {
    const addr = await example.addr();
    const client = await RudeClient.connect(addr);
    await client.write("@PJL INFO STATUS\r\nhalf");
    await client.received();
    await client.reset();
    assertEquals(await ask(addr), "");
    assertEquals(namesIn(`${example.dir}/jobs`), []);
  },
);

testExample(
  "Zabbix trapper: takes what zabbix_sender sends",
  async (example) => {
    const addr = await example.addr();
    const said = await example.talk(addr);
    assertStringIncludes(said, "processed: 1; failed: 0; total: 1");
    const stranger = await begin(addr, "GET / HTTP/1.1\r\n");
    assertStringIncludes(await readText(stranger), "larger than");
    example.tool.kill("SIGTERM");
    const { stdout } = await example.tool.ending();
    assertEquals(stdout, "web1 disk.free 42\n");
  },
  { needs: "zabbix_sender" },
);

testExample("Zabbix trapper: takes many values at once", async (example) => {
  const addr = await example.addr();
  const data = [1, 2].map((value) => ({ host: "h", key: "\x1bk", value }));
  const text = JSON.stringify({ request: "sender data", data });
  const message = encode(`ZBXD\x01${"\0".repeat(8)}${text}`);
  new DataView(message.buffer).setUint32(5, text.length, true);
  const reply = await readText(await begin(addr, message));
  assertEquals(reply.slice(0, 5), "ZBXD\x01");
  assertStringIncludes(reply, "processed: 2; failed: 0; total: 2");
  example.tool.kill("SIGTERM");
  const { stdout } = await example.tool.ending();
  assertEquals(stdout, "h ?k 1\nh ?k 2\n");
});

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

testExample("paste bin: forgets a paste after a day", async (example) => {
  const addr = await example.addr();
  const [old, recent] = [await ask(addr, "old"), await ask(addr, "recent")];
  const hour = 60 * 60;
  for (const [name, hours] of [[old, 24], [recent, 23]] as const) {
    const then = Date.now() / 1000 - hours * hour;
    await Deno.utime(`${example.dir}/pastes/${name.trim()}`, then, then);
  }
  assertEquals(await ask(addr, old), "no such paste\n");
  assertEquals(await ask(addr, recent), "recent");
  assertEquals(namesIn(`${example.dir}/pastes`), [recent.trim()]);
});

testExample("rotating log: keeps what logger sends", async (example) => {
  const addr = await example.addr();
  assertEquals(await example.talk(addr), "");
  assertEquals(await ask(addr, "one\r\ntwo\x1b[m\u202e\n\n"), "");
  const log = await Deno.readTextFile(`${example.dir}/logs/current.log`);
  const lines = log.split("\n").map((line) =>
    line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, "")
  );
  assertMatch(lines[0] ?? "", /^127\.0\.0\.1 <13>.* disk 91% full$/);
  assertEquals(lines.slice(1), [
    "127.0.0.1 one",
    "127.0.0.1 two?[m?",
    "",
  ]);
}, { needs: "logger" });

testExample("rotating log: never fills up the disk", async (example) => {
  const addr = await example.addr();
  const logs = `${example.dir}/logs`;
  for (let file = 0; file < 8; file++) {
    assertEquals(await ask(addr, "x".repeat(1024 * 1024)), "");
  }
  const names = namesIn(logs);
  assertEquals(names.length, 6);
  assertEquals(names.at(-1), "current.log");
  // Each is as long as its one line.
  for (const name of names) {
    const { size } = await Deno.stat(`${logs}/${name}`);
    assert(size > 1024 * 1024 && size < 1024 * 1024 + 100, `${size}`);
  }
}, { needs: "logger" });

testExample("receipts: tells the sender what is kept", async (example) => {
  const addr = await example.addr();
  const report = pattern(300_000);
  await Deno.writeFile(`${example.dir}/report.pdf`, report);
  assertEquals(await example.talk(addr), "kept\n");
  const [name = "", ...others] = namesIn(`${example.dir}/kept`);
  assertEquals(others, []);
  assertSame(await Deno.readFile(`${example.dir}/kept/${name}`), report);
  // Half of it is not it.
  const reply = await ask(addr, "half");
  const { send } = await import("../examples/receipts.ts");
  await using relay = serve(local, () => reply);
  const { hostname, port } = relay.addr;
  assertEquals(await send(`${example.dir}/report.pdf`, hostname, port), false);
  assertEquals(
    await send(`${example.dir}/report.pdf`, hostname, addr.port),
    true,
  );
});

for (
  const [name, folder, reply] of [
    ["receipts", "kept", "nothing to keep\n"],
    ["raw printer", "jobs", ""],
    ["printer status", "jobs", ""],
    ["printer queue", "queue", "an empty job is not queued\n"],
    ["rotating log", "logs", ""],
  ] as const
) {
  testExample(`${name}: keeps nothing of an empty request`, async (example) => {
    const addr = await example.addr();
    assertEquals(await ask(addr), reply);
    await Deno.mkdir(`${example.dir}/${folder}`, { recursive: true });
    assertEquals(namesIn(`${example.dir}/${folder}`), []);
  });
}

testExample("label printer: keeps whole labels only", async (example) => {
  const addr = await example.addr();
  assertEquals(await example.talk(addr), "");
  assertEquals(await ask(addr, "^XA^FO50,50^FDfrag"), "");
  await example.tool.line(/ WARN .* failed .*does not end with \^XZ/);
  const labels = `${example.dir}/labels`;
  const [label, ...others] = namesIn(labels);
  assertEquals(others, []);
  assertEquals(
    await Deno.readTextFile(`${labels}/${label}`),
    "^XA^FO50,50^FDfragile^FS^XZ",
  );
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

testExample("lines: tells plain nc a weekday", async (example) => {
  const addr = await example.addr();
  assertEquals(await example.talk(addr), "Tuesday\r\n");
  for (const line of ["2001-02-29\n", "now\n", "\r\n", "", "2000-1-1\n"]) {
    const reply = await ask(addr, line);
    assertEquals(reply, "send a date: YYYY-MM-DD\r\n", line);
  }
});

for (const client of clients.endless) {
  if (client.name !== "telnet" && client.name !== "bash's /dev/tcp") continue;
  testExample(`lines: tells ${client.name} a weekday`, async (example) => {
    const addr = await example.addr();
    const reply = await talk(client, addr, encode("2000-02-29\n"));
    assertStringIncludes(new TextDecoder().decode(reply), "Tuesday");
  }, client);
}

testExample("whois: finds who is asked for", async (example) => {
  const addr = await example.addr();
  const reply = await example.talk(addr);
  assertMatch(reply, /^name: {3}Alice Archer\r?\nroom: {3}1\.04\r?\n/);
  const place = ["-h", addr.hostname, "-p", `${addr.port}`];
  assertStringIncludes(await output("whois", ...place, "BOB"), "Bob Baker");
  for (const name of ["carol", "constructor", "../alice"]) {
    const reply = await output("whois", ...place, name);
    assertStringIncludes(reply, "% no such name");
  }
}, { needs: "whois" });

testExample("finger: tells who is who", async (example) => {
  const addr = await example.addr();
  const finger = (who: string) => output("finger", `${who}@${addr.hostname}`);
  const reply = await example.talk(addr);
  assertMatch(reply, /Name: Alice Archer\r?\nPlan: Lunch at noon\.\r?\n/);
  assertMatch(await finger(""), /alice +Alice Archer\r?\nbob +Bob Baker\r?\n/);
  assertStringIncludes(await finger("carol"), "No such user");
  assertStringIncludes(await finger("bob@elsewhere"), "service denied");
  const long = await output("finger", "-l", `bob@${addr.hostname}`);
  assertStringIncludes(long, "Name: Bob Baker");
}, { needs: "finger and port 79", port: 79 });

/** What curl gets: the status, the header fields in small letters, the body. */
async function curl(addr: Deno.NetAddr, path: string, ...flags: string[]) {
  const url = `http://${addr.hostname}:${addr.port}${path}`;
  const reply = await output("curl", "-s", "-i", "--path-as-is", ...flags, url);
  const [, head = "", body] = /^(.*?)\r\n\r\n(.*)$/s.exec(reply) ?? [];
  const [status = "", ...lines] = head.split("\r\n");
  const fields = Object.fromEntries(
    lines.map((line) => line.toLowerCase().split(": ")),
  );
  return { status: status.replace("HTTP/1.0 ", ""), fields, body };
}

testExample("web server: serves files to curl", async (example) => {
  const addr = await example.addr();
  const source = textOf("lines.ts");
  assertEquals(await example.talk(addr), source);
  const { status, fields, body } = await curl(addr, "/lines.ts?query");
  assertEquals([status, body], ["200 OK", source]);
  assertMatch(fields.date, /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} gmt$/);
  assertEquals(fields["content-length"], `${encode(source).length}`);
  assertEquals(fields["content-type"], "text/plain; charset=utf-8");
  assertEquals(fields.connection, "close");

  const head = await curl(addr, "/lines.ts", "-I");
  assertEquals([head.status, head.body], ["200 OK", ""]);
  assertEquals(head.fields["content-length"], fields["content-length"]);

  const bytes = pattern(300_000);
  await Deno.mkdir(`${example.dir}/examples/a b`);
  await Deno.writeFile(`${example.dir}/examples/a b/ä.constructor`, bytes);
  const url = `http://127.0.0.1:${addr.port}/a%20b/%c3%a4.constructor`;
  const reply = await fetch(url);
  assertEquals(reply.headers.get("content-type"), "application/octet-stream");
  assertSame(await reply.bytes(), bytes);
}, { needs: "curl" });

testExample("web server: refuses what it must", async (example) => {
  const addr = await example.addr();
  for (const path of ["/nothing", "/lines.ts/", "/.", "//lines.ts"]) {
    const { status, body } = await curl(addr, path);
    assertEquals([status, body], ["404 Not Found", "404 Not Found\n"], path);
  }
  const head = await curl(addr, "/nothing", "-I");
  assertEquals([head.status, head.body], ["404 Not Found", ""]);
  for (const path of ["/", "/lines.ts"]) {
    for (const method of ["POST", "DELETE", "get"]) {
      const { status, fields } = await curl(addr, path, "-X", method);
      assertEquals(status, "405 Method Not Allowed");
      assertEquals(fields.allow, "get, head");
    }
  }
  const sent = await curl(addr, "/", "-d", "x".repeat(100_000));
  assertEquals(sent.status, "405 Method Not Allowed");
  const spaced = await curl(addr, "/", "--request-target", "/a b");
  assertEquals(spaced.status, "400 Bad Request");
  const nowhere = await curl(addr, "/", "--request-target", "xlines.ts");
  assertEquals(nowhere.status, "400 Bad Request");
  const big = await curl(addr, "/", "-H", `X: ${"x".repeat(20_000)}`);
  assertEquals(big.status, "431 Request Header Fields Too Large");
}, { needs: "curl" });

testExample("web server: says in HTTP that it has failed", async () => {
  const { default: options } = await import("../examples/web_server.ts");
  await using server = serve({
    ...options,
    ...local,
    handler: () => Promise.reject(new Error("broken")),
  });
  const { status, body } = await curl(server.addr, "/");
  assertEquals(status, "500 Internal Server Error");
  assertEquals(body, "500 Internal Server Error\n");
}, { needs: "curl" });

testExample("web server: takes a request by the book", async (example) => {
  const addr = await example.addr();
  for (
    const [request, status] of [
      ["GET / HTTP/1.0\r\n\r\n", 200],
      ["\r\nGET / HTTP/1.0\r\n\r\n", 200],
      ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200],
      ["GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", 200],
      ["GET http://x/lines.ts HTTP/1.1\r\nhost:x\r\n\r\n", 200],
      ["GET / HTTP/1.0\r\nX: \xe4\t!\r\nY:\r\n\r\n", 200],
      ["GET / HTTP/1.1\r\n\r\n", 400],
      ["GET / HTTP/1.0\r\nHost: x\r\nHOST: y\r\n\r\n", 400],
      ["GET / HTTP/1.0\r\nX : y\r\n\r\n", 400],
      ["GET / HTTP/1.0\r\nX: y\r\n z\r\n\r\n", 400],
      ["GET / HTTP/1.0\r\nX: \ry\r\n\r\n", 400],
      ["GET / HTTP/1.0\r\nX: y\nZ: z\r\n\r\n", 400],
      ["GET / HTTP/1.0\r\nX: \0\r\n\r\n", 400],
      ["GET  / HTTP/1.0\r\n\r\n", 400],
      ["GET /\r\n\r\n", 400],
      ["GET / HTTP/2.0\r\n\r\n", 400],
      ["G(T / HTTP/1.0\r\n\r\n", 400],
      ["\r\n\r\n", 400],
      // A FIN in the middle of it.
      ["GET / HTTP/1.0\r\n", 400],
    ] as const
  ) {
    const bytes = Uint8Array.from(request, (char) => char.charCodeAt(0));
    const reply = new TextDecoder().decode(await exchange(addr, bytes));
    assert(reply.startsWith(`HTTP/1.0 ${status} `), `${request}: ${reply}`);
  }
  const refused = await ask(addr, "HEAD / HTTP/1.1\r\n\r\n");
  assertMatch(refused, /^HTTP\/1\.0 400 [^]*\r\n\r\n$/);
});

testExample(
  "web server: serves no path outside its folder",
  async (example) => {
    const addr = await example.addr();
    await Deno.writeTextFile(`${example.dir}/secret.txt`, "secret");
    await Deno.mkdir(`${example.dir}/examples-too`);
    await Deno.writeTextFile(
      `${example.dir}/examples-too/secret.txt`,
      "secret",
    );
    if (Deno.build.os !== "windows") {
      const inside = `${example.dir}/examples`;
      await Deno.symlink("../secret.txt", `${inside}/link.txt`);
      await Deno.symlink("..", `${inside}/up`);
      await Deno.symlink("../examples-too", `${inside}/aside`);
      await Deno.symlink("loop", `${inside}/loop`);
      await Deno.symlink("lines.ts", `${inside}/same`);
      assertEquals((await curl(addr, "/same")).status, "200 OK");
    }
    for (
      const path of [
        "/../secret.txt",
        "/x/../../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/../examples-too/secret.txt",
        `${example.dir}/secret.txt`,
        `/${example.dir}/secret.txt`,
        `/${encodeURIComponent(`${example.dir}/secret.txt`)}`,
        "/link.txt",
        "/up/secret.txt",
        "/aside/secret.txt",
        "/loop",
        "/up",
        "/lines.ts%00",
        "/lines.ts%00.html",
        "/%",
        "/%ff",
        `/${"x".repeat(300)}`,
      ]
    ) {
      const { status, body } = await curl(addr, path);
      assertEquals([status, body], ["404 Not Found", "404 Not Found\n"], path);
    }
  },
  { needs: "curl" },
);

testExample(
  "web server: shows a request byte for byte, and harmless",
  async (example) => {
    const addr = await example.addr();
    const request = "GET /?<b> HTTP/1.0\r\nX: &amp; \\r\t\xe4</pre>\r\n\r\n";
    const bytes = Uint8Array.from(request, (char) => char.charCodeAt(0));
    const page = new TextDecoder().decode(await exchange(addr, bytes));
    const [, shown] = /<pre>([^]*)<\/pre>/.exec(page) ?? [];
    assertEquals(
      shown,
      "GET /?&#60;b&#62; HTTP/1.0\\r\\n\nX: &#38;amp; \\\\r\\x09\\xe4" +
        "&#60;/pre&#62;\\r\\n\n\\r\\n\n",
    );
    assertStringIncludes(page, `has ${request.length} bytes`);
    const [, length] = /\r\nContent-Length: (\d+)\r\n/.exec(page) ?? [];
    const [, body = ""] = /\r\n\r\n([^]*)$/.exec(page) ?? [];
    assertEquals(encode(body).length, Number(length));
  },
);

testExample(
  "web server: waits only briefly for a connection on which nothing comes",
  async (example) => {
    const addr = await example.addr();
    const inAdvance = await begin(addr, "");
    const reply = await ask(addr, "HEAD / HTTP/1.0\r\n\r\n");
    assert(reply.startsWith("HTTP/1.0 200 OK\r\n"), reply);
    // A browser would take any text for a response.
    assertEquals(await readText(inAdvance), "");
    await example.tool.line(/ WARN .* idle while reading: /);
  },
);

testExample("web server: is shown by a browser", async (example) => {
  const { port } = await example.addr();
  const browse = (...flags: string[]) =>
    runProgram("chromium", [
      ...chromiumFlags,
      `--user-data-dir=${Deno.makeTempDirSync({ dir: example.dir })}`,
      ...flags,
      `http://127.0.0.1:${port}/`,
    ]);
  const { stdout, stderr } = await browse("--dump-dom");
  const [, shown] = /<pre>([^]*)<\/pre>/.exec(stdout) ?? [];
  assert(shown, stderr);
  assertMatch(
    shown,
    /^GET \/ HTTP\/1\.1\\r\\n\nHost: 127\.0\.0\.1:\d+\\r\\n\n/,
  );
  assertMatch(shown, /\n\\r\\n\n$/);
  assertEquals(stdout.match(/<rect /g)?.length, 2);
  const picture = `${example.dir}/page.png`;
  await browse(`--screenshot=${picture}`);
  assertEquals((await Deno.readFile(picture)).slice(1, 4), encode("PNG"));
}, { needs: "chromium" });

Deno.test("examples: printer queue: prints in order, also after a crash", async () => {
  // The printer is off.
  const port = freePort();
  const point = (source: string) => source.replaceAll("9101", `${port}`);
  await using example = new Running(exampleCalled("printer queue"), 0, point);
  const addr = await example.addr();
  await Deno.writeTextFile(`${example.dir}/report.ps`, "%!PS first");
  assertEquals(await example.talk(addr), "job 1 is in the queue\n");
  assertEquals(await ask(addr, "second"), "job 2 is in the queue\n");
  await example.tool.line(/^cannot print queue\/0*1\.job for now: /);

  const unfinished = await begin(addr, "never promised");
  await until(() =>
    namesIn(`${example.dir}/queue`).some((name) => name.endsWith(".part"))
  );
  await example.restart();
  unfinished.close();

  const printed: string[] = [];
  await using _printer = serve(
    { hostname: "127.0.0.1", port },
    async (conn) => void printed.push(await conn.text()),
  );
  const again = await example.addr();
  assertEquals(await ask(again, "third"), "job 3 is in the queue\n");
  await until(() => namesIn(`${example.dir}/queue`).length === 0);
  assertEquals(printed, ["%!PS first", "second", "third"]);
});

testExample("pipeline: sorts, and leaves out repetitions", async (example) => {
  const addr = await example.addr();
  assertEquals(await example.talk(addr), "a\nb\n");
  assertEquals(await ask(addr, ""), "");
  const lines = Array.from({ length: 100_000 }, (_, at) => `${at % 1000}\n`);
  const reply = await ask(addr, lines.join(""));
  assertEquals(reply, [...new Set(lines)].sort().join(""));
});

testExample("deploy hook: runs the script, once at a time", async (example) => {
  const script = `${example.dir}/deploy.sh`;
  // It fails if another one runs.
  await Deno.writeTextFile(
    script,
    "#!/bin/sh\nmkdir lock || exit 3\necho to $1\nsleep 0.1\nrmdir lock\n" +
      'test "$1" != v0.0.0',
    { mode: 0o755 },
  );
  await example.tool.line(/ listening on deploy\.sock$/);
  assertEquals(await example.talk(), "to v1.2.3\ndeployed v1.2.3\n");
  const place = { transport: "unix", path: `${example.dir}/deploy.sock` };
  const send = (version: string) => ask(place as Deno.UnixAddr, version);
  const replies = await Promise.all(["v2.0.0", "v2.0.1", "v0.0.0"].map(send));
  assertEquals(replies, [
    "to v2.0.0\ndeployed v2.0.0\n",
    "to v2.0.1\ndeployed v2.0.1\n",
    "to v0.0.0\nfailed with status 1\n",
  ]);
  for (const version of ["v1", "$(id)", "v1.2.3; id", "", "-v1.2.3"]) {
    assertMatch(await send(version), /^send a version/);
  }
  assertEquals((await Deno.stat(place.path)).mode ?? 0, 0o140660);
});

/** What the tests read of the attributes of OTLP. */
interface Attributes {
  attributes: {
    key: string;
    value: { stringValue?: string; doubleValue?: number };
  }[];
}

/** What they read of an export of it. */
interface Export {
  resourceSpans?: { scopeSpans: { spans: Span[] }[] }[];
  resourceMetrics?: {
    scopeMetrics: { scope: { name: string }; metrics: Metric[] }[];
  }[];
}

interface Span extends Attributes {
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  status: { code: number; message: string };
  events: { name: string }[];
}

interface Metric {
  name: string;
  unit: string;
  histogram: { dataPoints: (Attributes & { count: number; sum: number })[] };
}

function attributesOf({ attributes }: Attributes): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
  );
}

testWith(
  { needs: "nc with -N" },
  "examples: OpenTelemetry: exports a span and metrics for each exchange",
  async () => {
    const exports: Export[] = [];
    await using collector = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        exports.push(await request.json());
        return Response.json({});
      },
    );
    const { hostname, port } = collector.addr;
    const example = exampleCalled("OpenTelemetry");
    await using running = new Running(example, 0, undefined, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${hostname}:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    });
    const addr = await running.addr();
    assertEquals(await running.talk(addr), "HELLO\n");
    await ask(addr, "x".repeat(1025)).catch(() => "");
    running.tool.kill("SIGTERM");
    assertEquals((await running.tool.ending()).code, 0);

    const spans = exports.flatMap(({ resourceSpans = [] }) => resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans);
    assertEquals(
      spans.map(({ name, kind, status, events }) => [
        ...[name, kind, status.code, status.message],
        ...events.map(({ name }) => name),
      ]),
      [
        ["exchange", 2, 0, ""],
        ["exchange", 2, 2, "too-large", "exception"],
      ],
    );
    const [first, second] = spans.map(attributesOf);
    assertEquals(
      { ...first, "client.port": 0 },
      {
        "halfclose.outcome": "ok",
        "halfclose.phase": "writing",
        "halfclose.request.size": 6,
        "halfclose.response.size": 6,
        "client.address": "127.0.0.1",
        "client.port": 0,
        "server.address": "127.0.0.1",
        "server.port": addr.port,
        "network.transport": "tcp",
      },
    );
    assertEquals(second?.["halfclose.outcome"], "too-large");
    for (const { startTimeUnixNano, endTimeUnixNano } of spans) {
      assert(BigInt(endTimeUnixNano) > BigInt(startTimeUnixNano));
    }

    // The last export has all of it.
    const { resourceMetrics = [] } =
      exports.findLast(({ resourceMetrics }) => resourceMetrics) ?? {};
    const metrics = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics)
      // Deno has some of its own.
      .filter(({ scope }) => scope.name === "halfclose")
      .flatMap(({ metrics }) => metrics);
    const counted = metrics.map(({ name, unit, histogram }) => [
      ...[name, unit],
      Object.fromEntries(histogram.dataPoints.map((point) => [
        attributesOf(point)["halfclose.outcome"],
        Number(point.count),
      ])),
    ]);
    const each = { ok: 1, "too-large": 1 };
    assertEquals(
      counted.toSorted(),
      [
        ["halfclose.exchange.duration", "s", each],
        ["halfclose.request.size", "By", each],
        ["halfclose.response.size", "By", each],
      ],
    );
  },
);

testExample(
  "control channel: tells how it is, reads its settings anew, and stops",
  async (example) => {
    await example.tool.line(/^listening on control\.sock$/);
    const path = `${example.dir}/control.sock`;
    assertEquals((await Deno.stat(path)).mode ?? 0, 0o140600);
    const unknown = await ask({ transport: "unix", path }, "toString");
    assertEquals(JSON.parse(unknown), {
      error: "no such command",
      commands: ["status", "reload", "stop"],
    });
    const file = `${example.dir}/control.json`;
    await Deno.writeTextFile(file, "{");
    const broken = await ask({ transport: "unix", path }, "reload");
    assertStringIncludes(JSON.parse(broken).error, "SyntaxError");
    await Deno.writeTextFile(file, '{"level":"debug"}');
    const [status = "", reload = "", stop = ""] = (await example.talk())
      .split("\n");
    const { pid, settings } = JSON.parse(status);
    assertEquals({ pid, settings }, { pid: example.tool.pid, settings: {} });
    assertEquals(JSON.parse(reload), { settings: { level: "debug" } });
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
  assertStringIncludes(stdout, "4 passed | 0 failed");
});
