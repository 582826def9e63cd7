// What speaks TLS in tests: the secrets of servers, and clients that trust them.

const testdata = `${import.meta.dirname}/testdata`;

/** The files in PEM. */
export const certFile = `${testdata}/localhost.pem`;
export const keyFile = `${testdata}/localhost.key`;
export const authorityFile = `${testdata}/ca.pem`;

export const cert = Deno.readTextFileSync(certFile);
export const key = Deno.readTextFileSync(keyFile);
export const caCerts = [Deno.readTextFileSync(authorityFile)];

export function connectTls(port: number): Promise<Deno.TlsConn> {
  return Deno.connectTls({ hostname: "localhost", port, caCerts });
}
