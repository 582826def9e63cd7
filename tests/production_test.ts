// What docs/production.md says, as far as a test can tell.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { unknownFlags } from "./deploy.ts";
import { printed, root, runProgram } from "./programs.ts";
import { ask, exchangeOn, freePort } from "./sockets.ts";
import { temporaryFolder, testIf } from "./support.ts";
import { certFile, connectTls, keyFile } from "./tls.ts";
import { Tool } from "./tool.ts";

const page = Deno.readTextFileSync(`${root}/docs/production.md`);
const alerts = Deno.readTextFileSync(`${root}/deploy/alerts.yaml`);

/** The table of permissions: what needs which flags of Deno, and of the tool. */
const modes = Array.from(
  page.matchAll(/^\| ([\w ]+?) +\| `(-N[^`]*)` +\| (?:`([^`]+)`)? +\|$/gm),
  ([, what = "", permissions = "", flags = ""]) => ({
    what,
    permissions: permissions.split(" "),
    flags: flags.split(" ").filter((flag) => flag !== ""),
  }),
);

const answers: Record<string, RegExp> = {
  "a text": /^hello$/,
  "a file": /^message of the day$/,
  "a sink": /^[^/]+\n$/,
  "a module": /^HELLO$/,
  "a program": /^\s*5\n$/,
};

Deno.test("docs/production.md has a row for each way to answer", () => {
  assertEquals(modes.length, 11);
  for (const what of Object.keys(answers)) {
    assert(modes.some((mode) => mode.what === what), what);
  }
});

for (const { what, permissions, flags } of modes) {
  testIf(
    Deno.build.os === "linux",
    "Linux",
    `docs/production.md gives ${what} the permissions that suffice`,
    async () => {
      await using folder = await temporaryFolder();
      const { path } = folder;
      await Deno.writeTextFile(`${path}/motd`, "message of the day");
      await Deno.writeTextFile(
        `${path}/upper.ts`,
        "export default async (conn) => (await conn.text()).toUpperCase();",
      );
      await Deno.copyFile(certFile, `${path}/cert.pem`);
      await Deno.copyFile(keyFile, `${path}/key.pem`);
      await Deno.mkdir(`${path}/run`);
      const port = `${freePort()}`;
      const given = permissions.map((flag) => flag.replace("8080", port));
      const args = flags.map((flag) => flag.replace("9090", `${freePort()}`));
      const options = { entry: `${root}/cli.ts`, cwd: path };
      const place = flags.includes("--unix")
        ? []
        : ["--host", "0.0.0.0", "--port", port];
      const start = (permissions: string[]) =>
        new Tool([...place, ...args], { ...options, permissions });

      await using tool = start(given);
      await tool.line(/ INFO listening on /);
      const addr = flags.includes("--unix")
        ? { transport: "unix", path: `${path}/run/server.sock` } as const
        : {
          transport: "tcp",
          hostname: "127.0.0.1",
          port: Number(port),
        } as const;
      const reply = flags.includes("--tls-cert")
        ? await askTls(Number(port))
        : await ask(addr, "hello");
      const expected = answers[what] ?? /^hello$/;
      assert(expected.test(reply), reply);
      tool.kill("SIGTERM");
      assertEquals((await tool.ending()).code, 0);

      // Each of them is needed. (127.0.0.1 only makes a stop more exact.)
      for (const flag of given) {
        await using lacking = start(given.filter((other) => other !== flag));
        assertEquals((await lacking.ending()).code, 1, flag);
      }
    },
  );
}

async function askTls(port: number): Promise<string> {
  const reply = await exchangeOn(await connectTls(port), "hello");
  return new TextDecoder().decode(reply);
}

Deno.test("docs/production.md names flags and metrics that there are", () => {
  const flags = page.match(/(?<=[` ])--[a-z-]+/g) ?? [];
  assert(flags.length > 30);
  const ofOthers = ["--tag", "--read-only", "--cap-drop", "--stop-timeout"];
  const others = [
    ...ofOthers,
    "--publish",
    "--reload",
    "--allow-run",
    "--unstable-net",
  ];
  assertEquals(
    unknownFlags(flags.filter((flag) => !others.includes(flag))),
    [],
  );
  const manual = ["docs/cli.md", "docs/library.md", "metrics/mod.ts"]
    .map((path) => Deno.readTextFileSync(`${root}/${path}`)).join();
  for (
    const [name] of page.matchAll(
      /halfclose_\w+?(?=_(?:sum|count|bucket)\b|\b)/g,
    )
  ) {
    assert(manual.includes(`\`${name}\``), name);
  }
});

Deno.test("deploy/alerts.yaml has the alarms that docs/production.md explains", () => {
  const named = Array.from(
    alerts.matchAll(/- alert: (\w+)/g),
    ([, name = ""]) => name,
  );
  const explained = page.match(/(?<=^\| `)Halfclose\w+(?=` +\|)/gm);
  assertEquals(explained, named);
});

testIf(
  await printed(["promtool", "--version"]) !== undefined,
  "promtool",
  "deploy/alerts.yaml rings when it should, and only then",
  async () => {
    const args = ["test", "rules", "tests/testdata/alerts_test.yaml"];
    const { code, stdout, stderr } = await runProgram("promtool", args);
    assertEquals(code, 0, stdout + stderr);
    const { stdout: checked } = await runProgram("promtool", [
      "check",
      "rules",
      "deploy/alerts.yaml",
    ]);
    const count = alerts.match(/- alert: /g)?.length;
    assertStringIncludes(checked, `SUCCESS: ${count} rules found`);
  },
);

Deno.test("docs/production.md and deploy/alerts.yaml name numbers that /metrics has", async () => {
  const flags = ["--metrics", "127.0.0.1:0"];
  await using tool = await Tool.listening(flags);
  const [, url = ""] = await tool.line(/metrics on (http:.*)/);
  const numbers = await (await fetch(url)).text();
  for (const [name] of (page + alerts).matchAll(/\bhalfclose_\w+/g)) {
    assert(
      new RegExp(`^${name}[ {]|^# TYPE ${name} `, "m").test(numbers),
      name,
    );
  }
});
