// nginx (`stream`), with and without half-closes, and ending TLS.

import { Daemon, nginxStream } from "../daemons.ts";
import { certFile, keyFile } from "../tls.ts";
import { testRelay } from "./relay.ts";

function nginx(port: number, more: string, flags = "") {
  return Daemon.start("nginx", ({ ports }) => `
load_module ${nginxStream};
pid nginx.pid;
events {}
stream {
  server {
    listen 127.0.0.1:${ports[0]} ${flags};
    proxy_pass 127.0.0.1:${port};
    ${more}
  }
}
`);
}

testRelay({
  name: "nginx (`stream`)",
  needs: "nginx",
  start: (port) => nginx(port, ""),
});

testRelay({
  name: "nginx, `proxy_half_close on`",
  needs: "nginx",
  start: (port) => nginx(port, "proxy_half_close on;"),
});

testRelay({
  name: "nginx that ends TLS, `proxy_half_close on`",
  needs: "nginx",
  endsTls: true,
  start: (port) => {
    const files =
      `ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};`;
    return nginx(port, `proxy_half_close on; ${files}`, "ssl");
  },
});
