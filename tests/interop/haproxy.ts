// HAProxy, which passes TCP on, or ends TLS.

import { Daemon, haproxyBetween } from "../daemons.ts";
import { certFile, keyFile } from "../tls.ts";
import { testRelay } from "./relay.ts";

/** Starts one. HAProxy takes a certificate and its key in one file. */
function haproxy(port: number, flags: (folder: string) => string) {
  return Daemon.start("haproxy", ({ folder, ports }) => {
    const pem = [certFile, keyFile].map((file) => Deno.readTextFileSync(file));
    Deno.writeTextFileSync(`${folder}/both.pem`, pem.join(""));
    const bind = `127.0.0.1:${ports[0]} ${flags(folder)}`;
    return haproxyBetween(bind, `127.0.0.1:${port}`);
  });
}

testRelay({
  name: "HAProxy, `mode tcp`",
  needs: "haproxy",
  isSmoke: true,
  start: (port) => haproxy(port, () => ""),
});

testRelay({
  name: "HAProxy that ends TLS",
  needs: "haproxy",
  endsTls: true,
  start: (port) => haproxy(port, (folder) => `ssl crt ${folder}/both.pem`),
});
