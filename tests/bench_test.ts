// The benchmark itself: that it measures all servers that are there, and notices mistakes.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { cases } from "../bench/cases.ts";
import { chart } from "../bench/chart.ts";
import { contenders, type Name } from "../bench/contenders.ts";
import { muster } from "../bench/field.ts";
import type { Report } from "../bench/results.ts";
import {
  importMap,
  type Output,
  printed,
  root,
  runDeno,
  runProgram,
} from "./programs.ts";
import { serveLocally, temporaryFolder } from "./support.ts";
import { cert, key } from "./tls.ts";

const bench = `${root}/bench`;

function run(args: string[]): Promise<Output> {
  const file = `${bench}/side_by_side.ts`;
  return runDeno("run", "-A", ...importMap(), file, ...args);
}

function runCalls(args: string[]): Promise<Output> {
  const file = `${bench}/system_calls.ts`;
  return runDeno("run", "-A", ...importMap(), file, ...args);
}

/** Runs cases as briefly as can be, and reads the figures. */
async function measure(args: string[]) {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/results.json`;
  const time = ["--warm-up=0.02", "--seconds=0.02"];
  const brief = ["--rounds=1", ...time, `--json=${file}`];
  const { code, stdout } = await run([...brief, ...args]);
  assertEquals(code, 0, stdout);
  const report: Report = JSON.parse(await Deno.readTextFile(file));
  return { report, stdout };
}

Deno.test("bench has every server that there is answer, and tells its figures", async (t) => {
  const { report, stdout } = await measure(["--case=64B,readable-1MiB"]);
  assertEquals(report.cases.map(({ name }) => name), ["64B", "readable-1MiB"]);
  for (const { name, title, failures, results } of report.cases) {
    assertEquals(failures, []);
    assertStringIncludes(stdout, `| ${title} `);
    const race = cases.find((one) => one.name === name);
    for (const contender of race?.contenders ?? []) {
      await t.step({
        name: report.missing[contender]
          ? `${name}: ${report.missing[contender]}`
          : `${name}: ${contender}`,
        ignore: contender in report.missing,
        fn() {
          const result = results.find((one) => one.contender === contender);
          assert(result, `there are no figures of ${contender}`);
          assert(result.value > 0 && Number.isFinite(result.value));
          assertEquals(result.runs.length, 1);
          if (Deno.build.os !== "linux") return;
          assert((result.cpuPerExchange ?? -1) >= 0);
          assert((result.peak ?? -1) >= 0);
        },
      });
    }
  }
  const onDeno: Name[] = ["listen", "byob", "serve", "by-hand", "one-buffer"];
  for (const name of onDeno) {
    assert(name in report.versions, `${name} needs nothing but Deno`);
  }
});

Deno.test("bench measures TLS, large answers, no limits, silent clients and Unix sockets", async () => {
  const names = [
    "answer-8MiB",
    "behind-silent",
    "limits-64B",
    "log-64B",
    "tls-64B",
  ];
  if (Deno.build.os !== "windows") names.push("unix-64B");
  const { report } = await measure([
    `--case=${names.join()}`,
    "--only=listen,serve,no-limits,by-hand,one-buffer,alone,ahead,short-idle," +
    "tool-quiet,tool-log,tool-json",
  ]);
  const done = report.cases.map(({ name, failures, results }) => {
    assertEquals(failures, []);
    return [name, ...results.map(({ contender }) => contender)].join(" ");
  });
  assertEquals(
    done.toSorted(),
    [
      "answer-8MiB listen serve by-hand one-buffer",
      "behind-silent alone ahead short-idle",
      "limits-64B listen no-limits",
      "log-64B tool-quiet tool-log tool-json",
      "tls-64B listen serve by-hand one-buffer",
      "unix-64B listen serve by-hand one-buffer",
    ].filter((line) => names.includes(line.split(" ")[0] ?? "")),
  );
});

Deno.test({
  name: "bench:calls counts the system calls of an exchange",
  ignore: await printed(["strace", "--version"]) === undefined,
  async fn() {
    const args = ["--only=listen,by-hand", "--rounds=1", "--seconds=0.2"];
    const { code, stdout, stderr } = await runCalls(args);
    assertEquals(code, 0, stderr);
    for (const name of ["listen", "by-hand"] as const) {
      const row = stdout.split("\n").find((line) =>
        line.startsWith(`| ${contenders[name].title} `)
      );
      // One connection is accepted for each exchange, and its request read.
      assertMatch(row ?? "", /\brecvfrom [12]\.\d, /);
      assertMatch(row ?? "", /\baccept4 [01]\.\d, /);
    }
  },
});

Deno.test("bench draws what it has measured", async () => {
  const { report } = await measure(["--case=64B", "--only=listen,by-hand"]);
  const svg = chart(report);
  assertMatch(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /);
  assertStringIncludes(svg, "64 B, 8 clients: exchanges/s</text>");
  for (const name of ["listen", "by-hand"] as const) {
    assertStringIncludes(svg, `>${contenders[name].title}</text>`);
  }
  assertEquals(svg.match(/<rect/g)?.length, 2);
});

/** Each load generator, as a command if the machine has what it needs. */
async function loads(folder: string) {
  const { load, loadedBy } = await muster([], folder);
  const deno = [Deno.execPath(), "run", "-A", "--no-config"];
  return [
    { name: "load.ts", command: [...deno, `${bench}/load/load.ts`] },
    { name: "load.c", command: loadedBy.tcp === "C" && load.tcp },
    { name: "tls.go", command: loadedBy.tls === "Go" && load.tls },
  ];
}

Deno.test("bench notices answers that are wrong or cut", async (t) => {
  await using folder = await temporaryFolder();
  const answers: [answer: string, asked: number, code: number][] = [
    ["5", 0, 0],
    ["6", 0, 1],
    ["", 0, 1],
    ["55", 0, 1],
    ["xxx", 3, 0],
    ["xx", 3, 1],
    ["xxy", 3, 1],
    ["xxxx", 3, 1],
  ];
  for (const { name, command } of await loads(folder.path)) {
    await t.step({
      name: command ? name : `${name}, for which there is no compiler`,
      ignore: !command,
      async fn() {
        const [program = "", ...args] = command || [];
        const tls = name === "tls.go";
        for (const [answer, asked, code] of answers) {
          const { server } = serveLocally(
            tls ? { cert, key } : {},
            () => answer,
          );
          const { port } = server.addr;
          const load = await runProgram(program, [
            ...args,
            tls ? `tls:${port}` : String(port),
            ...[2, 0.01, 5, asked, 0].map(String),
          ]);
          await server.shutdown();
          assertEquals(load.code, code, `${name} was answered "${answer}"`);
        }
      },
    });
  }
});

Deno.test("bench says in one line which argument it cannot understand", async () => {
  const cases: [args: string[], message: string][] = [
    [["--case=nope"], '--case knows no "nope", but 64B, '],
    [["--only=nope"], '--only knows no "nope", but listen, '],
    [
      ["--rounds=0"],
      '--rounds must be a whole number from 1 to 99, received "0"',
    ],
    [["--seconds=x"], '--seconds must be over 0, and at most 60, received "x"'],
    [["--warm-up=0"], '--warm-up must be over 0, and at most 60, received "0"'],
    [["--json="], "--json needs a value: a file"],
    [["--svg=/dev/null/x"], "--svg cannot be written to /dev/null/x: "],
    [["--case=64B", "--only=read"], '--only knows no "read", but listen, '],
    [["--nope"], 'unexpected argument "--nope". See --help'],
    [["extra"], 'unexpected argument "extra". See --help'],
  ];
  for (const [args, message] of cases) {
    checkMisuse(await run(args), `bench: ${message}`);
  }
});

Deno.test("bench:calls says in one line which argument it cannot understand", async () => {
  const cases: [args: string[], message: string][] = [
    [["--case=nope"], '--case knows no "nope", but 64B, '],
    [["--case=64B,1MiB"], "--case takes one, not 64B, 1MiB"],
    [["--only=toString"], '--only knows no "toString", but listen, '],
    [["--case=tls-64B", "--only=go"], '--only knows no "go", but listen, '],
  ];
  for (const [args, message] of cases) {
    checkMisuse(await runCalls(args), `bench:calls: ${message}`);
  }
});

function checkMisuse({ code, stdout, stderr }: Output, message: string): void {
  const problems = stderr.split("\n").filter((line) => line.includes("bench"));
  assertEquals({ code, stdout }, { code: 2, stdout: "" });
  assertEquals(problems.length, 1);
  assertStringIncludes(problems[0] ?? "", message);
}
