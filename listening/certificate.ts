/**
 * Certificates of a server that speaks TLS.
 *
 * @module
 */

import { OptionChecks } from "../exchange/option_checks.ts";
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
  const checks = new OptionChecks("set the certificate", certificate);
  checks.type("string", ["cert", "key"]);
  checks.pair("cert", "key");
  if (!checks.has("cert")) throw checks.wrong("cert", "a string");
  if (options.cert === undefined) {
    throw checks.fault(
      "the server does not speak TLS, start it with `cert` and `key`",
    );
  }
  if (!options.reusePort) {
    throw checks.fault(
      "a new listener must be open before the old one is closed, start the " +
        "server with `reusePort`",
    );
  }
  const { cert, key } = certificate;
  return { ...options, cert, key };
}
