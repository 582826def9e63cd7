// CUPS, with a raw queue whose printer is a server of ours: docs/printing.md.

import { assert, assertEquals } from "@std/assert";
import { assertSame, encode, pattern } from "../bytes.ts";
import { Daemon, testWithDaemon } from "../daemons.ts";
import { root, runProgram } from "../programs.ts";
import { freePort, freePorts } from "../sockets.ts";
import { namesIn, temporaryFolder, until } from "../support.ts";
import { outcomes, Tool } from "../tool.ts";
import { startServer } from "./page.ts";

/** A scheduler of our own, with one queue. */
class Cups implements AsyncDisposable {
  readonly #daemon: Daemon;

  private constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  /** Starts one, whose queue prints to a port of 127.0.0.1. */
  static printingTo(port: number, options = ""): Promise<Cups> {
    return Cups.printing(`socket://127.0.0.1:${port}${options}`);
  }

  /** Starts one, whose queue prints to a URI. */
  static async printing(uri: string): Promise<Cups> {
    const daemon = await Daemon.start("cupsd", ({ folder, ports }) => {
      // Its backends run as another user.
      Deno.chmodSync(folder, 0o755);
      for (const name of ["cache", "spool", "spool/tmp"]) {
        Deno.mkdirSync(`${folder}/${name}`);
      }
      Deno.writeTextFileSync(
        `${folder}/files`,
        `ServerRoot ${folder}
StateDir ${folder}
CacheDir ${folder}/cache
RequestRoot ${folder}/spool
TempDir ${folder}/spool/tmp
AccessLog ${folder}/access
PageLog ${folder}/page
ErrorLog ${folder}/error
SystemGroup root
`,
      );
      return `Listen 127.0.0.1:${ports[0]}
Browsing No
WebInterface No
DefaultAuthType None
JobRetryInterval 1
LogLevel debug
<Location />
  Order deny,allow
</Location>
<Policy default>
  <Limit All>
    Order deny,allow
  </Limit>
</Policy>
`;
    });
    const cups = new Cups(daemon);
    await cups.#run("lpadmin", [
      ...["-p", "ours", "-E", "-m", "raw"],
      ...["-v", uri],
      ...["-o", "printer-error-policy=retry-job"],
    ]);
    return cups;
  }

  /** Prints files, as one job each. */
  async print(...files: string[]): Promise<void> {
    await Promise.all(
      files.map((file) => this.#run("lp", ["-d", "ours", file])),
    );
  }

  /** Waits until it takes so many jobs for printed. */
  async printed(count: number): Promise<void> {
    await until(async () => {
      const args = ["-W", "completed", "-o", "ours"];
      const jobs = await this.#run("lpstat", args);
      return jobs.split("\n").filter(Boolean).length === count;
    });
  }

  /** Waits until its log has this. */
  async logs(text: string): Promise<void> {
    const log = `${this.#daemon.folder}/error`;
    await until(async () => (await Deno.readTextFile(log)).includes(text));
  }

  async #run(program: string, args: string[]): Promise<string> {
    const server = ["-h", `127.0.0.1:${this.#daemon.port}`];
    const { code, stdout, stderr } = await runProgram(program, [
      ...server,
      ...args,
    ]);
    assertEquals(code, 0, stderr);
    return stdout;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#daemon[Symbol.asyncDispose]();
  }
}

/** What people print: a text, a PDF, and something large. */
const text = encode("one\ntwo\f\n");
const pdf = encode(
  "%PDF-1.4\n%\xe2\xe3\n1 0 obj<</Type/Catalog>>endobj\n%%EOF",
);
const large = pattern(50_000_000);

/** Writes jobs to files that CUPS may read. */
async function filesOf(
  folder: string,
  jobs: Uint8Array[],
): Promise<string[]> {
  return await Promise.all(jobs.map(async (job, at) => {
    const path = `${folder}/job${at}`;
    await Deno.writeFile(path, job);
    return path;
  }));
}

/** Checks that the files in a folder are the jobs, in any order. */
async function assertKept(
  dir: string,
  jobs: readonly Uint8Array[],
): Promise<void> {
  const kept = await until(() => {
    const names = namesIn(dir).filter((name) => !name.includes(".part"));
    return names.length >= jobs.length ? names : undefined;
  });
  assertEquals(kept.length, jobs.length);
  const bySize = (a: Uint8Array, b: Uint8Array) => a.length - b.length;
  const contents = await Promise.all(
    kept.map((name) => Deno.readFile(`${dir}/${name}`)),
  );
  contents.sort(bySize);
  jobs.toSorted(bySize).forEach((job, at) => {
    assertSame(contents[at] ?? new Uint8Array(), job);
  });
}

