/**
 * All flags: the parsing, the help and the shell completions are made from this
 * one table.
 *
 * @module
 */

import {
  bytes,
  type Flags,
  hostPort,
  integer,
  mode,
  oneOf,
  path,
  ranges,
  size,
  text,
  time,
  toggle,
} from "./flag_kinds.ts";

/** What answers. */
export const answers = {
  echo: toggle("what was sent (the default)"),
  text: text("TEXT", "this text", "some text"),
  file: path("PATH", "the content of the file", "the path of a file"),
  sink: text(
    "DIR",
    "its SHA-256; a file in DIR keeps the request",
    "the path of a directory",
    { completes: "directories" },
  ),
};

/** Where to listen. */
export const places = {
  host: text("HOST", "address to listen on", "a name or an address", {
    default: "0.0.0.0",
  }),
  port: integer("PORT", "port to listen on, 0 for a free one", {
    ...{ min: 0, max: 65_535, short: "p", default: "8080" },
  }),
  unix: path("PATH", "Unix socket to listen on", "the path of a socket"),
  mode: mode("permission bits of that socket, such as 660"),
  fd: integer("FD", "inherited socket to listen on: its descriptor, 3", {
    ...{ min: 0, max: 2 ** 31 - 1 },
  }),
  "tls-cert": path("FILE", "certificates for TLS, in PEM", "a PEM file"),
  "tls-key": path("FILE", "private key for TLS, in PEM", "a PEM file"),
  "reuse-port": toggle("share the port; needs deno's --unstable-net"),
  backlog: integer("N", "how many clients may wait in the backlog", {
    ...{ min: 1, max: 2 ** 31 - 1, default: "511" },
  }),
  "proxy-protocol": toggle("clients come through a proxy that names them"),
  allow: ranges("who may connect: clients, or proxies"),
};

/** Where requests end, and what they may take. */
export const limits = {
  until: bytes(String.raw`end a request after this, too: \n, \r\n`),
  "until-idle": time("also end a request after this much silence"),
  refusal: bytes("what a refused client gets; '' for nothing", {
    mayBeEmpty: true,
  }),
  "max-request-bytes": size("largest request: 1000, 64KiB", {
    default: "16MiB",
  }),
  deadline: time("longest exchange: 700ms, 10s, 1m", { default: "60s" }),
  "idle-timeout": time("longest silence of a client", { default: "15s" }),
  "linger-timeout": time("longest silence after the response", {
    ...{ default: "2s", zero: true },
  }),
  "read-ahead": integer("N", "read N more requests while one is handled", {
    ...{ min: 0, max: 65_535, default: "0" },
  }),
  count: integer("N", "take N connections, then exit", { min: 1 }),
};

/** What is logged, and how. */
export const logs = {
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
  trace: path("FILE", "also write all events as JSON", "the path of a file"),
};

/** What others ask for over HTTP. */
export const monitoring = {
  metrics: hostPort("serve /metrics and /healthz over HTTP there"),
  "lame-duck": time("how long /healthz says 503 before a stop", {
    ...{ default: "0", zero: true, endless: false },
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

/** The values of the flags of the server. */
export type ServeFlags = Flags<typeof serveFlags>;

/** The flags of `send`. */
export const sendFlags = {
  file: path("PATH", "send this file, not standard input", "a path"),
  receipt: toggle("fail unless the reply says that the request was kept"),
  timeout: time("how long it may take: 700ms, 10s, 1m", { default: "none" }),
  tls: toggle("speak TLS"),
  ca: path(
    "FILE",
    "the authorities to trust, in PEM; needs --tls",
    "a PEM file",
  ),
  ...common,
};
