/**
 * Certificates of a server that speaks TLS.
 *
 * @module
 */

import { OptionReader } from "../shared/option_reader.ts";
import type { CheckedOptions } from "./checked_options.ts";

/** The certificate of a TLS server and its private key, both in PEM. */
export interface Certificate {
  /** The certificate chain in PEM. */
  readonly cert: string;
  /** The private key in PEM. */
  readonly key: string;
}

/**
 * Checks a certificate that takes the place of the one in the options.
 *
 * @param options The options of a listener.
 * @param certificate The certificate as given.
 * @returns The options with that certificate.
 * @throws {TypeError} If it is of the wrong type, or the listener cannot change
 * its certificate.
 */
export function withCertificate(
  options: CheckedOptions,
  certificate: Certificate,
): CheckedOptions {
  const given = new OptionReader<Certificate>(
    "set the certificate",
    certificate,
  );
  const cert = given.string("cert");
  const key = given.string("key");
  given.checkNames();
  given.pair("cert", "key");
  if (cert === undefined) throw given.wrong("cert", "a string");
  if (options.cert === undefined) {
    throw given.fault(
      "the server does not speak TLS. Start it with `cert` and `key`.",
    );
  }
  if (Deno.build.os !== "linux") {
    throw given.fault(
      `that needs \`reusePort\`, which Deno does not have on ${Deno.build.os}. ` +
        "Restart the server, or have a proxy end TLS.",
    );
  }
  if (!options.reusePort) {
    throw given.fault(
      "a new listener must be open before the old one is closed. Start the " +
        "server with `reusePort`.",
    );
  }
  return { ...options, cert, key };
}
