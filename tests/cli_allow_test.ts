// Who may connect: `--allow`.

import { assert, assertEquals } from "@std/assert";
import { AddressRanges } from "../cli/args/address_ranges.ts";
import { Exposition } from "./exposition.ts";
import { runProgram } from "./programs.ts";
import { ask, freePort } from "./sockets.ts";
import { testOnLinux, testUnix } from "./support.ts";
import { checkRefusal, moduleUrl, Tool } from "./tool.ts";

/** Asks from an address of the machine, which has all of 127.0.0.0/8. */
async function askFrom(
  hostname: string,
  port: number,
  request: string,
): Promise<string> {
  const program = `
import socket, sys
address, port, request = sys.argv[1:]
host = "::1" if ":" in address else "127.0.0.1"
answer = b""
try:
    with socket.create_connection((host, int(port)), 10, (address, 0)) as client:
        client.sendall(request.encode())
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(1000): answer += part
except OSError: pass
print(answer.decode(), end="")
`;
  const args = ["-c", program, hostname, `${port}`, request];
  const { code, stdout, stderr } = await runProgram("python3", args);
  assertEquals(code, 0, stderr);
  return stdout;
}

/** What some ranges contain of these addresses. */
function among(ranges: string, addresses: string[]): string[] {
  const read = AddressRanges.read(ranges);
  assert(read, ranges);
  return addresses.filter((hostname) =>
    read.has({ transport: "tcp", hostname, port: 1 })
  );
}

Deno.test("AddressRanges.has() knows the addresses of each range, and no others", () => {
  const v4 = ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"];
  const v6 = ["2001:db7:ffff::", "2001:db8::", "2001:db8:ffff::1", "::"];
  const all = [...v4, ...v6];
  assertEquals(among("10.0.0.0/8", all), ["10.0.0.0", "10.255.255.255"]);
  assertEquals(among("10.0.0.0/32,10.255.255.254/31", all), [
    "10.0.0.0",
    "10.255.255.255",
  ]);
  assertEquals(among("10.0.0.0", all), ["10.0.0.0"]);
  assertEquals(among("0.0.0.0/0", all), v4);
  assertEquals(among("::/0", all), v6);
  assertEquals(among("2001:db8::/32", all), ["2001:db8::", "2001:db8:ffff::1"]);
  assertEquals(among("2001:0DB8:0::0,11.0.0.0", all), [
    "11.0.0.0",
    "2001:db8::",
  ]);
  assertEquals(among("::/127", ["::", "::1", "::2"]), ["::", "::1"]);
  assertEquals(among("fe80::/10", ["fe80::1%eth0", "fec0::1"]), [
    "fe80::1%eth0",
  ]);
});

Deno.test("AddressRanges.has() takes an IPv4 address in the form of IPv6 for IPv4", () => {
  const all = ["::ffff:10.1.2.3", "10.1.2.3", "::10.1.2.3", "11.0.0.0"];
  const both = ["::ffff:10.1.2.3", "10.1.2.3"];
  assertEquals(among("10.0.0.0/8", all), both);
  assertEquals(among("::ffff:10.0.0.0/104", all), both);
  assertEquals(among("::ffff:10.1.2.3", all), both);
  assertEquals(among("::/0", all), ["::10.1.2.3"]);
});

Deno.test("AddressRanges.has() knows no client of a Unix socket", () => {
  const ranges = AddressRanges.read("0.0.0.0/0,::/0");
  assertEquals(ranges?.has({ transport: "unix", path: "10.0.0.1" }), false);
});

