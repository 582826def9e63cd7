/**
 * Whether the certificate of a server is to be trusted, beyond what `node:tls`
 * checks, and the errors of those that are not.
 *
 * @module
 */

import type crypto from "node:crypto";
import type tls from "node:tls";

/** What is asked of the certificate of a server. */
export interface Trust {
  readonly hostname: string;
  readonly caCerts: string[] | undefined;
  readonly unsafelyDisableHostnameVerification: boolean | undefined;
}

/**
 * What is wrong with a certificate that `node:tls` takes.
 *
 * @param peer The certificate of the server, and the chain that it has sent.
 * @param trust What is asked of it.
 * @returns The fault, if there is one.
 */
export function identityFault(
  peer: tls.DetailedPeerCertificate,
  { hostname, caCerts, unsafelyDisableHostnameVerification }: Trust,
): Error | undefined {
  if (peer.ca) return untrusted("it is made for an authority");
  if (caCerts && !isSigned(peer, caCerts)) {
    return untrusted("it is not signed by an authority that is trusted");
  }
  if (unsafelyDisableHostnameVerification) return undefined;
  const { checkServerIdentity } = process.getBuiltinModule("node:tls");
  // Only the names in the extension count, not a common name.
  return peer.subjectaltname && !checkServerIdentity(hostname, peer)
    ? undefined
    : untrusted(`it is not valid for name "${hostname}"`);
}

/**
 * Checks a certificate of our own and its key.
 *
 * @throws {Deno.errors.InvalidData} If one cannot be read, or they do not belong
 * together.
 */
export function checkPair(cert: string, key: string): void {
  const { createPrivateKey, X509Certificate } = process.getBuiltinModule(
    "node:crypto",
  );
  let isPair: boolean;
  try {
    isPair = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new Deno.errors.InvalidData(
      "`cert` or `key` cannot be read as PEM",
      { cause },
    );
  }
  if (isPair) return;
  throw new Deno.errors.InvalidData("`key` is not the key of `cert`");
}

/** What went wrong with TLS, as the error that Deno has for it. */
export function tlsError(error: Error & { code?: string }): Error {
  const { code = "", message } = error;
  if (error instanceof Deno.errors.InvalidData) return error;
  return code.startsWith("ERR_SSL")
    ? new Deno.errors.InvalidData(message, { cause: error })
    : untrusted(message, error);
}

function untrusted(why: string, cause?: Error): Error {
  return new Deno.errors.InvalidData(`invalid peer certificate: ${why}`, {
    cause,
  });
}

/**
 * Whether an authority has signed a certificate, perhaps through others that came
 * with it. With authorities of one's own, `node:tls` of Deno takes one in a form
 * that it cannot read, such as X.509 version 1, without looking at its signature:
 * anybody can make that.
 */
function isSigned(
  peer: tls.DetailedPeerCertificate,
  caCerts: string[],
): boolean {
  const { X509Certificate } = process.getBuiltinModule("node:crypto");
  const authorities = caCerts.flatMap((text) =>
    (text.match(certificate) ?? []).map((pem) => new X509Certificate(pem))
  );
  const [first, ...others] = chainOf(peer).map(({ raw }) =>
    new X509Certificate(raw)
  );
  return first !== undefined && isVouchedFor(first, others, authorities);
}

const certificate =
  /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** A certificate with those that it came with: the last may be its own issuer. */
function chainOf(
  peer: tls.DetailedPeerCertificate,
): tls.DetailedPeerCertificate[] {
  const chain = new Set<tls.DetailedPeerCertificate>();
  for (let next = peer; next && !chain.has(next);) {
    chain.add(next);
    next = next.issuerCertificate;
  }
  return [...chain];
}

function isVouchedFor(
  subject: crypto.X509Certificate,
  others: crypto.X509Certificate[],
  authorities: crypto.X509Certificate[],
): boolean {
  return authorities.some((one) =>
    one.fingerprint256 === subject.fingerprint256 || hasSigned(one, subject)
  ) ||
    others.some((other, i) =>
      other.ca && hasSigned(other, subject) &&
      isVouchedFor(other, others.toSpliced(i, 1), authorities)
    );
}

function hasSigned(
  issuer: crypto.X509Certificate,
  subject: crypto.X509Certificate,
): boolean {
  try {
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    // The kind of its key is not known here.
    return false;
  }
}
