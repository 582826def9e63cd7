/**
 * The checks of a listener's options, before anything is bound.
 *
 * @module
 */

import { checkDenoVersion } from "../shared/deno_version.ts";
import type { LengthOf } from "../exchange/length.ts";
import {
  isCallable,
  mayHoldOptions,
  OptionReader,
} from "../shared/option_reader.ts";
import { type Unhurried, unhurried } from "../shared/unhurried.ts";
import type {
  ExchangeOptions,
  FdOptions,
  ListenerOptions,
  TcpOptions,
  UnixOptions,
} from "./options.ts";
import { tap, type Tapped } from "./tap.ts";

/** All options by name. `transport` is what an address has besides them. */
export type AnyListenOptions =
  & ExchangeOptions
  & Partial<Pick<UnixOptions, "path" | "mode">>
  & Partial<Pick<ListenerOptions, "listener">>
  & Partial<Pick<FdOptions, "fd">>
  & Pick<TcpOptions, typeof tcpNames[number]>
  & { transport?: string }
  & Tapped
  & Unhurried;

const tcpNames = [
  "hostname",
  "port",
  "reusePort",
  "tcpBacklog",
  "cert",
  "key",
] as const;

/**
 * Reads options, and checks each by itself. No others may be left.
 *
 * @param options The options as given.
 * @returns The options; `undefined` for those that were not given.
 * @throws {TypeError} If one is of the wrong type.
 * @throws {RangeError} If a number is out of range.
 */
export function readListenOptions(options: OptionReader<AnyListenOptions>) {
  const given = {
    hostname: options.hostname("hostname"),
    port: options.integer("port", 0, 65_535),
    reusePort: options.boolean("reusePort"),
    tcpBacklog: options.integer("tcpBacklog", 1, 2 ** 31 - 1),
    cert: options.string("cert"),
    key: options.string("key"),
    path: options.path("path"),
    mode: options.integer("mode", 0, 0o777),
    listener: listenerOf(options),
    fd: options.integer("fd", 0, 2 ** 31 - 1),
    transport: options.value("transport"),
    maxRequestBytes: options.integer("maxRequestBytes", 0, Infinity),
    deadline: options.time("deadline", 1),
    idleTimeout: options.time("idleTimeout", 1),
    lingerTimeout: options.time("lingerTimeout", 0),
    streaming: options.boolean("streaming"),
    until: untilOf(options),
    readAhead: options.integer("readAhead", 0, 65_535),
    proxyProtocol: options.boolean("proxyProtocol"),
    signal: options.signal("signal"),
    allow: options.callback("allow"),
    onRefuse: options.callback("onRefuse"),
    onRequest: options.callback("onRequest"),
    onExchange: options.callback("onExchange"),
    onAcceptError: options.callback("onAcceptError"),
    [tap]: options.callback(tap),
    [unhurried]: options.boolean(unhurried),
  } satisfies Record<keyof AnyListenOptions, unknown>;
  options.checkNames({ timeout: ["idleTimeout", "deadline"] });
  return given;
}

/** Options as they were given. */
type GivenOptions = ReturnType<typeof readListenOptions>;

/** Checked options, with all defaults. */
export type CheckedOptions = ReturnType<typeof checkOptions>;

/**
 * Checks the options of `listen()`, and fills in the defaults.
 *
 * @param given The options as given.
 * @returns The options with defaults.
 * @throws {TypeError} If an option is of the wrong type, or two exclude each
 * other.
 * @throws {RangeError} If a number is out of range.
 * @throws {Deno.errors.NotSupported} If this Deno is too old.
 */
export function checkListenOptions(given: object): CheckedOptions {
  return checkOptions(new OptionReader("listen", given));
}

/**
 * Checks options, also together, and fills in the defaults.
 *
 * @param options The options as given.
 * @returns The options with defaults.
 * @throws {TypeError} If an option is of the wrong type, or two exclude each
 * other.
 * @throws {RangeError} If a number is out of range.
 */
