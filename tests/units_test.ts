// The units for systemd: what can be told of them without systemd.

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { seconds, unknownFlags, valueOf } from "./deploy.ts";
import { importMap, printed, root, runProgram } from "./programs.ts";
import { hasManagers, Manager } from "./service_manager.ts";
import { ask, freePorts } from "./sockets.ts";
import { namesIn, temporaryFolder, testIf } from "./support.ts";
import { Tool } from "./tool.ts";

function read(path: string): string {
  return Deno.readTextFileSync(`${root}/${path}`);
}

/** The settings of a unit by their names, in order. */
function settingsOf(unit: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  for (const line of unit.replaceAll(/\\\n\s*/g, "").split("\n")) {
    const [, name = "", value = ""] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name) settings.set(name, [...settings.get(name) ?? [], value]);
  }
  return settings;
}

const units = ["halfclose.service", "halfclose@.service"].map((name) => {
  const settings = settingsOf(read(`deploy/${name}`));
  const [command = ""] = settings.get("ExecStart") ?? [];
  const words = command.split(/\s+/);
  const entry = words.findIndex((word) => word.startsWith("jsr:"));
  return { name, settings, words, args: words.slice(entry + 1) };
});

for (const { name, settings, words, args } of units) {
  Deno.test(`deploy/${name} starts the tool and gives it the time to stop`, () => {
    assertEquals(unknownFlags(args), []);
    const [stop] = settings.get("TimeoutStopSec") ?? [];
    // The exchange under way, those who wait, and those who linger.
    assert(seconds(stop) > 2 * seconds(valueOf(args, "--deadline")) + 2);
    assertEquals(settings.get("Type"), ["notify"]);
    assertEquals(settings.get("KillMode"), ["mixed"]);
    assertEquals(settings.get("ExecReload"), ["/bin/kill -HUP $MAINPID"]);
    // V8 could not run.
    assertEquals(settings.get("MemoryDenyWriteExecute"), undefined);
    assert(words.includes("--no-prompt"));
  });

  testIf(
    await printed(["systemd-analyze", "--version"]) !== undefined,
    "systemd-analyze",
    `deploy/${name} is right and hardened, says systemd-analyze`,
    async () => {
      await using folder = await temporaryFolder();
      const path = `${folder.path}/${name}`;
      const unit = read(`deploy/${name}`);
      const there = unit.replace("/usr/local/bin/deno", Deno.execPath());
      await Deno.writeTextFile(path, there);
      const verify = ["verify", "--man=no", path];
      const verified = await runProgram("systemd-analyze", verify);
      assertEquals(verified, { code: 0, stdout: "", stderr: "" });
      // In tenths: up to 2.0 is "OK".
      const security = ["security", "--offline=true", "--threshold=20", path];
      const judged = await runProgram("systemd-analyze", security);
      assertEquals(judged.code, 0, judged.stdout);
      assertMatch(judged.stdout, /Overall exposure level .*: [01]\.\d OK/);
    },
  );

  testIf(
    hasManagers,
    "Linux and python3",
    `deploy/${name} gives the permissions that suffice`,
    async () => {
      await using folder = await temporaryFolder();
      const { path } = folder;
      // As systemd does it for a DynamicUser.
      await Deno.mkdir(`${path}/private/halfclose`, { recursive: true });
      await Deno.symlink("private/halfclose", `${path}/state`);
      await Deno.mkdir(`${path}/etc`);
      const module =
        "export default async (conn) => (await conn.text()) + '!';";
      await Deno.writeTextFile(`${path}/etc/handler.ts`, module);
      await using manager = await Manager.at(`${path}/notify`);
      const [port = "", monitoringPort = ""] = freePorts(2).map(String);
      const [program = "", ...rest] = words.flatMap((word) =>
        word.startsWith("jsr:")
          ? [...importMap(), `${root}/cli.ts`]
          : word.replaceAll("8080", port)
            .replace(/(?<=^127\.0\.0\.1:)908[0%]i?$/, monitoringPort)
            .replace("/usr/local/bin/deno", Deno.execPath())
            .replaceAll("/run/systemd/notify", manager.name)
            .replaceAll("/var/lib/halfclose", `${path}/state`)
            .replaceAll("/etc/halfclose", `${path}/etc`)
      );
      const env = { NOTIFY_SOCKET: manager.name, WATCHDOG_USEC: "30000000" };
      await using tool = new Tool(rest, { command: program, env });
      assertEquals((await manager.next()).READY, "1");
      const answer = await ask({ port: Number(port) }, "hello");
      if (args.includes("--sink")) {
        const [, name] = answer.trim().split("  ");
        assertEquals(namesIn(`${path}/private/halfclose`), [name]);
      } else assertEquals(answer, "hello!");
      const monitoring = `http://127.0.0.1:${monitoringPort}`;
      const health = await fetch(`${monitoring}/healthz`);
      assertEquals(await health.text(), "ok\n");
      const metrics = await (await fetch(`${monitoring}/metrics`)).text();
      assertMatch(metrics, /^halfclose_exchanges_total\{outcome="ok"\} 1$/m);
      tool.kill("SIGHUP");
      assertEquals((await manager.next()).RELOADING, "1");
      assertEquals((await manager.next()).READY, "1");
      tool.kill("SIGTERM");
      assertEquals((await manager.next()).STOPPING, "1");
      const { code, lines } = await tool.ending();
      assertEquals(code, 0, lines.join("\n"));
      assertEquals(lines.filter((line) => /WARN|ERROR/.test(line)), []);
    },
  );
}

