// stunnel, which ends TLS.

import { Daemon } from "../daemons.ts";
import { certFile, keyFile } from "../tls.ts";
import { testRelay } from "./relay.ts";

testRelay({
  name: "stunnel",
  needs: "stunnel",
  endsTls: true,
  start: (port) =>
    Daemon.start("stunnel", ({ ports }) => `
foreground = quiet
pid =
[front]
accept = 127.0.0.1:${ports[0]}
connect = 127.0.0.1:${port}
cert = ${certFile}
key = ${keyFile}
`),
});
