// xinetd's `redirect`.

import { Daemon } from "../daemons.ts";
import { testRelay } from "./relay.ts";

testRelay({
  name: "xinetd, `redirect`",
  needs: "xinetd",
  start: (port) =>
    Daemon.start("xinetd", ({ ports }) => `
service relay
{
  type = UNLISTED
  bind = 127.0.0.1
  port = ${ports[0]}
  socket_type = stream
  protocol = tcp
  wait = no
  user = root
  redirect = 127.0.0.1 ${port}
}
`),
});
