// Whatever is thrown can be put into words and written, and ends nothing.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { sourceOf } from "../cli/shared/source.ts";
import { messageOf as messageOnOneLine } from "../cli/shared/wording.ts";
import {
  causeOf,
  inspected,
  isOf,
  messageOf,
  stackOf,
  typeOf,
  writeToConsole,
} from "../shared/thrown.ts";
import { printable } from "../shared/printable.ts";
import { Random } from "./harness/random.ts";
import { anyHostile, hostile } from "./hostile.ts";
import { importMap, lines, spawn } from "./programs.ts";
import { ask, local } from "./sockets.ts";
import { testIf } from "./support.ts";
import { failed, Tool } from "./tool.ts";

/** Runs `work` while the console collects what is written to it. */
function withConsole(
  error: (...parts: unknown[]) => void,
  work: () => void,
): void {
  const original = console.error;
  console.error = error;
  try {
    work();
  } finally {
    console.error = original;
  }
}

Deno.test("messageOf() has words for everything", () => {
  const words: [unknown, string][] = [
    [new Error("no paper"), "no paper"],
    [new Deno.errors.NotFound(), "NotFound"],
    [new AggregateError([]), "AggregateError"],
    ["a text", "a text"],
    [undefined, "undefined"],
    [Symbol("sign"), "Symbol(sign)"],
    [{ toString: () => "of its own" }, "of its own"],
    [Object.create(null), "[Object: null prototype] {}"],
    [
      hostile["an error whose message has no prototype"](),
      "[Object: null prototype] {}",
    ],
    [hostile["an error whose message is a symbol"](), "Symbol(message)"],
    [
      hostile["an error whose message throws"](),
      "an error whose message cannot be read",
    ],
    [hostile["a revoked proxy"](), "something that cannot be shown"],
  ];
  for (const [thrown, expected] of words) {
    assertEquals(messageOf(thrown), expected);
  }
});

Deno.test("nothing that makes words of something thrown can throw", () => {
  const seed = 18;
  const random = new Random(seed);
  const values = Object.values(hostile).map((make) => make());
  while (values.length < 2_000) values.push(anyHostile(random));
  for (const value of values) {
    assertEquals(typeof messageOf(value), "string");
    assertEquals(typeof inspected(value), "string");
    assertEquals(typeof typeOf(value), "string");
    assertEquals(typeof printable(messageOnOneLine(value)), "string");
    assert(["string", "undefined"].includes(typeof stackOf(value)));
    assert(["string", "undefined"].includes(typeof sourceOf(value)));
    assertEquals(typeof isOf(value, Error), "boolean");
    causeOf(value);
    let isWritten = false;
    withConsole((...parts) => {
      for (const part of parts) Deno.inspect(part);
      isWritten = true;
    }, () => writeToConsole("told of", value));
    assert(isWritten);
  }
});

Deno.test("messageOf() of the tool makes one line of a message, without its middle", () => {
  const shown = (message: string) => messageOnOneLine(new Error(message));
  assertEquals(shown(" a  \r\n\n\t b\n"), "a b");
  const all = `${"<".repeat(4096)}${">".repeat(4096)}`;
  assertEquals(shown(all), all);
  const long = `${"<".repeat(4096)}${" ".repeat(5_000_000)}${">".repeat(4096)}`;
  assertEquals(
    shown(long),
    `${"<".repeat(4096)} (5000000 characters left out) ${">".repeat(4096)}`,
  );
});

Deno.test("sourceOf() takes nothing in a message for the place of an error", () => {
  const forged = ["file:///forged.ts:1:1", "    at file:///forged.ts:1:1"];
  for (const line of [...forged, "", "x", "E", "Error"]) {
    for (const message of [line, `x\n${line}`, `${line}\n`, `${line}\nx`]) {
      const source = sourceOf(new Error(message));
      assertStringIncludes(`${source}`, "/thrown_test.ts:");
    }
  }
});

Deno.test("sourceOf() knows no place where a message has changed", () => {
  const error = new Error("oh\n    at file:///forged.ts:1:1");
  assertStringIncludes(`${error.stack}`, "forged");
  error.message = `then ${error.message}`;
  assertEquals(sourceOf(error), undefined);
});

Deno.test("sourceOf() reads every kind of frame", () => {
  const source = (frame: string) =>
    sourceOf(Object.assign(new Error("x"), {
      stack: `Error: x\n    at ${frame}`,
    }));
  for (
    const frame of [
      "file:///m.ts:1:2",
      "async file:///m.ts:1:2",
      "f (file:///m.ts:1:2)",
      "async Object.<anonymous> (file:///m.ts:1:2)",
      "new A (file:///m.ts#3:1:2)",
      "f [as g] (file:///m.ts#3:1:2)",
    ]
  ) {
    assertEquals(source(frame), "/m.ts:1:2", frame);
  }
  assertEquals(source("f (https://a.b/m.ts:1:2)"), "https://a.b/m.ts:1:2");
  for (
    const frame of [
      "f (ext:core/01_core.js:1:2)",
      "async Promise.all (index 0)",
    ]
  ) {
    assertEquals(source(frame), undefined, frame);
  }
  // It would take minutes if it took more than that.
  const long = "file://a#".repeat(200_000);
  assertEquals(source(long), undefined);
});

Deno.test("writeToConsole() survives a console that cannot write", () => {
  const full = () => {
    throw new Deno.errors.WriteZero("No space left on device");
  };
  withConsole(full, () => writeToConsole(new Error("lost")));
});

/** Has a server throw all that is hostile, and checks that it goes on. */
async function checkSurvival(addr: Deno.NetAddr, told = ""): Promise<void> {
  for (const index of Object.keys(hostile).keys()) {
    assertEquals(await ask(addr, `${index}`), told);
  }
  assertEquals(await ask(addr, "{bad JSON"), told);
  assertEquals(await ask(addr, "well?"), "well");
}

for (const device of ["/dev/null", "/dev/full"]) {
  testIf(
    Deno.build.os === "linux",
    "Linux",
    `serve() without onError survives whatever its handler throws, with standard error on ${device}`,
    async () => {
      const program = new URL("testdata/throws.ts", import.meta.url).pathname;
      const command = [Deno.execPath(), "run", "-A", ...importMap(), program];
      await using child = spawn("sh", [
        "-c",
        `exec "$@" 2>${device}`,
        "sh",
        ...command,
      ], { stderr: "null" });
      const output = lines(child.stdout);
      const { value: port } = await output.next();
      await checkSurvival({ ...local, transport: "tcp", port: Number(port) });
      child.kill("SIGKILL");
      await child.status;
      await output.return(undefined);
    },
  );
}

for (const format of ["text", "json"]) {
  Deno.test(`cli: survives whatever a module throws, with a log as ${format}`, async () => {
    const module = "tests/testdata/throws_module.ts";
    const flags = ["--log-format", format, "--log-level", "debug"];
    await using tool = await Tool.listening([...flags, module], {
      permissions: ["-A"],
    });
    await checkSurvival(tool.addr as Deno.NetAddr, failed);
  });
}
