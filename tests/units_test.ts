// The units for systemd: what can be told of them without systemd.

import { assert, assertEquals, assertMatch } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { seconds, unknownFlags, valueOf } from "./deploy.ts";
import { importMap, printed, root, runProgram } from "./programs.ts";
import { passing } from "./passing_parent.ts";
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

const hasAnalyzer =
  await printed(["systemd-analyze", "--version"]) !== undefined;

/** Has systemd-analyze verify units that lie in one folder. */
async function checkUnits(units: Record<string, string>): Promise<void> {
  await using folder = await temporaryFolder();
  for (const [name, text] of Object.entries(units)) {
    const there = text.replace("/usr/local/bin/deno", Deno.execPath());
    await Deno.writeTextFile(`${folder.path}/${name}`, there);
  }
  const paths = Object.keys(units).map((name) => `${folder.path}/${name}`);
  const args = ["verify", "--man=no", ...paths];
  const verified = await runProgram("systemd-analyze", args);
  assertEquals(verified, { code: 0, stdout: "", stderr: "" });
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
    // Or systemd would close the socket of a service that restarts.
    assertEquals(settings.get("StartLimitIntervalSec"), ["0"]);
    assertEquals(settings.get("ExecReload"), ["/bin/kill -HUP $MAINPID"]);
    // V8 could not run.
    assertEquals(settings.get("MemoryDenyWriteExecute"), undefined);
    assert(words.includes("--no-prompt"));
  });

  const socket = name.replace("service", "socket");

  Deno.test(`deploy/${name} listens where deploy/${socket} does`, () => {
    for (const flag of ["--port", "--host", "--unix", "--fd"]) {
      assertEquals(valueOf(args, flag), undefined);
    }
    const { settings: own } = socketUnit(socket);
    assertEquals(own.get("ListenStream"), ["8080"]);
    assertEquals(own.get("WantedBy"), ["sockets.target"]);
  });

  testIf(
    hasAnalyzer,
    "systemd-analyze",
    `deploy/${name} is right and hardened, says systemd-analyze`,
    async () => {
      await checkUnits({
        [name]: read(`deploy/${name}`),
        [socket]: read(`deploy/${socket}`),
      });
      const path = `${root}/deploy/${name}`;
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
      const [monitoringPort = ""] = freePorts(1).map(String);
      const [program = "", ...rest] = words.flatMap((word) =>
        word.startsWith("jsr:")
          ? [...importMap(), `${root}/cli.ts`]
          : word.replace(/(?<=^127\.0\.0\.1:)908[0%]i?$/, monitoringPort)
            .replace("/usr/local/bin/deno", Deno.execPath())
            .replaceAll("/run/systemd/notify", manager.name)
            .replaceAll("/var/lib/halfclose", `${path}/state`)
            .replaceAll("/etc/halfclose", `${path}/etc`)
      );
      const env = { NOTIFY_SOCKET: manager.name, WATCHDOG_USEC: "30000000" };
      const [parent = "", ...launched] = [...passing(), program, ...rest];
      await using tool = new Tool(launched, { command: parent, env });
      assertEquals((await manager.next()).READY, "1");
      const [, port] = await tool.line(/"listening on 127\.0\.0\.1:(\d+)"/);
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

/** The settings of a socket's unit, and its text. */
function socketUnit(name: string) {
  const text = read(`deploy/${name}`);
  return { text, settings: settingsOf(text) };
}

Deno.test("deploy/halfclose@.socket lets all processes share one port", () => {
  const { settings } = socketUnit("halfclose@.socket");
  assertEquals(settings.get("ReusePort"), ["yes"]);
  const [, template] = units;
  const socket = ["halfclose@%i.socket"];
  assertEquals(template?.settings.get("Requires"), socket);
  assertEquals(template?.settings.get("After"), socket);
});

/** The other places that the comments of the socket's unit name. */
const elsewhere: Record<string, string[]> = {
  "a port below 1024": ["ListenStream=515"],
  "one address": ["ListenStream=127.0.0.1:8080"],
  "a Unix socket": [
    ...["ListenStream=/run/halfclose.sock", "SocketMode=0660"],
    ...["SocketUser=root", "SocketGroup=lp", "RemoveOnStop=yes"],
  ],
};

for (const [place, lines] of Object.entries(elsewhere)) {
  testIf(
    hasAnalyzer,
    "systemd-analyze",
    `deploy/halfclose.socket may listen on ${place}, says systemd-analyze`,
    async () => {
      const { text } = socketUnit("halfclose.socket");
      for (const line of lines) assert(text.includes(`#   ${line}\n`), line);
      await checkUnits({
        "halfclose.socket": text.replace("ListenStream=8080", lines.join("\n")),
        "halfclose.service": read("deploy/halfclose.service"),
      });
    },
  );
}

testIf(
  hasManagers,
  "Linux and python3",
  "deploy/halfclose.service also listens by itself",
  async () => {
    await using folder = await temporaryFolder();
    const [port = "", monitoringPort = ""] = freePorts(2).map(String);
    const [program = "", ...rest] = (units[0]?.words ?? []).flatMap((word) =>
      word.startsWith("jsr:")
        ? [...importMap(), `${root}/cli.ts`, "--port", port]
        : word.replace("8080", port).replace(
          "127.0.0.1:9080",
          `127.0.0.1:${monitoringPort}`,
        )
          .replace("/usr/local/bin/deno", Deno.execPath())
          .replaceAll("/var/lib/halfclose", folder.path)
    );
    await using tool = new Tool(rest, { command: program });
    await tool.line(/"listening on 0\.0\.0\.0:\d+"/);
    const [, name] = (await ask({ port: Number(port) }, "hello")).split("  ");
    assertEquals(namesIn(folder.path), [name?.trim()]);
  },
);

testIf(
  hasManagers,
  "Linux and python3",
  "deploy/halfclose.service says what suffices for a program",
  async () => {
    const [, permissions = "", answer = ""] =
      /^# takes these .*\n#\n# +(-W=.*)\n# +(-- .*)\n/m
        .exec(read("deploy/halfclose.service")) ?? [];
    await using folder = await temporaryFolder();
    const { path } = folder;
    const script = "#!/bin/sh\ncat; echo $TCPREMOTEIP";
    await Deno.writeTextFile(`${path}/answer.sh`, script, { mode: 0o755 });
    await using manager = await Manager.at(`${path}/notify`);
    const old = units[0]?.words.join(" ") ?? "";
    const line = old.replace(/-R=\S+ -W=\S+/, permissions)
      .replace(/--sink \S+/, answer);
    const [program = "", ...rest] = line
      .replace("/usr/local/bin/deno", Deno.execPath())
      .replace(/jsr:\S+/, [...importMap(), `${root}/cli.ts`].join(" "))
      .replace("127.0.0.1:9080", `127.0.0.1:${freePorts(1)[0]}`)
      .replaceAll("/run/systemd/notify", manager.name)
      .replace("/usr/local/bin/answer.sh", `${path}/answer.sh`)
      .split(" ");
    const env = { NOTIFY_SOCKET: manager.name };
    const [parent = "", ...launched] = [...passing(), program, ...rest];
    await using tool = new Tool(launched, { command: parent, env });
    assertEquals((await manager.next()).READY, "1");
    const [, port] = await tool.line(/"listening on 127\.0\.0\.1:(\d+)"/);
    assertEquals(await ask({ port: Number(port) }, "hi "), "hi 127.0.0.1\n");
    tool.kill("SIGTERM");
    const { code, lines } = await tool.ending();
    assertEquals(code, 0, lines.join("\n"));
    assertEquals(lines.filter((line) => /WARN|ERROR/.test(line)), []);
  },
);

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
