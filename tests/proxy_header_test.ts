// The parser of PROXY headers: a table of good and bad ones, and a small part of
// `deno task fuzz:proxy`.

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { crc32c } from "../proxy/crc32c.ts";
import { parseProxyHeader, type ProxiedEnds } from "../proxy/proxy_header.ts";
import { findFaults, makeHeader } from "./fuzz/proxy_headers.ts";
import { importMap, runDeno } from "./programs.ts";
import {
  ascii,
  binary,
  type Field,
  followedBy,
  ipv4Pair,
  signature,
  slowCrc32c,
  withChecksum,
} from "./proxy_headers.ts";

const addresses = ipv4Pair([[192, 0, 2, 1], 4711], [[192, 0, 2, 2], 443]);
const noop: Field = { type: 4, value: [1, 2, 3] };

function tcp(hostname: string, port: number): Deno.NetAddr {
  return { transport: "tcp", hostname, port };
}

const named: ProxiedEnds = {
  remoteAddr: tcp("192.0.2.1", 4711),
  localAddr: tcp("192.0.2.2", 443),
};

function line(text: string): Uint8Array<ArrayBuffer> {
  return ascii(`PROXY ${text}\r\n`);
}

/** An address of 16 or 108 bytes that begins so. */
function padded(size: number, ...begin: number[]): number[] {
  return [...begin, ...Array(size - begin.length).fill(0)];
}

function unix(source: string, target: string): number[] {
  return [source, target].flatMap((path) => padded(108, ...ascii(path)));
}

const paths = (source: string | null, target: string | null): ProxiedEnds => ({
  remoteAddr: { transport: "unix", path: source as string },
  localAddr: { transport: "unix", path: target as string },
});

/** A name that fills all of its room, without a zero after it. */
const longest = "/".padEnd(108, "x");

for (
  const [name, header, ends] of [
    ["TCP4", line("TCP4 192.0.2.1 192.0.2.2 4711 443"), named],
    [
      "the longest TCP4",
      line(`TCP4 ${"255.255.255.255 ".repeat(2)}65535 65535`),
      {
        remoteAddr: tcp("255.255.255.255", 65_535),
        localAddr: tcp("255.255.255.255", 65_535),
      },
    ],
    ["TCP4 with zeros", line("TCP4 0.0.0.0 0.0.0.0 0 0"), {
      remoteAddr: tcp("0.0.0.0", 0),
      localAddr: tcp("0.0.0.0", 0),
    }],
    ["TCP6", line("TCP6 2001:DB8:0::1 ::ffff:192.0.2.2 4711 443"), {
      remoteAddr: tcp("2001:db8::1", 4711),
      localAddr: tcp("192.0.2.2", 443),
    }],
    ["TCP6 without a ::", line("TCP6 1:2:3:0:0:6:0:0 :: 1 2"), {
      remoteAddr: tcp("1:2:3::6:0:0", 1),
      localAddr: tcp("::", 2),
    }],
    ["UNKNOWN", line("UNKNOWN"), undefined],
    ["UNKNOWN with more", line("UNKNOWN ffff::1 what ever"), undefined],
    ["the longest UNKNOWN", line(`UNKNOWN ${"x".repeat(91)}`), undefined],
    ["IPv4", binary({ addresses }), named],
    ["IPv4 with fields", binary({ addresses, fields: [noop, noop] }), named],
    ["a checksum", withChecksum({ addresses, fields: [noop] }), named],
    [
      "the longest",
      binary({
        addresses,
        fields: [{ type: 4, value: new Uint8Array(4096 - 16 - 12 - 3) }],
      }),
      named,
    ],
    [
      "IPv6",
      binary({
        family: 0x21,
        addresses: [
          ...padded(16, 0x20, 0x01, 0x0d, 0xb8),
          ...padded(16),
          ...[1, 2, 3, 4],
        ],
      }),
      { remoteAddr: tcp("2001:db8::", 258), localAddr: tcp("::", 772) },
    ],
    [
      "Unix paths",
      binary({
        family: 0x31,
        addresses: unix("/run/a", longest),
      }),
      paths("/run/a", longest),
    ],
    [
      "Unix names without a path",
      binary({
        family: 0x31,
        addresses: unix("", "\0abstract"),
      }),
      paths(null, null),
    ],
    ["LOCAL", binary({ command: 0x20, family: 0 }), undefined],
    [
      "LOCAL with anything",
      binary({
        command: 0x20,
        family: 0xff,
        addresses: [1, 2, 3],
      }),
      undefined,
    ],
    ["an unspecified family", binary({ family: 0, addresses }), undefined],
    ["an unspecified protocol", binary({ family: 0x10 }), undefined],
    ["datagrams", binary({ family: 0x12, addresses }), undefined],
  ] as [string, Uint8Array<ArrayBuffer>, ProxiedEnds | undefined][]
) {
  Deno.test(`parseProxyHeader() understands ${name}, however it comes`, () => {
    const { length } = header;
    for (let size = 0; size < length; size++) {
      assertEquals(parseProxyHeader(header.subarray(0, size)), undefined);
    }
    assertEquals(parseProxyHeader(header), { length, ends });
    const more = followedBy(header, "PROXY of the request\r\n");
    assertEquals(parseProxyHeader(more), { length, ends });
  });
}

