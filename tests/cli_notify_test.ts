// What the tool tells a service manager, which listens on a real socket.

import { assertEquals } from "@std/assert";
import { hasManagers, Manager } from "./service_manager.ts";
import { ask, begin, readText } from "./sockets.ts";
import { temporaryFolder, testIf, turnOfIo } from "./support.ts";
import { Tool } from "./tool.ts";

const beat = { WATCHDOG: "1" };

/** Passes over heartbeats until there is a message with this. */
async function untilTold(
  manager: Manager,
  name: string,
  value: string,
): Promise<void> {
  for (;;) {
    const message = await manager.next();
    if (message[name] === value) return;
    assertEquals(message, beat);
  }
}

function testNotify(
  name: string,
  fn: (manager: Manager, folder: string) => Promise<void>,
): void {
  testIf(hasManagers, "Linux and python3", name, async () => {
    await using folder = await temporaryFolder();
    await using manager = await Manager.at(`${folder.path}/notify`);
    await fn(manager, folder.path);
  });
}

testNotify(
  "cli: tells the service manager when it listens, reloads and stops",
  async (manager) => {
    await using tool = await Tool.listening([], manager.serving());
    const ready = { READY: "1", STATUS: `Listening on 127.0.0.1:${tool.port}` };
    assertEquals(await manager.next(), ready);
    tool.kill("SIGHUP");
    assertEquals(await manager.next(), { RELOADING: "1", STATUS: "Reloading" });
    assertEquals(await manager.next(), ready);
    const slow = await begin(tool.addr, "slow");
    tool.kill("SIGTERM");
    const stopping = { STOPPING: "1", STATUS: "Serving the backlog" };
    assertEquals(await manager.next(), stopping);
    await slow.closeWrite();
    assertEquals(await readText(slow), "slow");
    const { code, lines } = await tool.ending();
    assertEquals(code, 0);
    assertEquals(lines.filter((line) => line.includes("WARN")), []);
  },
);

testNotify(
  "cli: tells the watchdog that the event loop lives, while it does",
  async (manager, folder) => {
    const file = `${folder}/handler.ts`;
    await Deno.writeTextFile(
      file,
      `
    export default async (conn) => {
      const path = await conn.text();
      console.error("hangs");
      for (;;) try { return Deno.readTextFileSync(path); } catch {}
    };`,
    );
    const { permissions = [], env = {} } = manager.serving();
    await using tool = await Tool.listening([file], {
      permissions: [...permissions, `-R=${folder}`],
      env: { ...env, WATCHDOG_USEC: "4000" },
    });
    assertEquals((await manager.next()).READY, "1");
    for (let i = 0; i < 5; i++) assertEquals(await manager.next(), beat);
    const asked = ask(tool.addr, `${folder}/released`);
    await tool.line(/^hangs$/);
    await manager.told("MARK=one");
    // What was sent before may still come.
    await untilTold(manager, "MARK", "one");
    await manager.told("MARK=two");
    assertEquals(await manager.next(), { MARK: "two" });
    // At once: it must not be seen while it is empty.
    await Deno.writeTextFile(`${folder}/part`, "released");
    await Deno.rename(`${folder}/part`, `${folder}/released`);
    assertEquals(await asked, "released");
    assertEquals(await manager.next(), beat);
    tool.kill("SIGTERM");
    await untilTold(manager, "STOPPING", "1");
    assertEquals((await tool.ending()).code, 0);
  },
);

testNotify(
  "cli: stops even if the service manager hears nothing",
  async (manager) => {
    await using tool = await Tool.listening([], manager.serving());
    assertEquals((await manager.next()).READY, "1");
    await manager.goDeaf();
    await tool.stop();
  },
);

