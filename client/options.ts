/**
 * What can be asked of a request, and the checks before anything is connected.
 *
 * @module
 */

import { OptionChecks } from "../exchange/option_checks.ts";

/** How long and how much: options of every request. */
export interface RequestLimits {
  /**
   * Ends the request at once when it is aborted, whatever is under way. What
   * fails by it fails with the signal's reason.
   */
  signal?: AbortSignal;
  /**
   * How long the whole may take, in milliseconds, from the call until the reply
   * is read to its end: at least 1, or `Infinity` for no limit. An iterative
   * server lets its clients wait in line, which is counted.
   *
   * @default {60_000}
   */
  timeout?: number;
  /**
   * How large the reply may be, in bytes, also when it is streamed: a whole
   * number from 0, or `Infinity` for no limit.
   *
   * @default {16_777_216}
   */
  maxResponseBytes?: number;
}

/** Options of a request over TCP. A server's `addr` will do. */
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
   * Nothing but `"tcp"`; the type is that of {@linkcode Deno.NetAddr}.
   *
   * @default {"tcp"}
   */
  transport?: Deno.NetAddr["transport"];
  /**
   * Whether to try the IPv4 and IPv6 addresses of a name by turns
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

/** What makes a request over TCP one over TLS. */
export interface RequestTlsOptions {
  /** Turns on TLS. */
  tls: true;
  /**
   * Certificates in PEM of authorities to trust besides those that Deno trusts.
   */
  caCerts?: string[];
  /** The protocols to offer (ALPN). None by default. */
  alpnProtocols?: string[];
  /** The chain of our own certificate in PEM. It needs a `key`. */
  cert?: string;
  /** The private key of our own certificate in PEM. It needs a `cert`. */
  key?: string;
  /**
   * Whether to take a trusted certificate that is made out to another name.
   *
   * @default {false}
   */
  unsafelyDisableHostnameVerification?: boolean;
}

/** Options of a request over a Unix socket. A server's `addr` will do. */
export interface RequestUnixOptions extends RequestLimits {
  /** The path of the socket. */
  path: string;
  /**
   * Nothing but `"unix"`; the type is that of {@linkcode Deno.UnixAddr}.
   *
   * @default {"unix"}
   */
  transport?: Deno.UnixAddr["transport"];
}

/** Options of {@linkcode request}: where to, how long and how much. */
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

/** All the options that there are, by name. */
type AnyOptions =
  & Partial<Omit<RequestTcpOptions & RequestTlsOptions, "tls" | "transport">>
  & { tls?: boolean; path?: string; transport?: string };

/** Options that have been checked, with all the defaults. */
export type CheckedRequestOptions =
  & Omit<AnyOptions, "transport">
  & { hostname: string; timeout: number; maxResponseBytes: number };

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

/**
 * Checks options and fills in the defaults.
 *
 * @param options What was asked for.
 * @returns The options to go by.
 * @throws {TypeError} If an option is missing or of the wrong type, or two
 * exclude each other.
 * @throws {RangeError} If a number is out of its range.
 */
export function checkRequestOptions(options: object): CheckedRequestOptions {
  const checks = new OptionChecks("request", options);
  const { transport, ...given }: AnyOptions = options;
  checks.type("string", ["hostname", "path", "cert", "key"]);
  checks.type("boolean", [
    "tls",
    "autoSelectFamily",
    "unsafelyDisableHostnameVerification",
  ]);
  for (const name of ["caCerts", "alpnProtocols"] as const) {
    const texts = given[name];
    if (texts === undefined) continue;
    if (!Array.isArray(texts) || texts.some((one) => typeof one !== "string")) {
      throw checks.wrong(name, "an array of strings");
    }
  }
  checks.signal("signal");
  checkWhere(given, transport, checks);
  checkTls(given, checks);
  checks.integer("port", 1, 65_535);
  checks.integer("autoSelectFamilyAttemptDelay", 1, 2 ** 31 - 1);
  checks.integer("maxResponseBytes", 0, Infinity);
  checks.time("timeout", 1);
  return {
    ...given,
    hostname: given.hostname ?? "127.0.0.1",
    timeout: given.timeout ?? 60_000,
    maxResponseBytes: given.maxResponseBytes ?? 16_777_216,
  };
}

/** Checks that the options name one place to connect to. */
function checkWhere(
  options: AnyOptions,
  transport: unknown,
  checks: OptionChecks,
): void {
  const { hostname, port, path } = options;
  if (path === undefined && port === undefined) {
    throw checks.fault(
      'where to is missing, give a "port" or the "path" of a Unix socket',
    );
  }
  if (path !== undefined) {
    const other = tcpNames.find((name) =>
      options[name] !== undefined && options[name] !== false
    );
    if (other) throw checks.exclusive("path", other);
    checks.path("path");
  }
  if (hostname === "") {
    throw checks.wrong("hostname", "a name or an address");
  }
  const expected = path === undefined ? "tcp" : "unix";
  if (transport !== undefined && transport !== expected) {
    throw checks.wrong("transport", `"${expected}" here`);
  }
}

function checkTls(options: AnyOptions, checks: OptionChecks): void {
  const idle = tlsNames.find((name) => options[name] !== undefined);
  if (idle && !options.tls) {
    throw checks.fault(
      `option "${idle}" needs "tls: true", without it nothing is encrypted`,
    );
  }
  checks.pair("cert", "key");
  // Deno passes over what holds no certificate; the server is then not trusted.
  const { caCerts = [] } = options;
  if (!caCerts.every((text) => text.includes("-----BEGIN CERTIFICATE-----"))) {
    throw checks.fault(
      'option "caCerts" must be the texts of certificates in PEM, one of them ' +
        "holds no certificate",
    );
  }
}
