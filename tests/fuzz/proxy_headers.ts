/**
 * Holds the parser of PROXY headers against a simple model, with headers made of
 * seeds: random bytes, good headers, and good headers with faults.
 *
 * ```sh
 * deno task fuzz:proxy --count 1000000
 * deno task fuzz:proxy --seed 4711
 * ```
 *
 * @module
 */

import { parseProxyHeader } from "../../proxy/proxy_header.ts";
import {
  execute,
  type Flags,
  type Seeds,
  seedsOf,
} from "../harness/options.ts";
import { Progress } from "../harness/progress.ts";
import { Random } from "../harness/random.ts";
import { ascii, binary, type Field, withChecksum } from "../proxy_headers.ts";
import { type Meaning, meaningOf } from "./proxy_model.ts";

const help = `Holds the parser of PROXY headers against a model.

Usage: deno task fuzz:proxy [options]

Options:
      --seed S   the first seed [drawn from the clock]
      --count N  how many seeds, one after the other [1000000, with --seed 1]
  -h, --help     print this help`;

/** Up to this size a header is parsed in all ways to come in two pieces. */
const ALL_SPLITS_BYTES = 300;
/** How many of these ways are tried for a longer one. */
const SOME_SPLITS = 50;

/** The beginning of a connection, made of a seed. */
export function makeHeader(seed: number): Uint8Array<ArrayBuffer> {
  const random = new Random(seed);
  const make = random.pick([randomBytes, line, line, block, block, block]);
  let header = make(random);
  const faults = random.pick([0, 0, 1, 1, 2, 3]);
  for (let i = 0; i < faults; i++) header = withFault(random, header);
  if (random.chance(0.5)) return header;
  return Uint8Array.from([...header, ...random.bytes(random.int(1, 20))]);
}

/** What is wrong with what the parser makes of it. */
export function findFaults(
  bytes: Uint8Array,
  parse: typeof parseProxyHeader = parseProxyHeader,
): string[] {
  const whole = outcomeOf(bytes, parse);
  const expected = JSON.stringify(meaningOf(bytes));
  if (whole !== expected) return [`it is ${whole}, expected ${expected}`];
  // However little of it has come: what is said then stays true.
  for (const size of splits(bytes.length)) {
    const early = outcomeOf(bytes.subarray(0, size), parse);
    if (early === JSON.stringify("more is needed") || early === whole) continue;
    return [`after ${size} bytes it is ${early}, but then ${whole}`];
  }
  return [];
}

function outcomeOf(bytes: Uint8Array, parse: typeof parseProxyHeader): string {
  return JSON.stringify(outcome(bytes, parse));
}

function outcome(bytes: Uint8Array, parse: typeof parseProxyHeader): Meaning {
  try {
    const header = parse(bytes);
    if (!header) return "more is needed";
    const { length, ends } = header;
    return {
      length,
      ends: ends && [written(ends.remoteAddr), written(ends.localAddr)],
    };
  } catch (error) {
    const isExpected = error instanceof Deno.errors.InvalidData &&
      error.message.startsWith("Malformed PROXY header: ");
    if (isExpected) return "malformed";
    throw error;
  }
}

function written(addr: Deno.NetAddr | Deno.UnixAddr): string {
  if (addr.transport === "tcp") return `${addr.hostname} ${addr.port}`;
  return (addr as Deno.UnixAddr).path ?? "";
}

function splits(size: number): Iterable<number> {
  if (size <= ALL_SPLITS_BYTES) return Array(size).keys();
  const step = size / SOME_SPLITS;
  return Array.from({ length: SOME_SPLITS }, (_, i) => Math.floor(i * step));
}

function randomBytes(random: Random): Uint8Array<ArrayBuffer> {
  return random.bytes(random.int(0, 300));
}

/** A header of version 1. */
function line(random: Random): Uint8Array<ArrayBuffer> {
  const port = () => random.int(0, 65_535);
  const family = random.pick(["TCP4", "TCP6", "UNKNOWN"]);
  const address = family === "TCP4" ? ipv4 : ipv6;
  const words = [address(random), address(random), port(), port()];
  const isShort = family === "UNKNOWN" && random.chance(0.5);
  const text = ["PROXY", family, ...isShort ? [] : words].join(" ");
  return ascii(`${text}\r\n`);
}