testNotify(
  "cli: feeds a watchdog that waits for months no more often",
  async (manager) => {
    const env = { WATCHDOG_USEC: `${2 ** 33 * 1000}` };
    await using tool = await Tool.listening([], manager.serving(env));
    assertEquals((await manager.next()).READY, "1");
    assertEquals(await ask(tool.addr, "hello"), "hello");
    await turnOfIo();
    tool.kill("SIGTERM");
    assertEquals((await manager.next()).STOPPING, "1");
    assertEquals((await tool.ending()).code, 0);
  },
);

testNotify(
  "cli: leaves the watchdog of another process alone",
  async (manager) => {
    const env = { WATCHDOG_USEC: "4000", WATCHDOG_PID: "1" };
    await using tool = await Tool.listening([], manager.serving(env));
    assertEquals((await manager.next()).READY, "1");
    for (let i = 0; i < 5; i++) {
      assertEquals(await ask(tool.addr, "hello"), "hello");
      tool.kill("SIGHUP");
      assertEquals((await manager.next()).RELOADING, "1");
      assertEquals((await manager.next()).READY, "1");
    }
  },
);

testIf(
  hasManagers,
  "Linux and python3",
  "cli: tells a service manager in the abstract namespace, too",
  async () => {
    await using manager = await Manager.at(`@halfclose-${crypto.randomUUID()}`);
    await using tool = await Tool.listening([], manager.serving());
    assertEquals((await manager.next()).READY, "1");
    tool.kill("SIGTERM");
    assertEquals((await manager.next()).STOPPING, "1");
  },
);

testNotify(
  "cli: says once which flags lack to tell the service manager, and serves",
  async (manager) => {
    const { permissions = [], env = {} } = manager.serving();
    const { name } = manager;
    const lacking = [
      [/^--unstable-net$/, "--unstable-net"],
      [/^-W=/, `-W=${name} (--allow-write)`],
      [
        /^(-W=|--unstable-net$)/,
        `--unstable-net and -W=${name} (--allow-write)`,
      ],
      [/^-N=/, `-N=unix:${name} (--allow-net)`],
    ] as const;
    for (const [flag, named] of lacking) {
      const given = permissions.filter((permission) => !flag.test(permission));
      if (given.every((permission) => !permission.startsWith("-N="))) {
        given.push("-N=127.0.0.1");
      }
      await using tool = await Tool.listening([], { permissions: given, env });
      assertEquals(await ask(tool.addr, "hello"), "hello");
      tool.kill("SIGHUP");
      await tool.line(/ reloaded nothing$/);
      tool.kill("SIGTERM");
      const { code, lines } = await tool.ending();
      assertEquals(code, 0);
      const warnings = lines.filter((line) => line.includes(" WARN "));
      assertEquals(warnings.length, 1, lines.join("\n"));
      const told =
        `cannot tell the service manager at ${name}: a permission is missing. Run deno with ${named}`;
      assertEquals(warnings[0]?.replace(/^.* WARN /, ""), told);
    }
  },
);

testIf(
  Deno.build.os === "linux",
  "Linux",
  "cli: says once that the service manager cannot be told, and serves",
  async () => {
    await using folder = await temporaryFolder();
    const name = `${folder.path}/nobody`;
    const permissions = ["--unstable-net", "-N", `-W=${name}`, "--allow-env"];
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: "2000" };
    await using tool = await Tool.listening([], { permissions, env });
    await tool.line(/ WARN cannot tell the service manager: No such file/);
    assertEquals(await ask(tool.addr, "hello"), "hello");
    tool.kill("SIGTERM");
    const { code, lines } = await tool.ending();
    assertEquals(code, 0);
    assertEquals(lines.filter((line) => line.includes(" WARN ")).length, 1);
  },
);

testNotify(
  "cli: tells nobody if it may not read the environment",
  async (manager) => {
    const { permissions = [], env = {} } = manager.serving();
    const given = permissions.filter((flag) => !flag.startsWith("--allow-env"));
    await using tool = await Tool.listening([], { permissions: given, env });
    assertEquals(await ask(tool.addr, "hello"), "hello");
    await tool.stop();
    await manager.told("MARK=one");
    assertEquals(await manager.next(), { MARK: "one" });
  },
);
