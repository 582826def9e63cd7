// Where the servers listen that run on Deno: `tcp`, `tls`, the path of a Unix
// socket, or `inherited:` before the first or the last of these.

import { KeptSocket } from "../../tests/kept_socket.ts";

const local = { hostname: "127.0.0.1", port: 0 };

function certificate() {
  const testdata = `${import.meta.dirname}/../../tests/testdata`;
  return {
    cert: Deno.readTextFileSync(`${testdata}/localhost.pem`),
    key: Deno.readTextFileSync(`${testdata}/localhost.key`),
  };
}

/** The options of ours. */
export function place(where = "tcp") {
  const [, inherited] = where.split("inherited:");
  if (inherited !== undefined) return { fd: kept(inherited).lend() };
  if (where === "tcp") return local;
  return where === "tls" ? { ...local, ...certificate() } : { path: where };
}

function kept(where: string): KeptSocket {
  return where === "tcp" ? KeptSocket.tcp() : KeptSocket.unix(where);
}

/** A listener to write a loop for. */
export function open(where = "tcp"): Deno.Listener {
  if (where === "tcp") return Deno.listen(local);
  return where === "tls"
    ? Deno.listenTls({ ...local, ...certificate() })
    : Deno.listen({ transport: "unix", path: where });
}

/** Tells that it listens. */
export function tell(addr: Deno.Addr): void {
  console.log("port" in addr ? addr.port : "listening");
}
