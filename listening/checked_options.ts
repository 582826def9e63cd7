/**
 * The checks of a listener's options, before anything is bound.
 *
 * @module
 */

import { OptionChecks } from "../exchange/option_checks.ts";
import type {
  ExchangeOptions,
  ListenerOptions,
  TcpOptions,
  UnixOptions,
} from "./options.ts";
import type { Tapped } from "./tap.ts";

/** All options by name. */
type AnyOptions =
  & ExchangeOptions
  & Partial<Pick<UnixOptions, "path" | "mode">>
  & Partial<Pick<ListenerOptions, "listener">>
  & Pick<TcpOptions, typeof tcpNames[number]>
  & Tapped;

/** Checked options, with all defaults. */
export type CheckedOptions =
  & AnyOptions
  & Required<
    Pick<
      AnyOptions,
      | "hostname"
      | "port"
      | "reusePort"
      | "tcpBacklog"
      | "maxRequestBytes"
      | "deadline"
      | "idleTimeout"
      | "lingerTimeout"
      | "streaming"
      | "readAhead"
      | "proxyProtocol"
    >
  >;

const tcpNames = [
  "hostname",
  "port",
  "reusePort",
  "tcpBacklog",
  "cert",
  "key",
] as const;

/**
 * Checks options and fills in the defaults.
 *
 * @param options The options as given.
 * @returns The options with defaults.
 * @throws {TypeError} If an option is of the wrong type, or two exclude each
 * other.
 * @throws {RangeError} If a number is out of range.
 */
export function checkOptions(options: object): CheckedOptions {
  const checks = new OptionChecks("listen", options);
  const given: AnyOptions = options;
  checkWhere(given, checks);
  checks.type("string", ["hostname", "path", "cert", "key"]);
  checks.type("boolean", ["streaming", "reusePort", "proxyProtocol"]);
  checkPlain(given, checks);
  checks.type("function", [
    "allow",
    "onRefuse",
    "onRequest",
    "onExchange",
    "onAcceptError",
  ]);
  checks.signal("signal");
  checkUntil(given.until, checks);
  checks.integer("port", 0, 65_535);
  checks.integer("tcpBacklog", 1, 2 ** 31 - 1);
  checks.integer("mode", 0, 0o777);
  checks.integer("maxRequestBytes", 0, Infinity);
  checks.integer("readAhead", 0, 65_535);
  checks.time("deadline", 1);
  checks.time("idleTimeout", 1);
  checks.time("lingerTimeout", 0);
  if (given.readAhead && given.streaming) {
    throw checks.fault(
      'options "readAhead" and "streaming" exclude each other, a streamed ' +
        "request is read by its handler",
    );
  }
  // Without the flag, Deno ends the whole process when asked for this. The
  // function exists only with the flag.
  if (given.reusePort && !("listenDatagram" in Deno)) {
    throw checks.fault(
      'option "reusePort" needs Deno to run with `--unstable-net`',
    );
  }
  return {
    ...given,
    hostname: given.hostname ?? "0.0.0.0",
    port: given.port ?? 8080,
    reusePort: given.reusePort ?? false,
    tcpBacklog: given.tcpBacklog ?? 511,
    maxRequestBytes: given.maxRequestBytes ?? 16_777_216,
    deadline: given.deadline ?? 60_000,
    idleTimeout: given.idleTimeout ?? 15_000,
    lingerTimeout: given.lingerTimeout ?? 2_000,
    streaming: given.streaming ?? false,
    readAhead: given.readAhead ?? 0,
    proxyProtocol: given.proxyProtocol ?? false,
  };
}

/** Checks that `until` can end a request. */
function checkUntil(until: unknown, checks: OptionChecks): void {
  if (until === undefined) return;
  if (typeof until === "string" || until instanceof Uint8Array) {
    if (until.length > 0) return;
    throw checks.fault('option "until" must not be empty, name a delimiter');
  }
  const { idle } = Object(until) as { idle?: unknown };
  if (typeof idle !== "number") {
    throw checks.wrong("until", "a string, a Uint8Array or { idle: number }");
  }
  new OptionChecks("listen", { "until.idle": idle }).time("until.idle", 1);
}

/** Checks that the header of a proxy can be read, if there is one. */
function checkPlain(options: AnyOptions, checks: OptionChecks): void {
  const { proxyProtocol, cert, listener } = options;
  // Deno has no other sign of it.
  const isTls = listener?.constructor?.name === "TlsListener";
  if (!proxyProtocol || (cert === undefined && !isTls)) return;
  throw checks.fault(
    `options "proxyProtocol" and "${
      isTls ? "listener" : "cert"
    }" exclude each ` +
      "other, as the PROXY header comes before the TLS handshake, where Deno " +
      "cannot read it: have the proxy end TLS",
  );
}

/** Checks that the options name exactly one place to listen. */
function checkWhere(options: AnyOptions, checks: OptionChecks): void {
  for (const place of ["listener", "path"] as const) {
    if (!checks.has(place)) continue;
    const other = checks.has("path") && place === "listener"
      ? "path"
      : tcpNames.find((name) => checks.has(name));
    if (other) throw checks.exclusive(place, other);
  }
  checks.pair("cert", "key");
  if (checks.has("mode") && !checks.has("path")) {
    throw checks.fault(
      'option "mode" needs "path", only a Unix socket has one',
    );
  }
  checks.path("path");
  if (
    checks.has("listener") && typeof options.listener?.accept !== "function"
  ) {
    throw checks.wrong("listener", "a Deno.Listener");
  }
}
