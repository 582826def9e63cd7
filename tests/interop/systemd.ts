// systemd as the first process, with the units of deploy/ as they are.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { BootedSystemd, canBoot } from "../booted_systemd.ts";
import { testIf } from "../support.ts";

/** Clients that come again and again until a file is there: what became of them. */
const load = `
import collections, json, os, socket, sys, threading
place, end = sys.argv[1:]
results = collections.Counter()
def ask():
    try:
        if place[0] == "/":
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(60)
            client.connect(place)
        else: client = socket.create_connection(("127.0.0.1", int(place)), 60)
        with client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while part := client.recv(4096): answer += part
        return "answered" if answer else "empty"
    except OSError as error: return type(error).__name__
def come_again():
    while not os.path.exists(end): results[ask()] += 1
clients = [threading.Thread(target=come_again) for _ in range(8)]
for client in clients: client.start()
for client in clients: client.join()
print(json.dumps(results))
`;

/** Restarts services while clients come. Checks that nobody is lost. */
async function checkRestarts(
  systemd: BootedSystemd,
  place: string,
  units: string[],
  rounds: number,
): Promise<void> {
  const restarts = units.map((unit) => `systemctl restart ${unit};`).join(" ");
  const told = await systemd.run(
    `rm -f /tmp/end; trap "touch /tmp/end" EXIT; cat >/tmp/load.py <<'END'\n${load}END\n` +
      `python3 /tmp/load.py ${place} /tmp/end & ` +
      `for round in $(seq ${rounds}); do ${restarts} done; ` +
      "touch /tmp/end; wait $!",
  );
  const results = JSON.parse(told);
  assert(results.answered > rounds, told);
  assertEquals(Object.keys(results), ["answered"], told);
}

function testSystemd(
  name: string,
  fn: (systemd: BootedSystemd) => Promise<void>,
): void {
  const needs = "root, systemd, and a kernel that lets it boot";
  testIf(canBoot, needs, `systemd: ${name}`, async () => {
    await using systemd = await BootedSystemd.boot();
    await fn(systemd);
  });
}

testSystemd(
  "halfclose.socket starts the service on demand, and restarts lose nobody",
  async (systemd) => {
    await systemd.run("systemctl start halfclose.socket");
    assertEquals(
      await systemd.run("printf hello | nc -N 127.0.0.1 8080 | wc -l"),
      "1\n",
    );
    await systemd.run("systemctl is-active halfclose.service");
    assertEquals(await systemd.run("curl -s 127.0.0.1:9080/healthz"), "ok\n");
    await checkRestarts(systemd, "8080", ["halfclose.service"], 20);
    await systemd.run("systemctl kill --signal=KILL halfclose.service");
    assertEquals(
      await systemd.run("printf hello | nc -N 127.0.0.1 8080 | wc -l"),
      "1\n",
    );
    await systemd.run("systemctl reload halfclose.service");
  },
);

testSystemd(
  "halfclose.socket may listen on port 515 or on a Unix socket",
  async (systemd) => {
    const change = async (...lines: string[]) => {
      const text = ["[Socket]", "ListenStream=", ...lines, ""].join("\n");
      await systemd.run(
        "systemctl stop halfclose.socket halfclose.service; " +
          "mkdir -p /opt/units/halfclose.socket.d; " +
          `printf '${text}' >/opt/units/halfclose.socket.d/other.conf; ` +
          "systemctl daemon-reload; systemctl start halfclose.socket",
      );
    };
    await change("ListenStream=515");
    assertEquals(
      await systemd.run("printf hello | nc -N 127.0.0.1 515 | wc -l"),
      "1\n",
    );
    // A user of its own, without a capability.
    const status = "grep -E '^(Uid|CapEff)' " +
      "/proc/$(systemctl show -P MainPID halfclose.service)/status";
    assertMatch(
      await systemd.run(status),
      /^Uid:\s+6\d{4}\s.*\nCapEff:\s+0+\n$/,
    );
    await change(
      ...["ListenStream=/run/halfclose.sock", "SocketMode=0660"],
      ...["SocketUser=root", "SocketGroup=lp", "RemoveOnStop=yes"],
    );
    assertEquals(
      await systemd.run("stat -c '%a %U %G' /run/halfclose.sock"),
      "660 root lp\n",
    );
    const path = "/run/halfclose.sock";
    await checkRestarts(systemd, path, ["halfclose.service"], 10);
    await systemd.run("systemctl stop halfclose.socket halfclose.service");
    await systemd.run(`! test -e ${path}`);
  },
);

testSystemd(
  "halfclose@.socket lets processes share a port, and restarts lose nobody",
  async (systemd) => {
    await systemd.run(
      "mkdir -p /etc/halfclose; " +
        "echo 'export default (conn) => conn.bytes();' >/etc/halfclose/handler.ts",
    );
    const sockets = "halfclose@1.socket halfclose@2.socket";
    const services = ["halfclose@1.service", "halfclose@2.service"];
    await systemd.run(`systemctl start ${sockets} ${services.join(" ")}`);
    await checkRestarts(systemd, "8080", services, 10);
    for (const port of [9081, 9082]) {
      assertEquals(
        await systemd.run(`curl -s 127.0.0.1:${port}/healthz`),
        "ok\n",
      );
    }
  },
);
