// The commands of the documentation, typed as they stand there.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Output, root } from "./programs.ts";
import { isInstalled, testInRoom } from "./room.ts";
import { comparable } from "./terminals.ts";

/** The pages whose commands are tried here. Lessons are studied as a whole. */
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "docs/cli.md",
  "docs/clients.md",
  "docs/printing.md",
  "docs/comparison.md",
  "docs/library.md",
  "docs/production.md",
  "docs/promises.md",
  "docs/protocols.md",
  "docs/speed.md",
  "docs/testing.md",
  "bench/README.md",
  "examples/README.md",
];

/** What is shown after each command of a page: nothing in a block of `sh`. */
const commands = new Map<string, string[]>(
  pages.flatMap((page) => {
    const text = Deno.readTextFileSync(`${root}/${page}`);
    const blocks = text.matchAll(/^```(sh|console)\n([^]*?)^```$/gm);
    return Array.from(blocks).flatMap(([, language, block = ""]) => {
      const lines = block.trimEnd().split("\n");
      if (language === "sh") return lines.map((line) => [line, []] as const);
      return block.split(/^[$#] /m).slice(1).map((part) => {
        const [command = "", ...shown] = part.trimEnd().split("\n");
        return [command, shown] as const;
      });
    });
  }),
);

const tried = new Set<string>();

/**
 * A server answers clients, ends on a Ctrl-C, and logs what its page shows.
 * Other commands show afterwards what it has written.
 */
function serves(
  server: string,
  clients: Record<string, RegExp>,
  { afterwards = {}, client }: {
    afterwards?: Record<string, RegExp>;
    client?: { program: string; isThere: boolean };
  } = {},
): void {
  for (
    const command of [server, ...Object.keys({ ...clients, ...afterwards })]
  ) {
    tried.add(command);
  }
  const name = client ? `${server} and ${client.program}` : server;
  const lacking = client?.isThere === false ? client.program : undefined;
  testInRoom(name, async (room) => {
    await using tool = await room.serve(server);
    const outputs: [Output, RegExp][] = [];
    const run = async (commands: Record<string, RegExp>) => {
      for (const [command, expected] of Object.entries(commands)) {
        outputs.push([await room.run(command), expected]);
      }
    };
    await run(clients);
    // A task would leave its server behind if it were killed: stop it first.
    tool.kill("SIGINT");
    const { code, lines } = await tool.ending();
    await run(afterwards);
    for (const [{ code, stdout, stderr }, expected] of outputs) {
      assertMatch(stdout, expected, stderr);
      assertEquals(code, 0, stderr);
    }
    assertEquals(code, 0);
    const said = comparable(lines);
    const shown = commands.get(server) ?? [];
    for (
      const line of comparable(shown.map((line) => line.replace("^C", "")))
    ) {
      const at = said.indexOf(line);
      assert(at >= 0, `${line} is not, or not there, in:\n${lines.join("\n")}`);
      said.splice(0, at + 1);
    }
  }, lacking);
}

/** Commands, one after the other, show what they should. */
function shows(expected: Record<string, RegExp>): void {
  const typed = Object.keys(expected);
  typed.forEach((command) => tried.add(command));
  testInRoom(typed.join("; "), async (room) => {
    for (const [command, pattern] of Object.entries(expected)) {
      const { code, stdout, stderr } = await room.run(command);
      assertMatch(stdout + stderr, pattern);
      assertEquals(code, 0, stderr);
    }
  });
}

/** Names commands that are not tried here. */
function notTried(_why: string, ...commands: string[]): void {
  commands.forEach((command) => tried.add(command));
}

/** The client of the README in Python, as a command. */
function linesOfPython(): string {
  const [, lines] = /^```py\n([^]*?)^```$/m
    .exec(Deno.readTextFileSync(`${root}/README.md`)) ?? [];
  assert(lines, "README.md has a client in Python");
  return `python3 -c '${lines}'`;
}

const nc = "printf hello | nc -N localhost 8080";

