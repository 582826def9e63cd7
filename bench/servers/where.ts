// Where the servers listen that run on Deno: `tcp`, `tls`, or the path of a Unix
// socket.

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
  if (where === "tcp") return local;
  return where === "tls" ? { ...local, ...certificate() } : { path: where };
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
