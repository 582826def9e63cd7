// The servers of docs/protocols.md, and the clients that they are for.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { assertSame, pattern } from "../bytes.ts";
import { said } from "../clients.ts";
import { Daemon, testWithDaemon } from "../daemons.ts";
import { type Output, printed, runProgram } from "../programs.ts";
import { freePort } from "../sockets.ts";
import { namesIn, temporaryFolder, testIf, until } from "../support.ts";
import { Terminal } from "../terminal.ts";
import { certFile, keyFile } from "../tls.ts";
import { outcomes, type Tool } from "../tool.ts";
import { startServer } from "./page.ts";

/** Defines a test of a server of the page, with a client that may lack. */
function testServer(
  heading: string,
  client: string,
  isThere: boolean,
  title: string,
  talk: (tool: Tool, folder: string) => Promise<void>,
  flags: string[] = [],
): void {
  testIf(isThere, client, `interop: ${title}`, async () => {
    await using folder = await temporaryFolder();
    await using tool = await startServer(heading, folder.path, ...flags);
    await talk(tool, folder.path);
    const all = outcomes(await tool.stop());
    assert(all.length > 0);
    assertEquals(all.filter((outcome) => outcome !== "ok"), []);
  });
}

/** Runs a client that is to end well, and gives what it prints. */
async function run(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(program, args);
  assertEquals(code, 0, stderr);
  return stdout;
}

/** Runs a client whose input is a file, and something with what it prints. */
function runWith(file: string, command: string, then = ""): Promise<Output> {
  return runProgram("sh", ["-c", `${command} < '${file}' ${then}`]);
}

testServer(
  "Gopher",
  "curl with Gopher",
  said("curl", "--version").includes(" gopher "),
  "curl browses the Gopher server of docs/protocols.md",
  async ({ port }) => {
    const at = `gopher://127.0.0.1:${port}`;
    assertEquals(
      await run("curl", "-s", `${at}/0/about`),
      "One client at a time.\r\n",
    );
    assertStringIncludes(await run("curl", "-s", `${at}/1/none`), "no such");
  },
);

testServer(
  "Gopher",
  "lynx",
  said("lynx", "--version").startsWith("Lynx") ||
    said("lynx", "--version").includes("Lynx Version"),
  "lynx browses the Gopher server of docs/protocols.md",
  async ({ port }) => {
    const menu = await run("lynx", "-dump", `gopher://127.0.0.1:${port}/`);
    assertStringIncludes(menu, "About this");
  },
);

testServer(
  "Gemini",
  "amfora and tmux",
  said("amfora", "--version").startsWith("Amfora") &&
    said("tmux", "-V").startsWith("tmux"),
  "amfora browses the Gemini server of docs/protocols.md",
  async ({ port }, folder) => {
    const env = { HOME: folder, XDG_CONFIG_HOME: `${folder}/.config` };
    const url = `gemini://localhost:${port}/`;
    await using terminal = await Terminal.run(["amfora", url], { env });
    await terminal.shows(/One client at a time\./);
  },
  ["--tls-cert", certFile, "--tls-key", keyFile],
);

const nrpe = "/usr/lib/nagios/plugins/check_nrpe";

testServer(
  "NRPE",
  "check_nrpe",
  said(nrpe, "-V").includes("NRPE"),
  "check_nrpe asks the NRPE of docs/protocols.md",
  async ({ port }) => {
    const at = ["-2", "-n", "-H", "127.0.0.1", "-p", `${port}`, "-c"];
    assertMatch(await run(nrpe, ...at, "load"), /^OK - load [\d.]+\n$/);
    const { code, stdout } = await runProgram(nrpe, [...at, "luck"]);
    assertEquals([code, stdout], [3, "UNKNOWN - luck\n"]);
  },
);

