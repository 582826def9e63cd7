// HAProxy and nginx before two replicas, with the files in `deploy/`.

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  balance,
  type Balancer,
  type BalancerName,
  Load,
  OpenHouse,
  Replica,
} from "./balancer.ts";
import { assertSame, encode, pattern } from "./bytes.ts";
import { testWithDaemon } from "./daemons.ts";
import {
  ask,
  connect,
  exchange,
  exchangeOn,
  readText,
  send,
} from "./sockets.ts";
import { until } from "./support.ts";

const balancers: BalancerName[] = ["haproxy", "nginx"];

/** As `deploy/haproxy.cfg` says. */
const LAME_DUCK = ["--lame-duck", "2s"];

for (const name of balancers) {
  testWithDaemon(
    name,
    `${name} passes half-closes, and 5 MB there and back`,
    async () => {
      await using first = await Replica.start();
      await using second = await Replica.start();
      await using balancer = await balance(name, [first, second]);
      assertEquals(await ask(balancer, "x"), "x");
      const large = pattern(5_000_000);
      const clients = Array.from(
        { length: 4 },
        () => exchange(balancer, large),
      );
      for (const answer of await Promise.all(clients)) {
        assertSame(answer, large);
      }
    },
  );

  testWithDaemon(
    name,
    `${name} tells replicas with --proxy-protocol who the client is`,
    async () => {
      await using first = await Replica.start("--proxy-protocol");
      await using second = await Replica.start("--proxy-protocol");
      const replicas = [first, second];
      await using balancer = await balance(
        name,
        replicas,
        (config) =>
          config.replace(/# (.*(send-proxy-v2|proxy_protocol))/, "$1"),
      );
      // Checks are on another port, and so without a header.
      if (name === "haproxy") await allAreUp(balancer);
      const client = await connect(balancer);
      const { port } = client.localAddr as Deno.NetAddr;
      assertEquals(await exchangeOn(client, "x"), encode("x"));
      const line = new RegExp(` 127\\.0\\.0\\.1:${port} 1 bytes in`);
      await Promise.any(replicas.map(({ tool }) => tool.line(line)));
    },
  );

  testWithDaemon(
    name,
    `${name} loses only those whom a replica had when it was killed`,
    async () => {
      await using first = await Replica.start();
      await using second = await Replica.start();
      await using balancer = await balance(name, [first, second]);
      const load = new Load(balancer.port);
      await load.until(500);
      first.tool.kill("SIGKILL");
      await first.tool.ending();
      const { asked } = load;
      await load.until(2000);
      await load.end();
      assertEquals(load.lost.filter((client) => client.asked > asked), []);
      if (name === "nginx") return;
      // Only one has its turn. Another one may come as the kernel closes the
      // sockets of the replica, one after the other.
      assert(load.lost.length <= 2, `${load.lost.length} were lost`);
      // The others were answered by the other one: nobody was sent away.
      const { econ } = (await balancer.stats()).get("replicas/BACKEND") ?? {};
      assertEquals(econ, "0");
    },
  );
}

testWithDaemon(
  "haproxy",
  "haproxy gives each replica one connection at a time, and keeps the others",
  async () => {
    await using first = new OpenHouse();
    await using second = new OpenHouse();
    await using balancer = await balance("haproxy", [first, second]);
    const requests = ["a", "b", "c", "d", "e", "f"];
    const clients = await Promise.all(
      requests.map((request) => send(balancer, request)),
    );
    await until(async () => {
      const { qcur } = (await balancer.stats()).get("replicas/BACKEND") ?? {};
      return Number(qcur) + first.present + second.present === 6;
    });
    assertEquals([first.present, second.present], [1, 1]);
    first.answer();
    second.answer();
    assertEquals(await Promise.all(clients.map(readText)), requests);
    assertEquals([first.most, second.most], [1, 1]);
  },
);

for (
  const [who, request, options] of [
    ["drops who half-closes while waiting, if it sent nothing", "", ""],
    [
      "with option abortonclose drops all who half-close while waiting",
      "c",
      "\n  option abortonclose",
    ],
  ] as const
) {
  testWithDaemon("haproxy", `haproxy ${who}`, async () => {
    await using first = new OpenHouse();
    await using second = new OpenHouse();
    await using balancer = await balance(
      "haproxy",
      [first, second],
      (config) => config.replace("mode tcp", `$&${options}`),
    );
    const held = await Promise.all(["a", "b"].map((x) => send(balancer, x)));
    await until(() => first.present + second.present === 2);
    // Nobody has been answered yet.
    assertEquals(await ask(balancer, request), "");
    first.answer();
    second.answer();
    assertEquals(await Promise.all(held.map(readText)), ["a", "b"]);
  });
}

testWithDaemon(
  "haproxy",
  "haproxy with timeout server-fin cuts handlers that take longer",
  async () => {
    await using first = new OpenHouse();
    await using second = new OpenHouse();
    await using balancer = await balance(
      "haproxy",
      [first, second],
      (config) => config.replace("mode tcp", "$&\n  timeout server-fin 100ms"),
    );
    assertEquals(await ask(balancer, "x"), "");
  },
);

testWithDaemon(
  "nginx",
  "nginx without proxy_half_close drops all who half-close",
  async () => {
    await using first = await Replica.start();
    await using second = await Replica.start();
    await using balancer = await balance(
      "nginx",
      [first, second],
      (config) => config.replace("proxy_half_close on;", ""),
    );
    assertEquals(await ask(balancer, "x"), "");
  },
);

testWithDaemon(
  "haproxy",
  "haproxy checks replicas without a turn and without a line in their log",
  async () => {
    await using first = await Replica.start();
    await using second = await Replica.start();
    await using balancer = await balance("haproxy", [first, second]);
    await allAreUp(balancer);
    for (const replica of [first, second]) {
      replica.tool.kill("SIGTERM");
      await replica.tool.ending();
      assertEquals(exchanges(replica.tool.lines), 0);
    }
  },
);

testWithDaemon(
  "nginx",
  "nginx loses nobody when a replica is marked down and then stopped",
  async () => {
    await using first = await Replica.start();
    await using second = await Replica.start();
    await using balancer = await balance("nginx", [first, second]);
    const load = new Load(balancer.port);
    await load.until(500);
    await balancer.reload((config) =>
      config.replace(`:${first.port} `, `:${first.port} down `)
    );
    first.tool.kill("SIGTERM");
    await first.tool.ending();
    await load.until(2000);
    await load.end();
    assertEquals(load.lost, []);
  },
);

testWithDaemon(
  "haproxy",
  "haproxy loses nobody in ten rolling restarts under load",
  async () => {
    await using first = await Replica.start(...LAME_DUCK);
    await using second = await Replica.start(...LAME_DUCK);
    await using balancer = await balance("haproxy", [first, second]);
    await allAreUp(balancer);
    const load = new Load(balancer.port);
    let served = 0;
    await load.until(500);
    for (let restart = 0; restart < 10; restart++) {
      const replica = restart % 2 === 0 ? first : second;
      // It has its share in what comes before.
      await load.until(load.answered + 100);
      replica.tool.kill("SIGTERM");
      const { code, lines } = await replica.tool.ending();
      assertEquals(code, 0);
      served += exchanges(lines);
      await replica.restart();
      await allAreUp(balancer);
    }
    await load.until(2000);
    await load.end();
    assertEquals(load.lost, []);
    for (const replica of [first, second]) {
      replica.tool.kill("SIGTERM");
      served += exchanges((await replica.tool.ending()).lines);
    }
    assertEquals(served, load.asked);
  },
);

/** Waits until HAProxy has found each replica healthy. */
async function allAreUp(balancer: Balancer): Promise<void> {
  await until(async () => {
    const stats = await balancer.stats();
    return ["replica1", "replica2"].every((name) => {
      const { status, check_status } = stats.get(`replicas/${name}`) ?? {};
      return status === "UP" && check_status === "L7OK";
    });
  });
}

/** How many exchanges the log of a replica has, and nothing else but its way. */
function exchanges(log: readonly string[]): number {
  const others = log.filter((line) => !/ bytes out, [.\d]+ ms, ok$/.test(line));
  const count = log.length - others.length;
  const [metrics = "", listening = "", ...last] = others;
  assertMatch(metrics, /INFO metrics on /);
  assertMatch(listening, /INFO listening on /);
  const stopped = last.pop() ?? "";
  assertMatch(stopped, new RegExp(`INFO stopped after ${count} exchanges?$`));
  for (const line of last) assertMatch(line, /INFO stopping in 2000 ms/);
  return count;
}