export function checkOptions(options: OptionReader<AnyListenOptions>) {
  checkDenoVersion("listen");
  checkOnePlace(options);
  const given = readListenOptions(options);
  // What the address of another server says besides the place.
  const transport = given.path === undefined ? "tcp" : "unix";
  options.transport("transport", given.listener?.addr.transport ?? transport);
  checkPlain(given, options);
  if (given.readAhead && given.streaming) {
    throw options.fault(
      'options "readAhead" and "streaming" exclude each other, a streamed ' +
        "request is read by its handler",
    );
  }
  const { os } = Deno.build;
  if (given.reusePort && os !== "linux") {
    throw options.fault(
      `option "reusePort" needs Linux, Deno does not have it on ${os}`,
    );
  }
  // Without the flag, Deno ends the whole process when asked for this. The
  // function exists only with the flag.
  if (given.reusePort && !("listenDatagram" in Deno)) {
    throw options.fault(
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

/** What else ends a request: a copy, as the original may change. */
function untilOf(
  options: OptionReader<AnyListenOptions>,
): string | Uint8Array<ArrayBuffer> | { idle: number } | LengthOf | undefined {
  const until = options.value("until");
  if (until === undefined) return undefined;
  if (isCallable(until)) return options.callback("until") as LengthOf;
  if (typeof until === "string" || isBytes(until)) {
    if (until.length === 0) {
      throw options.fault(
        'option "until" must not be empty. Name a delimiter.',
      );
    }
    return typeof until === "string" ? until : new Uint8Array(until);
  }
  const idle = mayHoldOptions(until)
    ? idleOf(options.nested("until"))
    : undefined;
  if (idle !== undefined) return { idle };
  throw options.wrong(
    "until",
    "a string, a Uint8Array, { idle: number } or a function",
  );
}

function idleOf(options: OptionReader<{ idle?: number }>): number | undefined {
  const idle = options.time("idle", 1);
  options.checkNames();
  return idle;
}

function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && value instanceof Uint8Array;
}

function listenerOf(
  options: OptionReader<AnyListenOptions>,
): Deno.Listener | undefined {
  const listener = options.value("listener");
  if (listener === undefined || isListener(listener)) return listener;
  throw options.wrong("listener", "a Deno.Listener");
}

function isListener(value: unknown): value is Deno.Listener {
  const { accept, close, addr } = Object(value) as Partial<Deno.Listener>;
  return typeof accept === "function" && typeof close === "function" &&
    typeof addr === "object" && addr !== null;
}

/** Checks that the header of a proxy can be read, if there is one. */
function checkPlain(
  { proxyProtocol, cert, listener }: GivenOptions,
  options: OptionReader<AnyListenOptions>,
): void {
  // Deno has no other sign of it.
  const isTls = listener?.constructor?.name === "TlsListener";
  if (!proxyProtocol || (cert === undefined && !isTls)) return;
  throw options.fault(
    `options "proxyProtocol" and "${isTls ? "listener" : "cert"}" exclude ` +
      "each other: the PROXY header comes before the TLS handshake, where " +
      "Deno cannot read it. Have the proxy end TLS.",
  );
}

/** Checks that the options name exactly one place to listen. */
function checkOnePlace(options: OptionReader<AnyListenOptions>): void {
  const places = ["listener", "fd", "path"] as const;
  const place = places.find((name) => options.has(name));
  const other = [...places, ...tcpNames].find((name) =>
    name !== place && options.has(name)
  );
  if (place && other) throw options.exclusive(place, other);
  if (place === "fd" && options.has("transport")) {
    throw options.exclusive(place, "transport");
  }
  options.pair("cert", "key");
  if (options.has("mode") && !options.has("path")) {
    throw options.fault(
      'option "mode" needs "path", only a Unix socket has one',
    );
  }
}