const ok = "192.0.2.1 192.0.2.2";

for (
  const [name, header, message] of [
    [
      "another protocol",
      ascii("GET / HTTP/1.1\r\n"),
      /begins with "GET \/ HTTP\/1"/,
    ],
    ["TLS", Uint8Array.of(0x16, 3, 1), /begins with "\\u0016\\u0003\\u0001"/],
    ["lower case", ascii("proxy TCP4"), /begins with "proxy TCP4"/],
    ["no family", line(""), /is not "PROXY"/],
    ["an unknown family", line(`TCP5 ${ok} 1 2`), /is not "PROXY"/],
    ["UNKNOWN without a space", line("UNKNOWNS"), /is not "PROXY"/],
    ["two spaces", line(`TCP4  ${ok} 1 2`), /is not "PROXY"/],
    ["a space at the end", line(`TCP4 ${ok} 1 2 `), /is not "PROXY"/],
    ["a port too few", line(`TCP4 ${ok} 1`), /is not "PROXY"/],
    [
      "a leading zero",
      line("TCP4 192.0.2.01 192.0.2.2 1 2"),
      /"192.0.2.01" is not an IPv4/,
    ],
    [
      "a part over 255",
      line("TCP4 192.0.2.256 192.0.2.2 1 2"),
      /"192.0.2.256" is not an IPv4/,
    ],
    [
      "three parts",
      line("TCP4 192.0.2 192.0.2.2 1 2"),
      /"192.0.2" is not an IPv4/,
    ],
    ["IPv6 as TCP4", line("TCP4 ::1 ::1 1 2"), /"::1" is not an IPv4/],
    ["IPv4 as TCP6", line(`TCP6 ${ok} 1 2`), /"192.0.2.1" is not an IPv6/],
    ["two ::", line("TCP6 1::2::3 ::1 1 2"), /"1::2::3" is not an IPv6/],
    [":::", line("TCP6 ::: ::1 1 2"), /":::" is not an IPv6/],
    ["nine groups", line("TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2"), /is not an IPv6/],
    [":: for nothing", line("TCP6 1:2:3:4::5:6:7:8 ::1 1 2"), /is not an IPv6/],
    ["five digits", line("TCP6 00001::1 ::1 1 2"), /is not an IPv6/],
    ["a zone", line("TCP6 fe80::1%eth0 ::1 1 2"), /is not an IPv6/],
    ["a port over 65535", line(`TCP4 ${ok} 1 65536`), /"65536" is not a port/],
    ["a port with a zero", line(`TCP4 ${ok} 01 2`), /"01" is not a port/],
    ["a port with a sign", line(`TCP4 ${ok} +1 2`), /"\+1" is not a port/],
    ["no CR", ascii(`PROXY TCP4 ${ok} 1 2\n`), /lacks a CR/],
    ["a CR alone", ascii("PROXY UNKNOWN\rPROXY"), /lacks an LF/],
    [
      "a line that is too long",
      line(`UNKNOWN ${"x".repeat(92)}`),
      /longer than the 107 bytes/,
    ],
    [
      "a line without an end",
      ascii(`PROXY UNKNOWN ${"x".repeat(92)}`),
      /longer than the 107 bytes/,
    ],
    ["version 3", binary({ command: 0x31 }), /version is 3/],
    ["command 2", binary({ command: 0x22 }), /command is 2/],
    ["family 4", binary({ family: 0x41, addresses }), /are 0x41/],
    ["protocol 3", binary({ family: 0x13, addresses }), /are 0x13/],
    [
      "a length over the limit",
      binary({ length: 4081 }),
      /4097 bytes, more than the 4096/,
    ],
    [
      "addresses that are cut",
      binary({ addresses: addresses.slice(1) }),
      /27 bytes are too few/,
    ],
    [
      "IPv4 as IPv6",
      binary({ family: 0x21, addresses }),
      /28 bytes are too few/,
    ],
    [
      "a field that is cut",
      binary({ addresses, fields: [noop], length: 17 }).slice(0, 33),
      /last field/,
    ],
    [
      "a field without a length",
      binary({ addresses: [...addresses, 4] }),
      /last field/,
    ],
    [
      "a wrong checksum",
      binary({
        addresses,
        fields: [{ type: 3, value: [0, 0, 0, 1] }],
      }),
      /checksum is 0x00000001, expected 0x[0-9a-f]{8}$/,
    ],
    [
      "a short checksum",
      binary({
        addresses,
        fields: [{ type: 3, value: [0, 0, 0] }],
      }),
      /one checksum of 4 bytes/,
    ],
    [
      "two checksums",
      withChecksum({
        addresses,
        fields: [{ type: 3, value: [0, 0, 0, 0] }],
      }),
      /one checksum of 4 bytes/,
    ],
  ] as [string, Uint8Array<ArrayBuffer>, RegExp][]
) {
  Deno.test(`parseProxyHeader() rejects ${name}, however it comes`, () => {
    const reject = (size: number) => {
      const { message: told } = assertThrows(
        () => parseProxyHeader(header.subarray(0, size)),
        Deno.errors.InvalidData,
      );
      assertMatch(told, /^Malformed PROXY header: /);
      return told;
    };
    assertMatch(reject(header.length), message);
    // Once it is rejected, nothing that follows makes it good.
    let size = 0;
    while (isIncomplete(header.subarray(0, size))) size++;
    while (size < header.length) reject(size++);
  });
}