function ipv4(random: Random): string {
  return random.bytes(4).join(".");
}

function ipv6(random: Random): string {
  const group = () =>
    random.pick([0, 0, 0, 0xffff, random.int(0, 0xffff)])
      .toString(16);
  const groups = Array.from({ length: random.pick([8, 8, 7, 6, 9]) }, group);
  if (random.chance(0.3)) groups.splice(-2, 2, ipv4(random));
  if (random.chance(0.5)) {
    groups.splice(random.int(0, groups.length), random.int(0, 5), "");
  }
  const text = groups.join(":");
  const open = text.replace(/^:|:$/g, "::");
  return random.chance(0.1) ? open.toUpperCase() : open;
}

/** A header of version 2. */
function block(random: Random): Uint8Array<ArrayBuffer> {
  const family = random.pick([0x00, 0x11, 0x11, 0x21, 0x31, 0x12, 0x10, 0x01]);
  const size = [0, 12, 36, 216][family >> 4] ?? 0;
  const addresses = random.bytes(size);
  if (family === 0x31) addresses.fill(0, random.int(0, 108), 108);
  if (family === 0x21 && random.chance(0.5)) addresses.fill(0, 0, 10);
  const field = (): Field => ({
    type: random.pick([1, 2, 3, 4, 5, 0x20, 0xea]),
    value: random.bytes(random.pick([0, 1, 4, 20, 20, 1500])),
  });
  const fields = Array.from({ length: random.pick([0, 0, 1, 2, 4]) }, field);
  const command = random.pick([0x21, 0x21, 0x21, 0x20]);
  const make = random.chance(0.4) ? withChecksum : binary;
  return make({
    command,
    family,
    addresses,
    fields: fields.filter(({ type }) => type !== 3 || random.chance(0.2)),
  });
}

/** The same, with a fault somewhere. */
function withFault(
  random: Random,
  header: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = Array.from(header);
  // Most of what matters is at the beginning.
  const reach = random.chance(0.5) ? Math.min(20, bytes.length) : bytes.length;
  const at = random.int(0, reach);
  const special = random.pick([0, 0x0a, 0x0d, 0x20, 0x30, 0x3a, 0x2e, 0xff]);
  const byte = random.chance(0.5) ? special : random.int(0, 255);
  const change = random.pick([
    () => bytes.splice(at, 1, byte),
    () => bytes.splice(at, 0, byte),
    () => bytes.splice(at, 1),
    () => bytes.splice(at),
    () => bytes.splice(at, 0, ...bytes.slice(at, at + random.int(1, 8))),
    () => bytes.splice(at, 1, (bytes[at] ?? 0) ^ 1 << random.int(0, 7)),
  ]);
  change();
  return Uint8Array.from(bytes);
}

function read(flags: Flags): Seeds {
  return seedsOf(flags, 1_000_000);
}

/** Tries them, and returns the exit status. */
function fuzz({ first, count }: Seeds): Promise<number> {
  const progress = Deno.stderr.isTerminal() ? new Progress() : undefined;
  const meanings = { "more is needed": 0, "malformed": 0, "whole": 0 };
  let found = 0;
  for (let seed = first; seed < first + count; seed++) {
    const header = makeHeader(seed);
    const meaning = meaningOf(header);
    meanings[typeof meaning === "string" ? meaning : "whole"]++;
    const faults = findFaults(header);
    if (seed % 1000 === 0) {
      progress?.show(`${seed - first} of ${count} headers, ${found} findings`);
    }
    if (faults.length === 0) continue;
    found++;
    progress?.end();
    console.error(`seed ${seed}: ${faults.join(", ")}`);
    console.error(Deno.inspect(header, { iterableLimit: Infinity }));
    console.error(`try it again: deno task fuzz:proxy --seed ${seed}`);
  }
  progress?.end();
  console.log(
    `seeds ${first} to ${first + count - 1}: ${meanings.whole} headers, ` +
      `${meanings.malformed} malformed ones, ` +
      `${meanings["more is needed"]} that are cut, ${found} findings`,
  );
  return Promise.resolve(found === 0 ? 0 : 1);
}

if (import.meta.main) {
  const flags = { string: ["seed", "count"] };
  await execute({ name: "fuzz:proxy", help, flags, read, run: fuzz });
}