Deno.test("AddressRanges.explain() says what to write instead", () => {
  const faults: Record<string, string> = {
    "10.0.0.1/8": "the range of 10.0.0.1/8 is written 10.0.0.0/8",
    "::1,192.0.2.130/25":
      "the range of 192.0.2.130/25 is written 192.0.2.128/25",
    "2001:db8::1/32": "the range of 2001:db8::1/32 is written 2001:db8::/32",
    "::1/0": "the range of ::1/0 is written ::/0",
    "::ffff:10.0.0.1/104":
      "the range of ::ffff:10.0.0.1/104 is written 10.0.0.0/8",
  };
  for (
    const wrong of [
      ...["10.0.0/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "010.0.0.0/8"],
      ...["10.0.0.0/08", "10.0.0.0/8/8", "::1/129", "fe80::1%eth0", "[::1]"],
      ...["localhost", "", " ::1", "::ffff:10.0.0.0/8", "10.0.0.0-10.0.0.9"],
    ]
  ) faults[wrong] = `"${wrong}" is neither an address nor a range`;
  for (const [ranges, fault] of Object.entries(faults)) {
    assertEquals(AddressRanges.read(ranges), undefined, ranges);
    assertEquals(AddressRanges.explain(ranges), `: ${fault}`);
  }
});

testOnLinux(
  "cli: --allow lets in who is in a range, and denies others",
  async () => {
    const metrics = `127.0.0.1:${freePort()}`;
    const flags = ["--allow", "127.1.0.0/16,127.0.0.9", "--metrics", metrics];
    await using tool = await Tool.listening(flags);
    assertEquals(await askFrom("127.1.2.3", tool.port, "hello"), "hello");
    assertEquals(await askFrom("127.0.0.9", tool.port, "hello"), "hello");
    assertEquals(await askFrom("127.0.0.1", tool.port, "hello"), "");
    await tool.line(
      / WARN 127\.0\.0\.1:\d+ 0 bytes in, 0 bytes out, .* denied/,
    );
    const response = await fetch(`http://${metrics}/metrics`);
    const numbers = new Exposition(await response.text());
    assertEquals(
      numbers.value("halfclose_exchanges_total", { outcome: "denied" }),
      1,
    );
  },
);

testOnLinux("cli: --allow knows clients of both kinds on ::", async () => {
  const port = freePort();
  const flags = ["--host", "::", "--port", `${port}`, "--allow"];
  const asked = async (ranges: string) => {
    await using tool = new Tool([...flags, ranges]);
    await tool.line(/ listening on /);
    return {
      v4: await askFrom("127.0.0.1", port, "x"),
      v6: await askFrom("::1", port, "x"),
    };
  };
  assertEquals(await asked("127.0.0.0/8"), { v4: "x", v6: "" });
  assertEquals(await asked("::1"), { v4: "", v6: "x" });
  assertEquals(await asked("::/0"), { v4: "", v6: "x" });
});

testOnLinux("cli: --allow says which proxies are trusted", async () => {
  const flags = ["--proxy-protocol", "--allow", "127.0.0.2"];
  await using tool = await Tool.listening(flags);
  const request = "PROXY TCP4 127.0.0.2 192.0.2.2 4711 443\r\nhello";
  assertEquals(await askFrom("127.0.0.2", tool.port, request), "hello");
  assertEquals(await askFrom("127.0.0.1", tool.port, request), "");
  await tool.line(/ INFO 127\.0\.0\.2:4711 5 bytes in, .* ok$/);
  await tool.line(/ WARN 127\.0\.0\.1:\d+ 0 bytes in, .* denied/);
});

testOnLinux(
  "cli: --allow and the allow() of a module must both agree",
  async () => {
    const module = moduleUrl(`export default {
    allow({ hostname }) {
      console.log(hostname);
      return hostname !== "127.0.0.2";
    },
    handler: () => "in",
  };`);
    await using tool = await Tool.listening([
      "--allow",
      "127.0.0.0/30",
      module,
    ]);
    assertEquals(await askFrom("127.0.0.1", tool.port, ""), "in");
    assertEquals(await askFrom("127.0.0.2", tool.port, ""), "");
    assertEquals(await askFrom("127.0.0.4", tool.port, ""), "");
    tool.kill("SIGTERM");
    const { stdout, lines } = await tool.ending();
    assertEquals(stdout, "127.0.0.1\n127.0.0.2\n");
    assertEquals(lines.filter((line) => /denied/.test(line)).length, 2);
  },
);

Deno.test("cli: --allow twice is a usage error, as one of both would be lost", async () => {
  checkRefusal(
    await Tool.run(["--allow", "::1", "--allow=10.0.0.0/8"]),
    2,
    "--allow is given twice. Give it once, with commas.",
  );
});

for (
  const [ranges, fault] of [
    ["10.0.0.1/8", "the range of 10.0.0.1/8 is written 10.0.0.0/8"],
    ["10.0.0.0/8,x", '"x" is neither an address nor a range'],
  ] as const
) {
  Deno.test(`cli: --allow ${ranges} is a usage error`, async () => {
    checkRefusal(
      await Tool.run(["--allow", ranges]),
      2,
      "--allow must be addresses or ranges such as " +
        `192.0.2.1,10.0.0.0/8,2001:db8::/32, received "${ranges}": ${fault}`,
    );
  });
}

testUnix("cli: --allow is a usage error on a Unix socket", async (folder) => {
  const path = `${folder}/test.sock`;
  const places: Record<string, string[]> = {
    "a flag": ["--unix", path],
    "a path": [moduleUrl(`export default { path: ${JSON.stringify(path)},
      handler: () => "x" };`)],
    "a listener": [moduleUrl(`export default { handler: () => "x",
      listener: Deno.listen({ transport: "unix", path: ${
      JSON.stringify(path)
    } })
    };`)],
  };
  for (const place of Object.values(places)) {
    checkRefusal(
      await Tool.run(["--allow", "::1", ...place], Tool.allowing(folder)),
      2,
      "--allow cannot be ::1 on a Unix socket: who connects there has no " +
        "address. Give the socket a mode.",
    );
  }
  // A flag for TCP wins over the place of a module.
  const args = ["--allow", "127.0.0.0/8", ...places["a path"] ?? []];
  await using tool = await Tool.listening(args, Tool.allowing(folder));
  assertEquals(await ask(tool.addr), "x");
});