function isIncomplete(bytes: Uint8Array): boolean {
  try {
    return parseProxyHeader(bytes) === undefined;
  } catch {
    return false;
  }
}

Deno.test("parseProxyHeader() notices each bit that the checksum covers", () => {
  const header = withChecksum({ addresses, fields: [noop] });
  // The length and the families say more than the checksum: these are others.
  for (let bit = 16 * 8; bit < 28 * 8; bit++) {
    const wrong = header.slice();
    const at = bit >> 3;
    wrong[at] = (wrong[at] ?? 0) ^ (1 << (bit & 7));
    assertThrows(() => parseProxyHeader(wrong), Deno.errors.InvalidData);
  }
});

Deno.test("crc32c() calculates what RFC 3720, B.4 lists", () => {
  const counting = Uint8Array.from({ length: 32 }, (_, i) => i);
  assertEquals(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assertEquals(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assertEquals(crc32c(counting), 0x46dd794e);
  assertEquals(crc32c(counting.toReversed()), 0x113fdb5c);
  assertEquals(slowCrc32c(counting), 0x46dd794e);
});

Deno.test("parseProxyHeader() does as the model in 1000 random headers", () => {
  for (let seed = 1; seed <= 1000; seed++) {
    assertEquals(findFaults(makeHeader(seed)), [], `seed ${seed}`);
  }
});

for (
  const [name, parse] of [
    ["takes no checksum seriously", (bytes) => {
      const blind = bytes.slice();
      for (let at = 28; at < blind.length; at++) {
        if (blind[at] === 3) blind[at] = 4;
      }
      return parseProxyHeader(blind);
    }],
    ["reads a byte too many", (bytes) => {
      const header = parseProxyHeader(bytes);
      return header && { ...header, length: header.length + 1 };
    }],
    ["rejects what has yet to come", (bytes) => {
      const header = parseProxyHeader(bytes);
      if (header || bytes.length !== 20) return header;
      throw new Deno.errors.InvalidData("Malformed PROXY header: not yet");
    }],
  ] as [string, typeof parseProxyHeader][]
) {
  Deno.test(`fuzz:proxy finds a parser that ${name}`, () => {
    let seed = 1;
    while (findFaults(makeHeader(seed), parse).length === 0) seed++;
    assert(seed < 1000, `only seed ${seed} finds it`);
  });
}

Deno.test("fuzz:proxy tells which seeds it has tried", async () => {
  const path = "tests/fuzz/proxy_headers.ts";
  const args = [...importMap(), path, "--seed", "7", "--count", "100"];
  const { code, stdout } = await runDeno("run", "-A", ...args);
  assertEquals(code, 0);
  assertMatch(stdout, /^seeds 7 to 106: \d+ headers, .* 0 findings\n$/);
});

Deno.test("parseProxyHeader() looks for more until a beginning is another", () => {
  assertEquals(parseProxyHeader(new Uint8Array()), undefined);
  assertEquals(parseProxyHeader(ascii("PROX")), undefined);
  assertEquals(parseProxyHeader(Uint8Array.from(signature)), undefined);
});
