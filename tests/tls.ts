// What speaks TLS in tests: the secrets of servers, and clients that trust them.

import { runProgram } from "./programs.ts";

const testdata = `${import.meta.dirname}/testdata`;

/** The files in PEM. */
export const certFile = `${testdata}/localhost.pem`;
export const keyFile = `${testdata}/localhost.key`;
export const authorityFile = `${testdata}/ca.pem`;

export const cert = Deno.readTextFileSync(certFile);
export const key = Deno.readTextFileSync(keyFile);
/** A certificate that the authority has not signed, and that says it has. */
export const forged = {
  cert: Deno.readTextFileSync(`${testdata}/forged.pem`),
  key: Deno.readTextFileSync(`${testdata}/forged.key`),
};
export const caCerts = [Deno.readTextFileSync(authorityFile)];

export function connectTls(port: number): Promise<Deno.TlsConn> {
  return Deno.connectTls({ hostname: "localhost", port, caCerts });
}

/** The files in PEM of a certificate that nobody else has. */
export interface PemFiles {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate for `localhost` that is its own authority, with openssl. */
export async function newCertificate(prefix: string): Promise<PemFiles> {
  const [cert, key] = [`${prefix}.pem`, `${prefix}.key`];
  const { code, stderr } = await runProgram("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(
      " ",
    ),
    ...["-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
    ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
  ]);
  if (code !== 0) {
    throw new Error(`openssl cannot make a certificate: ${stderr}`);
  }
  return { cert, key };
}