testWithDaemon(
  "haproxy",
  "interop: HAProxy heeds the agent of docs/protocols.md",
  async () => {
    await using folder = await temporaryFolder();
    await using tool = await startServer("HAProxy's agent", folder.path);
    await using haproxy = await Daemon.start(
      "haproxy",
      ({ ports }) => `
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen stats
  bind 127.0.0.1:${ports[0]}
  stats enable
  stats uri /
  server web 127.0.0.1:${freePort()} weight 100 agent-check agent-port ${tool.port} agent-inter 100ms
`,
    );
    const row = await until(async () => {
      const reply = await fetch(`http://127.0.0.1:${haproxy.port}/;csv`);
      const lines = (await reply.text()).split("\n");
      const names = (lines[0] ?? "").split(",");
      const cells = lines.find((line) => line.startsWith("stats,web,"))
        ?.split(",") ?? [];
      const row = new Map(names.map((name, i) => [name, cells[i] ?? ""]));
      return row.get("agent_status") === "L7OK" ? row : undefined;
    });
    assertStringIncludes(row.get("last_agt") ?? "", "via agent : up");
    const weight = Number(row.get("weight"));
    assert(weight >= 0 && weight <= 100, `${weight}`);
  },
);

testServer(
  "spamd",
  "spamc",
  said("spamc", "-V").includes("SpamAssassin"),
  "spamc asks the spamd of docs/protocols.md, also about 200 MB",
  async ({ port }, folder) => {
    const mail = `${folder}/mail`;
    const spamc = `spamc -d 127.0.0.1 -p ${port} -s 250000000`;
    await Deno.writeTextFile(mail, "Subject: hello\r\n\r\nLunch?\r\n");
    const { code, stdout } = await runWith(mail, spamc);
    assertEquals([code, stdout], [0, "Subject: hello\r\n\r\nLunch?\r\n"]);
    await Deno.writeTextFile(mail, "Subject: GTUBE\r\n\r\n");
    const spam = await runWith(mail, `${spamc} -c`);
    assertEquals([spam.code, spam.stdout], [1, "1000.0/5.0\n"]);
    await Deno.writeFile(mail, new Uint8Array(200_000_000).fill(97));
    const large = await runWith(mail, spamc, `| cmp - '${mail}'`);
    assertEquals([large.code, large.stderr], [0, ""]);
  },
);

testServer(
  "LPD",
  "rlpr",
  said("rlpr", "--version").includes("rlpr"),
  "rlpr prints to the LPD of docs/protocols.md",
  async ({ port }, folder) => {
    await Deno.mkdir(`${folder}/jobs`);
    const job = pattern(5_000_000);
    await Deno.writeFile(`${folder}/job`, job);
    const printer = ["-H", "127.0.0.1", "-P", "ours", `--port=${port}`];
    await run("rlpr", ...printer, `${folder}/job`);
    const [head = "", data = ""] = namesIn(`${folder}/jobs`).toSorted((a, b) =>
      a.slice(-4) < b.slice(-4) ? 1 : -1
    );
    assertMatch(await Deno.readTextFile(`${folder}/jobs/${head}`), /^H/);
    assertSame(await Deno.readFile(`${folder}/jobs/${data}`), job);
  },
);

const munin = "/usr/share/munin/munin-update";

testServer(
  "munin",
  "munin-update",
  await printed(["id", "-u", "munin"]) !== undefined && Deno.uid() === 0 &&
    said("ls", munin).includes(munin),
  "munin-update asks the node of docs/protocols.md",
  async ({ port }, folder) => {
    const names = ["db", "html", "log", "run"];
    for (const name of names) await Deno.mkdir(`${folder}/${name}`);
    await Deno.writeTextFile(
      `${folder}/munin.conf`,
      `dbdir ${folder}/db
htmldir ${folder}/html
logdir ${folder}/log
rundir ${folder}/run
[here]
  address 127.0.0.1
  port ${port}
`,
    );
    await run("chown", "-R", "munin", folder);
    const update = [munin, `--config_file=${folder}/munin.conf`, "--nofork"];
    await run("runuser", "-u", "munin", "--", ...update);
    assertEquals(namesIn(`${folder}/db/here`), ["here-load-load-g.rrd"]);
  },
);

testServer(
  "DICT",
  "dict",
  said("dict", "--version").startsWith("dict "),
  "dict looks words up in the dictionary of docs/protocols.md",
  async ({ port }) => {
    const at = ["-h", "127.0.0.1", "-p", `${port}`];
    const found = await run("dict", ...at, "half-close");
    assertStringIncludes(found, "1 definition found");
    assertStringIncludes(found, "To end one's sending half");
    const { code, stderr } = await runProgram("dict", [...at, "nothing"]);
    assertEquals(code, 20);
    assertStringIncludes(stderr, "No definitions found");
  },
);