serves("deno run -N jsr:@halfclose/server", {
  "echo hello | deno run -N jsr:@halfclose/server send localhost:8080":
    /^hello\n$/,
  "echo hello | nc -N localhost 8080": /^hello\n$/,
  "halfclose send localhost:8080 <report.pdf": /^a report$/,
});
for (
  const [program, line] of [
    ["ncat", "echo hello | ncat localhost 8080"],
    ["busybox", "echo hello | busybox nc 127.0.0.1 8080"],
    ["python3", linesOfPython()],
  ] as const
) {
  const client = { program, isThere: await isInstalled(program) };
  const replies = { [line]: /^(hello|b'hello\\n')\n$/ };
  serves("deno run -N jsr:@halfclose/server", replies, { client });
}
serves("deno run -N -R=inbox -W=inbox jsr:@halfclose/server --sink inbox", {
  [nc]: /^2cf24dba[\da-f]{56} {2}\d{8}T\d{9}Z-000001-[\da-f]{16}\n$/,
  "halfclose send --receipt --file report.pdf localhost:8080 && rm report.pdf":
    /^[\da-f]{64} {2}\S+\n$/,
  "cp upper.ts report.pdf": /^$/,
  "deno run -N -R jsr:@halfclose/server send --receipt --file report.pdf localhost:8080 && rm report.pdf":
    /^[\da-f]{64} {2}\S+\n$/,
});
serves("deno run -N --allow-run=wc jsr:@halfclose/server -- wc -w", {
  [nc]: /^\s*1\n$/,
});
serves("deno run -N -R=upper.ts jsr:@halfclose/server ./upper.ts", {
  [nc]: /^HELLO$/,
});
serves("deno task halfclose -- wc -w", { [nc]: /^\s*1\n$/ });
serves("deno task halfclose", {
  "echo hello | deno task halfclose send localhost:8080": /^hello\n$/,
});
serves("deno task start", { [nc]: /^hello$/ });
serves("deno task start --port 9000 --max-request-bytes 1MiB --deadline 10s", {
  "printf hello | nc -N localhost 9000": /^hello$/,
  "head -c 2000000 /dev/zero | nc -N localhost 9000":
    / is larger than the 1048576 bytes allowed\n$/,
});
serves(
  "halfclose --deadline 10s --idle-timeout 5s --max-request-bytes 1MiB --read-ahead 8",
  { [nc]: /^hello$/ },
);
serves("halfclose --host :: --allow 127.0.0.1,::1,10.0.0.0/8,2001:db8::/32", {
  [nc]: /^hello$/,
});
serves("halfclose --trace trace.jsonl", { [nc]: /^hello$/ }, {
  afterwards: {
    "head -n 3 trace.jsonl":
      /^\{.*"listening".*\n.*"accepted".*\n.*"begun".*\n$/,
  },
});
serves("halfclose --port 9100 --tls-cert cert.pem --tls-key key.pem", {
  "halfclose send --tls --ca ca.pem --file report.pdf localhost:9100":
    /^a report$/,
});
serves(
  "halfclose --port 9100 --sink jobs --max-request-bytes none --deadline none --idle-timeout 10m",
  { "printf hello | nc -N localhost 9100": /^2cf24dba[^]* {2}\S+\n$/ },
);
serves("halfclose --unix /run/control.sock", {
  "echo status | halfclose send --timeout 5s unix:/run/control.sock":
    /^status\n$/,
});
shows({
  "deno install -g -N -n halfclose jsr:@halfclose/server/cli":
    /installed halfclose/,
  "halfclose --help": /^halfclose/,
});
shows({ "cc -O2 -pthread -o /tmp/load bench/load/load.c": /^$/ });

notTried(
  "`tests/send_test.ts` runs it",
  "openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE",
);
notTried(
  "they run these tests",
  "deno task test",
  "bash .ci/run",
);
notTried("it checks this file, too", "deno task check");
notTried(
  "checkout_test.ts runs them",
  "deno run -N -R=examples $(deno run -N -E=JSR_URL offline/flag.ts) cli.ts examples/upper_case.ts",
  "deno test -N $(deno run -N -E=JSR_URL offline/flag.ts) examples/test_double_test.ts",
);
notTried("deno task registry:check runs it", "deno add jsr:@halfclose/server");
notTried(
  "interop/cups.ts has a scheduler for them",
  "lpadmin -p ours -E -m raw -v socket://print.example.com:9100 -o printer-error-policy=retry-job",
  "lp -d ours report.pdf",
);
notTried(
  "interop/programs.ts runs them, with folders of its own",
  "deno run -N --allow-run=git jsr:@halfclose/server --port 9418 --max-request-bytes none --deadline 1h --idle-timeout 5m -- git daemon --inetd --export-all --enable=receive-pack --base-path=/srv/git /srv/git",
  "deno run -N --allow-run=runuser jsr:@halfclose/server --port 7070 -- runuser -u nobody -- gophernicus -r /srv/gopher -h localhost -p 7070",
  "deno run -N --allow-run=cvs jsr:@halfclose/server --port 2401 --deadline 1h -- cvs -f --allow-root=/srv/cvs pserver",
);
notTried(
  "they need Docker; container_test.ts does what the image would",
  "docker build --tag halfclose .",
  "docker run --read-only --cap-drop ALL --stop-timeout 130 --publish 8080:8080 halfclose",
);
notTried(
  "they change the system; units_test.ts checks the units",
  "version=0.1.0",
  "DENO_DIR=/opt/halfclose deno cache jsr:@halfclose/server@$version/cli",
  'sed -i "s/server@[^/]*/server@$version/" /etc/systemd/system/halfclose*.service',
  "systemctl daemon-reload",
  "for i in 1 2 3 4; do systemctl restart halfclose@$i || break; done",
);
notTried(
  "cli_fd_test.ts does it, with a port of its own",
  "systemd-socket-activate --listen=8080 --setenv=HOME deno run --allow-env=LISTEN_FDS,LISTEN_PID,LISTEN_FDNAMES jsr:@halfclose/server",
);
notTried(
  "they take minutes; bench_test.ts runs parts of it",
  "deno task bench",
  "deno task bench --full",
  "deno task bench --case 64B,1MiB --only listen,by-hand,go --rounds 9",
  "deno task bench --full --json results.json --svg bench/results.svg",
);
notTried(
  "bench_test.ts runs this server",
  "deno run -A --v8-flags=--perf-basic-prof bench/servers/halfclose_listen.ts bytes tcp on 8",
);
notTried(
  "they need perf, which few kernels allow",
  "perf record -g -p PID -- /tmp/load PORT 8 4 64 0 0",
  "perf report --no-children -g none --sort comm,dso",
  "perf report --children -g none --sort symbol",
);

Deno.test("commands: all that the pages name are tried, or it is said why not", () => {
  const typed = Array.from(commands.keys(), (command) => command.trim());
  assertEquals(typed.filter((command) => !tried.has(command)), []);
});
