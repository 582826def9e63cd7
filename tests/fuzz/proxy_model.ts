// What a header of the PROXY protocol means: written from the standard alone, for
// all of its bytes at once, to hold the parser against.

import { signature, slowCrc32c } from "../proxy_headers.ts";

/** What is to be made of the bytes at the beginning of a connection. */
export type Meaning =
  | "more is needed"
  | "malformed"
  | { length: number; ends: [remote: string, local: string] | undefined };

/** The longest header that is taken. */
const LIMIT = 4096;

/** Each byte as the character of that number. */
const latin1 = {
  decode: (bytes: Uint8Array) => String.fromCharCode(...bytes),
};

/** What the first bytes of a connection mean. */
export function meaningOf(bytes: Uint8Array): Meaning {
  const text = latin1.decode(bytes);
  const quit = latin1.decode(Uint8Array.from(signature));
  if (text.startsWith("PROXY ")) return meaningOfLine(text);
  if (text.startsWith(quit)) return meaningOfBinary(bytes);
  return "PROXY ".startsWith(text) || quit.startsWith(text)
    ? "more is needed"
    : "malformed";
}

function meaningOfLine(text: string): Meaning {
  const [, line = "", end = ""] = /^([^\r\n]*)(.{0,2})/s.exec(text) ?? [];
  const length = line.length + 2;
  if (length > 107) return "malformed";
  if (end === "" || end === "\r") return "more is needed";
  if (end !== "\r\n") return "malformed";
  if (line === "PROXY UNKNOWN" || line.startsWith("PROXY UNKNOWN ")) {
    return { length, ends: undefined };
  }
  const words = /^PROXY (TCP[46]) ([^ ]+) ([^ ]+) (\d+) (\d+)$/.exec(line);
  if (!words) return "malformed";
  const [, family, source = "", target = "", ...ports] = words;
  const isPort = (port: string) =>
    Number(port) < 65_536 && String(Number(port)) === port;
  if (!ports.every(isPort)) return "malformed";
  const canonical = family === "TCP4" ? canonicalIpv4 : canonicalIpv6;
  const [remote, local] = [source, target].map(canonical);
  if (!remote || !local) return "malformed";
  return { length, ends: [`${remote} ${ports[0]}`, `${local} ${ports[1]}`] };
}

function canonicalIpv4(text: string): string | undefined {
  const part = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
  return new RegExp(`^${part}(?:\\.${part}){3}$`).test(text) ? text : undefined;
}

/** As URLs have it, save for mapped IPv4 addresses, which are IPv4 addresses. */
function canonicalIpv6(text: string): string | undefined {
  if (!/^[\da-f:.]+$/i.test(text)) return undefined;
  const url = URL.parse(`http://[${text}]/`);
  const address = url?.hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(address ?? "");
  if (!mapped) return address;
  const [high = 0, low = 0] = mapped.slice(1).map((group) =>
    parseInt(group, 16)
  );
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

function meaningOfBinary(bytes: Uint8Array): Meaning {
  const [command, family, high, low] = bytes.slice(12, 16);
  if (command === undefined) return "more is needed";
  if (command !== 0x20 && command !== 0x21) return "malformed";
  if (family === undefined || high === undefined || low === undefined) {
    return "more is needed";
  }
  const length = 16 + high * 256 + low;
  if (length > LIMIT) return "malformed";
  if (bytes.length < length) return "more is needed";
  if (command === 0x20) return { length, ends: undefined };
  if (family > 0x32 || family % 16 > 2) return "malformed";
  if (family < 0x10 || family % 16 === 0) return { length, ends: undefined };
  const size = [0, 4, 16, 108][family >> 4] ?? 0;
  const withPorts = family < 0x30;
  const body = Array.from(bytes.slice(16, length));
  const source = body.splice(0, size);
  const target = body.splice(0, size);
  const ports = withPorts ? body.splice(0, 4) : [];
  const isCut = target.length < size || (withPorts && ports.length < 4);
  if (isCut || !areGood(body, bytes.slice(0, length))) return "malformed";
  if (family % 16 === 2) return { length, ends: undefined };
  const port = (at: number) => (ports[at] ?? 0) * 256 + (ports[at + 1] ?? 0);
  return {
    length,
    ends: withPorts
      ? [`${ip(source)} ${port(0)}`, `${ip(target)} ${port(2)}`]
      : [path(source), path(target)],
  };
}

function ip(bytes: number[]): string {
  if (bytes.length === 4) return bytes.join(".");
  const digits = bytes.map((byte) => byte.toString(16).padStart(2, "0"));
  const groups = digits.join("").match(/.{4}/g) ?? [];
  return canonicalIpv6(groups.join(":")) ?? "";
}

function path(bytes: number[]): string {
  const [name = ""] = latin1.decode(Uint8Array.from(bytes)).split("\0");
  return new TextDecoder().decode(
    Uint8Array.from(name, (character) => character.charCodeAt(0)),
  );
}

/** Whether the fields after the addresses fit, and the checksum is right. */
function areGood(fields: number[], header: Uint8Array): boolean {
  const rest = [...fields];
  let sums = 0;
  while (rest.length > 0) {
    if (rest.length < 3) return false;
    const [type, high = 0, low = 0] = rest.splice(0, 3);
    const size = high * 256 + low;
    if (rest.length < size) return false;
    const at = header.length - rest.length;
    const value = rest.splice(0, size);
    if (type !== 3) continue;
    const zeroed = header.slice();
    zeroed.fill(0, at, at + size);
    const sum = value.reduce((sum, byte) => sum * 256 + byte, 0);
    if (size !== 4 || ++sums > 1 || sum !== slowCrc32c(zeroed)) return false;
  }
  return true;
}
