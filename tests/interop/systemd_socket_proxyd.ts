// systemd-socket-proxyd, with the socket that systemd would give it.

import { Daemon } from "../daemons.ts";
import { testRelay } from "./relay.ts";

testRelay({
  name: "systemd-socket-proxyd",
  needs: "systemd-socket-activate",
  start: (port) =>
    Daemon.start("systemd-socket-activate", ({ ports }) =>
      [
        "-l",
        `127.0.0.1:${ports[0]}`,
        "/usr/lib/systemd/systemd-socket-proxyd",
        `127.0.0.1:${port}`,
      ].join("\n")),
});