/** The flags for a sink that is a printer, as docs/printing.md has them. */
const asPrinter = [
  ...["--max-request-bytes", "none", "--deadline", "none"],
  ...["--idle-timeout", "10m"],
];

function startSink(dir: string, flags: string[]): Promise<Tool> {
  return Tool.listening(["--sink", dir, ...flags], Tool.allowing(dir));
}

testWithDaemon("cupsd", "smoke: CUPS prints into a sink", async () => {
  await using folder = await temporaryFolder();
  const dir = `${folder.path}/inbox`;
  await using tool = await startSink(dir, asPrinter);
  await using cups = await Cups.printingTo(tool.port);
  const jobs = [text, pdf];
  await cups.print(...await filesOf(folder.path, jobs));
  await cups.printed(2);
  await assertKept(dir, jobs);
  assertEquals(outcomes(await tool.stop()), ["ok", "ok"]);
});

/** Five jobs at once, of which no two have the same size. */
const five = Array.from({ length: 5 }, (_, at) => pattern(1_000_000 + at));

testWithDaemon(
  "cupsd",
  "interop: CUPS prints 50 MB, and five jobs at once, into a sink",
  async () => {
    await using folder = await temporaryFolder();
    const dir = `${folder.path}/inbox`;
    await using tool = await startSink(dir, asPrinter);
    await using cups = await Cups.printingTo(tool.port);
    const jobs = [large, ...five];
    await cups.print(...await filesOf(folder.path, jobs));
    await cups.printed(jobs.length);
    await assertKept(dir, jobs);
  },
);

/** Starts an example, in a folder of its own. */
function startExample(name: string, folder: string): Promise<Tool> {
  const options = {
    permissions: ["-A", "--config", `${root}/deno.json`],
    entry: `${root}/cli.ts`,
    cwd: folder,
  };
  return Tool.listening([`${root}/examples/${name}.ts`], options);
}

testWithDaemon(
  "cupsd",
  "interop: CUPS prints through examples/raw_printer.ts",
  async () => {
    await using folder = await temporaryFolder();
    await using tool = await startExample("raw_printer", folder.path);
    await using cups = await Cups.printingTo(tool.port);
    const jobs = [text, pdf, large, ...five];
    await cups.print(...await filesOf(folder.path, jobs));
    await cups.printed(jobs.length);
    await assertKept(`${folder.path}/jobs`, jobs);
  },
);

testWithDaemon(
  "cupsd",
  "interop: CUPS prints through examples/printer_queue.ts",
  async () => {
    await using folder = await temporaryFolder();
    const [port = 0] = freePorts(1);
    const dir = `${folder.path}/inbox`;
    // The printer behind the queue.
    const flags = ["--port", `${port}`, ...asPrinter];
    await using _printer = await startSink(dir, flags);
    const source = await Deno.readTextFile(`${root}/examples/printer_queue.ts`);
    const changed = `${folder.path}/printer_queue.ts`;
    await Deno.writeTextFile(changed, source.replace("9101", `${port}`));
    await using tool = await Tool.listening([changed], {
      permissions: ["-A", "--config", `${root}/deno.json`],
      entry: `${root}/cli.ts`,
      cwd: folder.path,
    });
    await using cups = await Cups.printingTo(tool.port);
    const jobs = [text, pdf, large, ...five];
    await cups.print(...await filesOf(folder.path, jobs));
    await cups.printed(jobs.length);
    await assertKept(dir, jobs);
  },
);

testWithDaemon(
  "cupsd",
  "interop: CUPS is told a status in the middle of a job by examples/printer_status.ts",
  async () => {
    await using folder = await temporaryFolder();
    await using tool = await startExample("printer_status", folder.path);
    await using cups = await Cups.printingTo(tool.port);
    const status = encode("\x1b%-12345X@PJL INFO STATUS\r\n");
    const job = new Uint8Array([...status, ...pattern(2_000_000), ...status]);
    await cups.print(...await filesOf(folder.path, [job]));
    await cups.printed(1);
    await assertKept(`${folder.path}/jobs`, [job]);
    // The backend reads what comes back: an answer to each question.
    await cups.logs("bytes of back-channel data");
    const [exchange] = await tool.stop();
    assertEquals(exchange?.outcome, "ok");
    assertEquals(exchange?.bytesOut, 2 * 61);
  },
);

