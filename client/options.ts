/**
 * The options of a request, and their checks before anything is connected.
 *
 * @module
 */

import { checkDenoVersion } from "../shared/deno_version.ts";
import { OptionReader } from "../shared/option_reader.ts";

/** The signal and the limits: options of every request. */
export interface RequestLimits {
  /**
   * Ends the request at once when it is aborted, whatever is under way. The call,
   * or reading the reply, then rejects with the signal's reason.
   */
  signal?: AbortSignal;
  /**
   * How long everything may take, in milliseconds, from the call until the
   * reply is read to its end: at least 1, or `Infinity` for no limit. The time
   * that the request waits in the backlog of the server counts.
   *
   * @default {60_000}
   */
  timeout?: number;
  /**
   * How large the reply may be, in bytes, also when it is streamed: a whole
   * number from 0, or `Infinity` for no limit. Reading a larger one rejects with
   * a {@linkcode ReplyTooLargeError}.
   *
   * @default {16_777_216}
   */
  maxReplyBytes?: number;
}

/**
 * Options of a request over TCP. `{ port: 8080 }` is enough; the `addr` of a
 * server is a valid value, too.
 */
export interface RequestTcpOptions extends RequestLimits {
  /**
   * The name or address to connect to.
   *
   * @default {"127.0.0.1"}
   */
  hostname?: string;
  /** The port to connect to, from 1 to 65535. */
  port: number;
  /**
   * Nothing to set: a {@linkcode Deno.NetAddr} has it. Only `"tcp"` is accepted.
   *
   * @default {"tcp"}
   */
  transport?: Deno.NetAddr["transport"];
  /**
   * Whether to try the IPv4 and IPv6 addresses of a name in turn
   * ({@link https://www.rfc-editor.org/rfc/rfc8305 | RFC 8305}).
   *
   * @default {true}
   */
  autoSelectFamily?: boolean;
  /**
   * How long to wait for one address before the next is tried as well, in
   * milliseconds.
   *
   * @default {250}
   */
  autoSelectFamilyAttemptDelay?: number;
}

/** Options of a request over TLS, besides those of {@linkcode RequestTcpOptions}. */
export interface RequestTlsOptions {
  /** Turns on TLS. */
  tls: true;
  /** Certificates in PEM of the authorities to trust, in place of those of Deno. */
  caCerts?: string[];
  /** The protocols to offer (ALPN). None by default. */
  alpnProtocols?: string[];
  /** The chain of our own certificate in PEM. It needs `key`. */
  cert?: string;
  /** The private key of our own certificate in PEM. It needs `cert`. */
  key?: string;
  /**
   * Whether to accept a trusted certificate for another name.
   *
   * @default {false}
   */
  unsafelyDisableHostnameVerification?: boolean;
}

/**
 * Options of a request over a Unix socket. The `addr` of a server is a valid
 * value.
 */
export interface RequestUnixOptions extends RequestLimits {
  /** The path of the socket. */
  path: string;
  /**
   * Nothing to set: a {@linkcode Deno.UnixAddr} has it. Only `"unix"` is accepted.
   *
   * @default {"unix"}
   */
  transport?: Deno.UnixAddr["transport"];
}

/**
 * Options of {@linkcode request}: where to connect, and the limits.
 *
 * They are one of these; options of two of them exclude each other:
 *
 * - {@linkcode RequestTcpOptions}, with a `port`: TCP;
 * - the same and {@linkcode RequestTlsOptions}, with `tls: true`: TLS;
 * - {@linkcode RequestUnixOptions}, with a `path`: a Unix socket.
 *
 * Each also takes the `signal` and the limits of {@linkcode RequestLimits}.
 *
 * @example Usage
 * ```ts
 * import type { RequestOptions } from "@halfclose/server/client";
 *
 * const options: RequestOptions[] = [
 *   { port: 8080 },
 *   { hostname: "print.example.com", port: 9100, timeout: 10_000 },
 *   { hostname: "print.example.com", port: 9101, tls: true },
 *   { path: "/run/control.sock", signal: AbortSignal.timeout(1_000) },
 * ];
 * ```
 */
