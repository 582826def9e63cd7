/**
 * What can be asked of a request, and the checks before anything is connected.
 *
 * @module
 */

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

/** What a request without TLS cannot be given. */
export interface NoRequestTlsOptions {
  /** Only `true` turns on TLS. */
  tls?: false;
  /** Only for TLS. */
  caCerts?: never;
  /** Only for TLS. */
  alpnProtocols?: never;
  /** Only for TLS. */
  cert?: never;
  /** Only for TLS. */
  key?: never;
  /** Only for TLS. */
  unsafelyDisableHostnameVerification?: never;
}

/** What a request over a Unix socket cannot be given. */
export interface NoRequestTcpOptions extends NoRequestTlsOptions {
  /** Only for TCP. */
  hostname?: never;
  /** Only for TCP. */
  port?: never;
  /** Only for TCP. */
  autoSelectFamily?: never;
  /** Only for TCP. */
  autoSelectFamilyAttemptDelay?: never;
}

/** Options of {@linkcode request}: where to, how long and how much. */
export type RequestOptions =
  | RequestTcpOptions & NoRequestTlsOptions & { path?: never }
  | RequestTcpOptions & RequestTlsOptions & { path?: never }
  | RequestUnixOptions & NoRequestTcpOptions;

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
export function checkRequestOptions(
  options: RequestOptions,
): CheckedRequestOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot request: the options must be an object, received ${options}`,
    );
  }
  const { transport, ...given }: AnyOptions = options;
  for (const name of ["hostname", "path", "cert", "key"] as const) {
    checkType(given, name, "string");
  }
  for (
    const name of [
      "tls",
      "autoSelectFamily",
      "unsafelyDisableHostnameVerification",
    ] as const
  ) {
    checkType(given, name, "boolean");
  }
  for (const name of ["caCerts", "alpnProtocols"] as const) {
    const texts = given[name];
    if (texts === undefined) continue;
    if (!Array.isArray(texts) || texts.some((one) => typeof one !== "string")) {
      throw wrongType(name, "an array of strings", texts);
    }
  }
  if (given.signal !== undefined && !(given.signal instanceof AbortSignal)) {
    throw wrongType("signal", "an AbortSignal", given.signal);
  }
  checkWhere(given, transport);
  checkTls(given);
  checkInteger(given, "port", 1, 65_535);
  checkInteger(given, "autoSelectFamilyAttemptDelay", 1, 2 ** 31 - 1);
  checkInteger(given, "maxResponseBytes", 0, Infinity);
  checkTimeout(given.timeout);
  return {
    ...given,
    hostname: given.hostname ?? "127.0.0.1",
    timeout: given.timeout ?? 60_000,
    maxResponseBytes: given.maxResponseBytes ?? 16_777_216,
  };
}

/** Checks that the options name one place to connect to. */
function checkWhere(options: AnyOptions, transport: unknown): void {
  const { hostname, port, path } = options;
  if (path === undefined && port === undefined) {
    throw new TypeError(
      'Cannot request: where to is missing, give a "port" or the "path" of a Unix socket',
    );
  }
  if (path !== undefined) {
    const other = tcpNames.find((name) =>
      options[name] !== undefined && options[name] !== false
    );
    if (other) {
      throw new TypeError(
        `Cannot request: options "path" and "${other}" exclude each other, give only one of them`,
      );
    }
    if (path === "" || path.includes("\0")) {
      throw new TypeError(
        'Cannot request: option "path" must be the path of a socket, received ' +
          JSON.stringify(path),
      );
    }
  }
  if (hostname === "") {
    throw new TypeError(
      'Cannot request: option "hostname" must be a name or an address, received ""',
    );
  }
  const expected = path === undefined ? "tcp" : "unix";
  if (transport !== undefined && transport !== expected) {
    throw wrongType("transport", `"${expected}" here`, transport);
  }
}

function checkTls(options: AnyOptions): void {
  const idle = tlsNames.find((name) => options[name] !== undefined);
  if (idle && !options.tls) {
    throw new TypeError(
      `Cannot request: option "${idle}" needs "tls: true", without it nothing is encrypted`,
    );
  }
  const { cert, key, caCerts = [] } = options;
  if ((cert === undefined) !== (key === undefined)) {
    const [given, missing] = key === undefined
      ? ["cert", "key"]
      : ["key", "cert"];
    throw new TypeError(
      `Cannot request: option "${given}" needs "${missing}", TLS takes both`,
    );
  }
  // Deno passes over what holds no certificate; the server is then not trusted.
  if (!caCerts.every((text) => text.includes("-----BEGIN CERTIFICATE-----"))) {
    throw new TypeError(
      'Cannot request: option "caCerts" must be the texts of certificates in PEM, ' +
        "one of them holds no certificate",
    );
  }
}

function checkType(
  options: AnyOptions,
  name: keyof AnyOptions,
  type: "string" | "boolean",
): void {
  const value = options[name];
  if (value !== undefined && typeof value !== type) {
    throw wrongType(name, `a ${type}`, value);
  }
}

function checkInteger(
  options: AnyOptions,
  name: "port" | "autoSelectFamilyAttemptDelay" | "maxResponseBytes",
  min: number,
  max: number,
): void {
  const value = options[name];
  if (value === undefined) return;
  if (typeof value !== "number") throw wrongType(name, "a number", value);
  const unlimited = max === Infinity && value === Infinity;
  if ((!Number.isInteger(value) && !unlimited) || value < min || value > max) {
    const range = max === Infinity
      ? `a whole number from ${min}, or Infinity`
      : `a whole number from ${min} to ${max}`;
    throw outOfRange(name, range, value);
  }
}

function checkTimeout(timeout: unknown): void {
  if (timeout === undefined) return;
  if (typeof timeout !== "number") {
    throw wrongType("timeout", "a number", timeout);
  }
  if (!(timeout >= 1)) {
    throw outOfRange(
      "timeout",
      "at least 1 (milliseconds), or Infinity",
      timeout,
    );
  }
}

function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(
    `Cannot request: option "${name}" must be ${expected}, received ${
      Deno.inspect(value, { depth: 0 })
    }`,
  );
}

function outOfRange(name: string, expected: string, value: number): RangeError {
  return new RangeError(
    `Cannot request: option "${name}" must be ${expected}, received ${value}`,
  );
}
