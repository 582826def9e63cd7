// rsyslog, whose `omfwd` never ends its connection, with the examples that keep
// what it sends.

import { assert, assertEquals } from "@std/assert";
import { Daemon, testWithDaemon } from "../daemons.ts";
import { root } from "../programs.ts";
import { send } from "../sockets.ts";
import { temporaryFolder, until } from "../support.ts";
import { outcomes, Tool } from "../tool.ts";

/** The line for `/etc/rsyslog.conf` that the example has. */
function actionTo(port: number): string {
  const source = Deno.readTextFileSync(`${root}/examples/rotating_log.ts`);
  const [line] = /action\(type="omfwd".*\)/.exec(source) ?? [];
  assert(line, "examples/rotating_log.ts has no line for rsyslog");
  return line.replace("localhost", "127.0.0.1").replace("5514", `${port}`);
}

/** Starts one that takes lines on a port, and sends them to another one. */
function rsyslog(port: number): Promise<Daemon> {
  return Daemon.start("rsyslogd", ({ folder, ports }) => `
global(workDirectory="${folder}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="${ports[0]}")
${actionTo(port)}
`);
}

/** Has an rsyslog send lines. */
async function log(daemon: Daemon, lines: string[]): Promise<void> {
  const request = lines.map((line) => `<13>${line}\n`).join("");
  const conn = await send({ port: daemon.port }, request);
  conn.close();
}

testWithDaemon(
  "rsyslogd",
  "smoke: each line of two rsyslogs is kept, also of a burst of 500",
  async () => {
    await using folder = await temporaryFolder();
    const options = {
      permissions: ["-A", "--config", `${root}/deno.json`],
      entry: `${root}/cli.ts`,
      cwd: folder.path,
    };
    const example = `${root}/examples/rotating_log.ts`;
    await using tool = await Tool.listening([example], options);
    await using one = await rsyslog(tool.port);
    await using other = await rsyslog(tool.port);
    const expected: string[] = [];
    const kept = async () => {
      const file = `${folder.path}/logs/current.log`;
      const text = await Deno.readTextFile(file).catch(() => "");
      return text.match(/\b(?:one|other)-\w+-\d+\b/g) ?? [];
    };
    const logBoth = async (what: string, count: number) => {
      for (const [name, daemon] of Object.entries({ one, other })) {
        const lines = Array.from({ length: count }, (_, at) => {
          return `${name}-${what}-${at}`;
        });
        expected.push(...lines);
        await log(daemon, lines.map((line) => `host tag: ${line}`));
      }
      await until(async () => (await kept()).length >= expected.length);
    };
    await logBoth("first", 1);
    await logBoth("burst", 500);
    // It connects anew, as the server has ended the connection.
    await logBoth("last", 1);
    assertEquals((await kept()).toSorted(), expected.toSorted());
    const all = outcomes(await tool.stop());
    assertEquals(all.filter((outcome) => outcome !== "ok"), []);
  },
);