export type RequestOptions =
  | RequestTcpOptions
    & { tls?: false }
    & {
      [Name in Exclude<keyof RequestTlsOptions, "tls"> | "path"]?: undefined;
    }
  | RequestTcpOptions & RequestTlsOptions & { path?: undefined }
  | RequestUnixOptions
    & { tls?: false }
    & {
      [
        Name in Exclude<
          keyof (RequestTcpOptions & RequestTlsOptions),
          keyof RequestLimits | "transport" | "tls"
        >
      ]?: undefined;
    };

/** All options by name. */
type AnyOptions =
  & Partial<Omit<RequestTcpOptions & RequestTlsOptions, "tls" | "transport">>
  & { tls?: boolean; path?: string; transport?: string };

const tlsNames = [
  "caCerts",
  "alpnProtocols",
  "cert",
  "key",
  "unsafelyDisableHostnameVerification",
] as const;
const tcpNames = [
  "hostname",
  "port",
  "autoSelectFamily",
  "autoSelectFamilyAttemptDelay",
  "tls",
  ...tlsNames,
] as const;

/** Checked options, with all defaults. */
export type CheckedRequestOptions = ReturnType<typeof checkRequestOptions>;

/**
 * Checks options and fills in the defaults.
 *
 * @param given The options as given.
 * @returns The options with defaults.
 * @throws {TypeError} If an option is missing or of the wrong type, or two
 * exclude each other.
 * @throws {RangeError} If a number is out of range.
 * @throws {Deno.errors.NotSupported} If this Deno is too old.
 */
export function checkRequestOptions(given: object) {
  checkDenoVersion("request");
  const options = new OptionReader<AnyOptions>("request", given);
  const checked = {
    hostname: options.hostname("hostname") ?? "127.0.0.1",
    port: options.integer("port", 1, 65_535),
    autoSelectFamily: options.boolean("autoSelectFamily"),
    autoSelectFamilyAttemptDelay: options.integer(
      "autoSelectFamilyAttemptDelay",
      1,
      2 ** 31 - 1,
    ),
    tls: options.boolean("tls"),
    caCerts: options.strings("caCerts"),
    alpnProtocols: options.strings("alpnProtocols"),
    cert: options.string("cert"),
    key: options.string("key"),
    unsafelyDisableHostnameVerification: options.boolean(
      "unsafelyDisableHostnameVerification",
    ),
    path: options.path("path"),
    signal: options.signal("signal"),
    timeout: options.time("timeout", 1) ?? 60_000,
    maxReplyBytes: options.integer("maxReplyBytes", 0, Infinity) ??
      16_777_216,
  };
  options.value("transport");
  options.checkNames();
  checkWhere(options);
  checkTls(checked, options);
  return checked;
}

/** Checks that the options name exactly one place to connect to. */
function checkWhere(options: OptionReader<AnyOptions>): void {
  if (!options.has("path") && !options.has("port")) {
    throw options.fault(
      'there is no place to connect to. Give a "port" or the "path" of a ' +
        "Unix socket.",
    );
  }
  if (options.has("path")) {
    const other = tcpNames.find((name) =>
      options.has(name) && options.value(name) !== false
    );
    if (other) throw options.exclusive("path", other);
  }
  options.transport("transport", options.has("path") ? "unix" : "tcp");
}

function checkTls(
  { tls, caCerts = [], alpnProtocols = [] }: CheckedRequestOptions,
  options: OptionReader<AnyOptions>,
): void {
  const unused = tlsNames.find((name) => options.has(name));
  if (unused && !tls) {
    throw options.fault(
      `option "${unused}" needs "tls: true", without it nothing is encrypted`,
    );
  }
  options.pair("cert", "key");
  // Deno ignores a text without a certificate: the server is then not trusted.
  if (!caCerts.every((text) => text.includes("-----BEGIN CERTIFICATE-----"))) {
    throw options.fault(
      'option "caCerts" must be the texts of certificates in PEM, one of them ' +
        "holds no certificate",
    );
  }
  const sizes = alpnProtocols.map((text) =>
    new TextEncoder().encode(text).length
  );
  if (sizes.every((size) => size >= 1 && size <= 255)) return;
  throw options.wrong("alpnProtocols", "names of 1 to 255 bytes");
}
