/**
 * All commands with their flags: the one table that the parsing, the help and
 * the shell completions are made from.
 *
 * @module
 */

import {
  bytes,
  type FlagTable,
  hostPort,
  integer,
  mode,
  oneOf,
  size,
  text,
  time,
  toggle,
} from "./flags.ts";

/** Some flags that belong together, under a title in the help. */
export interface FlagGroup {
  /** The title. */
  readonly title: string;
  /** The flags. */
  readonly flags: FlagTable;
  /** Other arguments: how each one is written, and what it does. */
  readonly others?: readonly (readonly [written: string, help: string])[];
}

/** A command: what its help says, and what a shell offers. */
export interface Command {
  /** What it does, in one line. */
  readonly summary: string;
  /** The ways to call it. */
  readonly usage: readonly string[];
  /** Its flags. */
  readonly groups: readonly FlagGroup[];
  /** What a shell offers besides flags. */
  readonly completes: "files" | readonly string[];
  /** What its help ends with. */
  readonly notes?: readonly string[];
}

const answers = {
  echo: toggle("what was sent (the default)"),
  text: text("TEXT", "this text", "some text"),
  file: text("PATH", "the content of the file", "the path of a file", {
    completes: "files",
  }),
  sink: text(
    "DIR",
    "the name of a new file in DIR with the request",
    "the path of a directory",
    { completes: "directories" },
  ),
};

const places = {
  host: text("HOST", "address to listen on", "a name or an address", {
    default: "0.0.0.0",
  }),
  port: integer(
    "PORT",
    "port to listen on, 0 for a free one",
    "a port from 0 to 65535",
    { min: 0, max: 65_535, short: "p", default: "8080" },
  ),
  unix: text("PATH", "Unix socket to listen on", "the path of a socket", {
    completes: "files",
  }),
  mode: mode("permission bits of that socket, such as 660"),
  "tls-cert": text("FILE", "certificates for TLS, in PEM", "a PEM file", {
    completes: "files",
  }),
  "tls-key": text("FILE", "private key for TLS, in PEM", "a PEM file", {
    completes: "files",
  }),
  "reuse-port": toggle("share the port; needs deno's --unstable-net"),
  backlog: integer(
    "N",
    "how many clients may wait in the backlog",
    "a whole number from 1",
    { min: 1, max: 2 ** 31 - 1, default: "511" },
  ),
  "proxy-protocol": toggle("clients come through a proxy that names them"),
};

const limits = {
  until: bytes("TEXT", String.raw`end a request after this, too: \n, \r\n`),
  "until-idle": time("also end a request after this much silence"),
  refusal: bytes("TEXT", "what a refused client gets; '' for nothing", {
    mayBeEmpty: true,
  }),
  "max-request-bytes": size("largest request: 1000, 64KiB", {
    default: "16MiB",
  }),
  deadline: time("longest exchange: 700ms, 10s, 1m", { default: "60s" }),
  "idle-timeout": time("longest silence of a client", { default: "15s" }),
  "linger-timeout": time("longest silence after the response", {
    default: "2s",
    zero: true,
  }),
  "read-ahead": integer(
    "N",
    "read N more requests while one is handled",
    "a whole number from 0 to 65535",
    { min: 0, max: 65_535, default: "0" },
  ),
  count: integer(
    "N",
    "take N connections, then exit",
    "a whole number from 1",
    { min: 1, max: Number.MAX_SAFE_INTEGER },
  ),
};

const logs = {
  "log-format": oneOf("FORMAT", ["text", "json"], "text or json lines", {
    default: "text",
  }),
  "log-level": oneOf(
    "LEVEL",
    ["debug", "info", "warn", "error"],
    "lowest level: debug, info, warn, error",
    { default: "info" },
  ),
  quiet: toggle("log warnings and errors only", { short: "q" }),
  view: toggle("show what happens, on a terminal"),
  trace: text("FILE", "also write all events as JSON", "the path of a file", {
    completes: "files",
  }),
};

const monitoring = {
  metrics: hostPort("serve /metrics and /healthz over HTTP there"),
  "lame-duck": time("how long /healthz says 503 before a stop", {
    default: "0",
    zero: true,
    endless: false,
  }),
};

/** Flags of every command. */
export const common = {
  help: toggle("print this help", { short: "h" }),
  version: toggle("print the version", { short: "V" }),
};

/** The flags of the server. */
export const serveFlags = {
  ...answers,
  ...places,
  ...limits,
  ...monitoring,
  ...logs,
  ...common,
};

/** The flags of `send`. */
export const sendFlags = {
  file: text("PATH", "send this file, not standard input", "a path", {
    completes: "files",
  }),
  timeout: time("how long it may take: 700ms, 10s, 1m", { default: "none" }),
  tls: toggle("speak TLS"),
  ca: text(
    "FILE",
    "more authorities to trust, in PEM; needs --tls",
    "a PEM file",
    { completes: "files" },
  ),
  ...common,
};

/** The shells with completions. */
export const shells = ["bash", "zsh", "fish"] as const;

/** The command that runs if none is named. */
export const server: Command = {
  summary:
    "One connection at a time: reads a request to its FIN, answers, closes.",
  usage: [
    "[FLAGS] [HANDLER.ts | -- COMMAND ARGS]",
    "send [FLAGS] HOST:PORT",
    `completions ${shells.join("|")}`,
  ],
  groups: [
    {
      title: "What answers (choose one)",
      flags: answers,
      others: [
        ["HANDLER.ts", "what its default export (conn) => … returns"],
        [
          "-- COMMAND ARGS",
          "its output, with the request as its input",
        ],
      ],
    },
    { title: "Where to listen", flags: places },
    {
      title: 'Requests and their limits ("none" for no limit)',
      flags: limits,
    },
    {
      title: "Monitoring, log and help",
      flags: { ...monitoring, ...logs, ...common },
    },
  ],
  completes: "files",
  notes: [
    "Try it: halfclose --text hello, and then nc -N localhost 8080 </dev/null",
    "A sink also needs Deno's -R and -W, a module -R, a program --allow-run.",
  ],
};

/** The commands that are called by name. */
export const commands = {
  send: {
    summary:
      "Sends its input, half-closes, and prints what the server replies.",
    usage: ["send [FLAGS] HOST:PORT | [IPV6]:PORT | unix:PATH"],
    groups: [{ title: "Flags", flags: sendFlags }],
    completes: [],
    notes: [
      "Exit status:",
      "  0    the request was taken, and the complete reply printed",
      "  1    it could not connect, or the connection failed",
      "  2    arguments that cannot be understood",
      "  124  --timeout has passed",
      "  141  standard output was closed before the end of the reply",
      "",
      "Try it:",
      "  halfclose send localhost:8080 <report.pdf",
      "  halfclose send --tls --file report.pdf print.example.com:9100",
    ],
  },
  completions: {
    summary: "Prints a shell script that completes arguments of halfclose.",
    usage: [`completions ${shells.join("|")}`],
    groups: [{ title: "Flags", flags: common }],
    completes: shells,
    notes: [
      "To load it always, add one of these to the start-up file of your shell:",
      '  eval "$(halfclose completions bash)"',
      '  eval "$(halfclose completions zsh)"',
      "  halfclose completions fish | source",
    ],
  },
} satisfies Readonly<Record<string, Command>>;