Deno.test("deploy/ has one user for all processes on one port", () => {
  const [, template] = units;
  // Without a name, each instance would have a user of its own, and the kernel
  // lets none share a port with another.
  assertEquals(template?.settings.get("User"), ["halfclose"]);
  assert(template?.args.includes("--reuse-port"));
  assert(template?.words.includes("--unstable-net"));
});

Deno.test("deploy/halfclose@.service gives each process a port for /metrics", () => {
  const [single, template] = units;
  const places = ["1", "2", "3", "4"].map((instance) =>
    valueOf(template?.args ?? [], "--metrics")?.replaceAll("%i", instance)
  );
  places.push(valueOf(single?.args ?? [], "--metrics"));
  assertEquals(new Set(places).size, places.length);
  for (const place of places) assertMatch(`${place}`, /^127\.0\.0\.1:\d{4}$/);
});

Deno.test("deploy/ names the version of deno.json", () => {
  const { version } = config;
  for (const { name } of Deno.readDirSync(`${root}/deploy`)) {
    const text = read(`deploy/${name}`);
    const named = [
      ...text.matchAll(/jsr:@halfclose\/server(?:@([^/\s]*))?/g),
      ...text.matchAll(/\bexample\.com\/halfclose(?::(\S*))?/g),
    ];
    if (/\.service$|^kubernetes/.test(name)) {
      assertEquals(named.length, 2, name);
    }
    for (const [text, pinned] of named) assertEquals(pinned, version, text);
  }
});

testIf(
  Deno.build.os === "linux",
  "Linux",
  "docs/production.md puts another version into the units of deploy/",
  async () => {
    await using folder = await temporaryFolder();
    const { path } = folder;
    for (const { name } of units) {
      await Deno.copyFile(`${root}/deploy/${name}`, `${path}/${name}`);
    }
    const page = read("docs/production.md");
    const [, sed = ""] = /^# (sed -i .*)$/m.exec(page) ?? [];
    const script = sed.replace("/etc/systemd/system", path);
    const options = ["-euc", `version=9.8.7; ${script}`];
    const { code, stderr } = await runProgram("bash", options);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    for (const { name } of units) {
      const upgraded = await Deno.readTextFile(`${path}/${name}`);
      assertEquals(
        upgraded,
        read(`deploy/${name}`).replaceAll(config.version, "9.8.7"),
      );
    }
  },
);
