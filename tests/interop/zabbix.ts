// zabbix_sender, with the trapper in the examples.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { testWith } from "../clients.ts";
import { root, runProgram } from "../programs.ts";
import { temporaryFolder } from "../support.ts";
import { checkEnding, Tool } from "../tool.ts";

testWith(
  { needs: "zabbix_sender" },
  "interop: zabbix_sender sends 600 values to examples/zabbix_trapper.ts",
  async () => {
    await using folder = await temporaryFolder();
    const values = Array.from({ length: 600 }, (_, i) => `web${i} key ${i}`);
    const file = `${folder.path}/values`;
    await Deno.writeTextFile(file, values.join("\n") + "\n");
    await using tool = await Tool.listening(
      [`${root}/examples/zabbix_trapper.ts`],
      {
        permissions: ["-A", "--config", `${root}/deno.json`],
        entry: `${root}/cli.ts`,
      },
    );
    // It sends 250 values on each connection.
    const { code, stdout } = await runProgram("zabbix_sender", [
      ...["-z", "127.0.0.1", "-p", `${tool.port}`, "-i", file],
    ]);
    assertEquals(code, 0, stdout);
    assertStringIncludes(stdout, "sent: 600; skipped: 0; total: 600");
    tool.kill("SIGTERM");
    const ending = await tool.ending();
    assertEquals(ending.stdout, values.join("\n") + "\n");
    const exchanges = checkEnding({ ...ending, stdout: "" }, 0);
    assertEquals(exchanges.map(({ outcome }) => outcome), ["ok", "ok", "ok"]);
  },
);
