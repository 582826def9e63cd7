// Who runs in the races, and how each is started.

import { importMap } from "../tests/programs.ts";

const servers = `${import.meta.dirname}/servers`;

/** How programs on Deno are started. */
export const deno = [Deno.execPath(), "run", "--no-config", "-A"];

/** What `--only` calls them. */
export type Name =
  | "listen"
  | "ahead"
  | "alone"
  | "short-idle"
  | "read"
  | "read-256KiB"
  | "byob"
  | "no-limits"
  | "inherited"
  | "serve"
  | "tool-quiet"
  | "tool-log"
  | "tool-json"
  | "tool-metrics"
  | "tool-trace"
  | "by-hand"
  | "one-buffer"
  | "node"
  | "python"
  | "go"
  | "bun"
  | "c";

/** A kind of server. */
export interface Contender {
  readonly title: string;
  /** Whether it is this module. */
  readonly ours?: boolean;
  /** Whether no silent clients come to it. */
  readonly alone?: boolean;
  /** What it is. */
  readonly note: string;
  /** Prints the version of what it needs. */
  readonly version: readonly string[];
  /** Builds it as a file, once. */
  readonly build?: (output: string) => readonly string[];
  /** Starts it, what was built included. */
  readonly start: (
    work: string,
    where: string,
    built: string,
  ) => readonly string[];
}

function onDeno(file: string, ...more: string[]) {
  return (work: string, where: string) => [
    ...deno,
    `${servers}/${file}`,
    work,
    where,
    ...more,
  ];
}

/** The tool, which answers with a module that prints where it listens. */
function onTool(...flags: string[]) {
  return () => [
    Deno.execPath(),
    "run",
    "-A",
    ...importMap(),
    `${import.meta.dirname}/../cli.ts`,
    ...["--host", "127.0.0.1", "--port", "0"],
    ...flags,
    `${servers}/tool_module.ts`,
  ];
}

const denoVersion = [Deno.execPath(), "--version"];

export const contenders: { readonly [name in Name]: Contender } = {
  listen: {
    title: "listen()",
    ours: true,
    note: "this module, `listen()`",
    version: denoVersion,
    start: onDeno("halfclose_listen.ts"),
  },
  ahead: {
    title: "listen(), readAhead: 8",
    ours: true,
    note: "this module, `listen()` with `readAhead: 8`",
    version: denoVersion,
    start: onDeno("halfclose_listen.ts", "on", "8"),
  },
  alone: {
    title: "nobody silent",
    ours: true,
    alone: true,
    note: "this module, `listen()` with `readAhead: 8`, without silent clients",
    version: denoVersion,
    start: onDeno("halfclose_listen.ts", "on", "8"),
  },
  "short-idle": {
    title: "listen(), idleTimeout: 50",
    ours: true,
    note: "this module, `listen()` with `readAhead: 0` and `idleTimeout: 50`",
    version: denoVersion,
    start: onDeno("halfclose_listen.ts", "on", "0", "50"),
  },
  read: {
    title: "listen(), read()",
    ours: true,
    note: "this module, `read()` into one buffer of 64 KiB",
    version: denoVersion,
    start: (_, where) => onDeno("halfclose_listen.ts")("read", where),
  },
  "read-256KiB": {
    title: "listen(), read() 256 KiB",
    ours: true,
    note: "this module, `read()` into one buffer of 256 KiB",
    version: denoVersion,
    start: (_, where) => onDeno("halfclose_listen.ts")("read-256KiB", where),
  },
  byob: {
    title: "listen(), BYOB",
    ours: true,
    note: "this module, `readable` read with a buffer of one's own",
    version: denoVersion,
    start: (_, where) => onDeno("halfclose_listen.ts")("byob", where),
  },
  "no-limits": {
    title: "listen(), limits off",
    ours: true,
    note: "this module, `listen()` without its limits",
    version: denoVersion,
    start: onDeno("halfclose_listen.ts", "off"),
  },
  inherited: {
    title: "listen(), inherited",
    ours: true,
    note: "this module, `listen()` with the `fd` of an inherited socket",
    version: denoVersion,
    start: (work, where) =>
      onDeno("halfclose_listen.ts")(work, `inherited:${where}`),
  },
  serve: {
    title: "serve()",
    ours: true,
    note: "this module, `serve()`",
    version: denoVersion,
    start: onDeno("halfclose_serve.ts"),
  },
  "tool-quiet": {
    title: "the tool, --quiet",
    ours: true,
    note: "this module, the tool with `--quiet`",
    version: denoVersion,
    start: onTool("--quiet"),
  },
  "tool-log": {
    title: "the tool, its log",
    ours: true,
    note: "this module, the tool with its log, which is read",
    version: denoVersion,
    start: onTool(),
  },
  "tool-json": {
    title: "the tool, its log as JSON",
    ours: true,
    note: "this module, the tool with `--log-format json`, which is read",
    version: denoVersion,
    start: onTool("--log-format", "json"),
  },
  "tool-metrics": {
    title: "the tool, --quiet --metrics",
    ours: true,
    note: "this module, the tool with `--quiet` and `--metrics`",
    version: denoVersion,
    start: onTool("--quiet", "--metrics", "127.0.0.1:0"),
  },
  "tool-trace": {
    title: "the tool, --quiet --trace",
    ours: true,
    note: "this module, the tool with `--quiet` and `--trace` to /dev/null",
    version: denoVersion,
    start: onTool("--quiet", "--trace", "/dev/null"),
  },
  "by-hand": {
    title: "by hand",
    note: "`Deno.listen`, a new buffer for each read",
    version: denoVersion,
    start: onDeno("by_hand.ts"),
  },
  "one-buffer": {
    title: "by hand, one buffer",
    note: "`Deno.listen`, one buffer for all reads",
    version: denoVersion,
    start: onDeno("by_hand_one_buffer.ts"),
  },
  node: {
    title: "Node",
    note: "`net`, concurrent by nature",
    version: ["node", "--version"],
    start: (work) => ["node", `${servers}/node.mjs`, work],
  },
  python: {
    title: "Python",
    note: "`socketserver.TCPServer`, one connection at a time",
    version: ["python3", "--version"],
    start: (work) => ["python3", `${servers}/python.py`, work],
  },
  go: {
    title: "Go",
    note: "`net`, `io.ReadAll`, one connection at a time",
    version: ["go", "version"],
    build: (output) => ["go", "build", "-o", output, `${servers}/go/main.go`],
    start: (work, _, built) => [built, work],
  },
  bun: {
    title: "Bun",
    note: "`Bun.listen`, concurrent by nature",
    version: ["bun", "--version"],
    start: (work) => ["bun", `${servers}/bun.js`, work],
  },
  c: {
    title: "C",
    note: "system calls and nothing else",
    version: ["cc", "--version"],
    build: (output) => ["cc", "-O2", "-o", output, `${servers}/c.c`],
    start: (work, _, built) => [built, work],
  },
};
