// The cases that are measured: what clients send, and what servers do with it.

import type { Name } from "./contenders.ts";

/** One race. */
export interface Case {
  /** As `--case` knows it. */
  readonly name: string;
  readonly title: string;
  /**
   * What a server does with a request: have all of it in one contiguous buffer
   * and respond with its length, decode that and respond with the length of the text,
   * count it as it comes and respond with that, or have all of it and respond with
   * 8 MiB.
   */
  readonly work: "bytes" | "text" | "stream" | "answer";
  /** The bytes of a request. */
  readonly request: number;
  /** The bytes of a response, or 0 for the length of the request in digits. */
  readonly answer: number;
  readonly clients: number;
  /** Further clients that connect, and never say a word. */
  readonly silent: number;
  readonly where: "tcp" | "unix" | "tls";
  /** What the figures are in. Microseconds are the fewer the better. */
  readonly unit: "exchanges/s" | "MB/s" | "µs";
  /** Whether it is run without `--full`. */
  readonly quick: boolean;
  readonly contenders: readonly Name[];
  /** Whose speed is 1. */
  readonly baseline: Name;
}

const KIB = 1024;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

const all = [
  "listen",
  "serve",
  "by-hand",
  "one-buffer",
  "node",
  "python",
  "go",
  "bun",
  "c",
] as const;
const onDeno = ["listen", "serve", "by-hand", "one-buffer"] as const;
const small = ["listen", "ahead", ...all.slice(1)] as const;
const streamed = [
  "listen",
  "read",
  "read-256KiB",
  "byob",
  ...all.slice(1),
] as const;

const usual = {
  work: "bytes",
  answer: 0,
  clients: 8,
  silent: 0,
  where: "tcp",
  unit: "exchanges/s",
  quick: false,
  contenders: all,
  baseline: "by-hand",
} as const;
const large = { ...usual, unit: "MB/s" } as const;
const streaming = {
  ...large,
  work: "stream",
  contenders: streamed,
  baseline: "c",
} as const;

/** All of them, in the order in which they are run and told. */
export const cases: readonly Case[] = [
  {
    ...usual,
    name: "64B",
    title: "64 B, 8 clients",
    request: 64,
    quick: true,
    contenders: small,
  },
  {
    ...usual,
    name: "64B-latency",
    title: "64 B, 1 client",
    request: 64,
    clients: 1,
    unit: "µs",
    quick: true,
  },
  { ...usual, name: "4KiB", title: "4 KiB, 8 clients", request: 4 * KIB },
  {
    ...large,
    name: "1MiB",
    title: "1 MiB, 8 clients",
    request: MIB,
    quick: true,
  },
  {
    ...large,
    name: "text-1MiB",
    title: "1 MiB as text, 8 clients",
    work: "text",
    request: MIB,
    contenders: ["listen", "serve", "by-hand", "one-buffer", "node", "bun"],
  },
  {
    ...large,
    name: "64MiB",
    title: "64 MiB, 1 client",
    request: 64 * MIB,
    clients: 1,
    quick: true,
  },
  {
    ...streaming,
    name: "readable-1MiB",
    title: "1 MiB streamed, 8 clients",
    request: MIB,
    quick: true,
  },
  {
    ...streaming,
    name: "readable-64MiB",
    title: "64 MiB streamed, 1 client",
    request: 64 * MIB,
    clients: 1,
  },
  {
    ...streaming,
    name: "readable-1GiB",
    title: "1 GiB streamed, 1 client",
    request: GIB,
    clients: 1,
  },
  {
    ...large,
    name: "answer-8MiB",
    title: "8 MiB answered, 8 clients",
    work: "answer",
    request: 64,
    answer: 8 * MIB,
  },
  {
    ...usual,
    name: "behind-silent",
    title: "64 B, 1 client behind 7 silent ones",
    request: 64,
    clients: 1,
    silent: 7,
    contenders: ["alone", "ahead", "short-idle", "node", "bun"],
    baseline: "alone",
  },
  {
    ...usual,
    name: "limits-64B",
    title: "64 B, limits on and off",
    request: 64,
    quick: true,
    contenders: ["listen", "no-limits"],
  },
  {
    ...large,
    name: "limits-1MiB",
    title: "1 MiB, limits on and off",
    request: MIB,
    contenders: ["listen", "no-limits"],
  },
  {
    ...usual,
    name: "inherited-64B",
    title: "64 B, 8 clients, on an inherited socket",
    request: 64,
    contenders: ["listen", "inherited"],
  },
  {
    ...large,
    name: "inherited-1MiB",
    title: "1 MiB, 8 clients, on an inherited socket",
    request: MIB,
    contenders: ["listen", "inherited"],
  },
  {
    ...usual,
    name: "log-64B",
    title: "64 B, the tool and what it tells",
    request: 64,
    contenders: [
      "tool-quiet",
      "tool-log",
      "tool-json",
      "tool-metrics",
      "tool-trace",
    ],
    baseline: "tool-quiet",
  },
  {
    ...usual,
    name: "unix-64B",
    title: "64 B on a Unix socket, 8 clients",
    request: 64,
    where: "unix",
    contenders: onDeno,
  },
  {
    ...large,
    name: "unix-1MiB",
    title: "1 MiB on a Unix socket, 8 clients",
    request: MIB,
    where: "unix",
    contenders: onDeno,
  },
  {
    ...usual,
    name: "tls-64B",
    title: "64 B with TLS, 8 clients",
    request: 64,
    where: "tls",
    contenders: onDeno,
  },
  {
    ...large,
    name: "tls-1MiB",
    title: "1 MiB with TLS, 8 clients",
    request: MIB,
    where: "tls",
    contenders: onDeno,
  },
];