testWithDaemon(
  "cupsd",
  "interop: CUPS prints to the LPD of docs/protocols.md",
  async () => {
    await using folder = await temporaryFolder();
    await Deno.mkdir(`${folder.path}/jobs`);
    await using tool = await startServer("LPD", folder.path);
    await using cups = await Cups.printing(`lpd://127.0.0.1:${tool.port}/ours`);
    await cups.print(...await filesOf(folder.path, [large]));
    await cups.printed(1);
    const data = namesIn(`${folder.path}/jobs`)
      .find((name) => name.endsWith(".data"));
    assertSame(await Deno.readFile(`${folder.path}/jobs/${data}`), large);
    assertEquals(outcomes(await tool.stop()), ["ok"]);
  },
);

testWithDaemon(
  "cupsd",
  "interop: a job of CUPS waits for a server that is down",
  async () => {
    await using folder = await temporaryFolder();
    const dir = `${folder.path}/inbox`;
    const port = freePort();
    await using cups = await Cups.printingTo(port);
    await cups.print(...await filesOf(folder.path, [text]));
    await cups.logs("Connection error: ");
    const flags = ["--port", `${port}`, ...asPrinter];
    await using _tool = await startSink(dir, flags);
    await cups.printed(1);
    await assertKept(dir, [text]);
  },
);

testWithDaemon(
  "cupsd",
  "interop: a job of CUPS comes again after a server that was killed",
  async () => {
    await using folder = await temporaryFolder();
    const dir = `${folder.path}/inbox`;
    const port = freePort();
    const flags = ["--port", `${port}`, ...asPrinter];
    await using first = await startSink(dir, flags);
    await using cups = await Cups.printingTo(port);
    // It stands still in the middle of the job, and is killed there.
    first.kill("SIGSTOP");
    await cups.print(...await filesOf(folder.path, [large]));
    await cups.logs("Connected to 127.0.0.1");
    first.kill("SIGKILL");
    await first.ending();
    await using _second = await startSink(dir, flags);
    await cups.printed(1);
    await assertKept(dir, [large]);
  },
);

testWithDaemon(
  "cupsd",
  "interop: CUPS takes a job that is all sent for printed even if the server is killed",
  async () => {
    await using folder = await temporaryFolder();
    const dir = `${folder.path}/inbox`;
    await using tool = await startSink(dir, asPrinter);
    await using cups = await Cups.printingTo(tool.port);
    // The kernel takes all of it, and nobody reads it.
    tool.kill("SIGSTOP");
    await cups.print(...await filesOf(folder.path, [text]));
    await cups.logs("Waiting for printer to finish");
    tool.kill("SIGKILL");
    await tool.ending();
    await cups.printed(1);
    assertEquals(namesIn(dir), []);
  },
);

testWithDaemon(
  "cupsd",
  "interop: CUPS takes a small job that --allow keeps out for printed",
  async () => {
    await using folder = await temporaryFolder();
    const dir = `${folder.path}/inbox`;
    const flags = ["--allow", "10.0.0.0/8"];
    await using tool = await startSink(dir, flags);
    await using cups = await Cups.printingTo(tool.port);
    await cups.print(...await filesOf(folder.path, [text]));
    await cups.printed(1);
    assertEquals(namesIn(dir), []);
  },
);

for (
  const [what, flags, outcome] of [
    ["is too large", ["--max-request-bytes", "1000"], "too-large"],
    ["comes too late", ["--deadline", "1ms"], "deadline"],
  ] as const
) {
  testWithDaemon(
    "cupsd",
    `interop: CUPS takes a job that ${what} for printed`,
    async () => {
      await using folder = await temporaryFolder();
      const dir = `${folder.path}/inbox`;
      await using tool = await startSink(dir, [...flags]);
      await using cups = await Cups.printingTo(tool.port);
      await cups.print(...await filesOf(folder.path, [pattern(100_000)]));
      await cups.printed(1);
      assert(outcomes(await tool.stop()).includes(outcome));
      assertEquals(namesIn(dir), []);
    },
  );
}
