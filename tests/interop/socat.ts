// socat as a relay.

import { Daemon } from "../daemons.ts";
import { testRelay } from "./relay.ts";

function socat(port: number, ...flags: string[]) {
  return Daemon.start("socat", ({ ports }) =>
    [
      ...flags,
      `TCP-LISTEN:${ports[0]},bind=127.0.0.1,fork,reuseaddr`,
      `TCP:127.0.0.1:${port}`,
    ].join("\n"));
}

testRelay({
  name: "socat",
  needs: "socat",
  start: (port) => socat(port),
});

testRelay({
  name: "socat, `-t 60`",
  needs: "socat",
  start: (port) => socat(port, "-t", "60"),
});
