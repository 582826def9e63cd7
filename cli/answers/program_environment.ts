/**
 * The environment of a program, which describes the connection as ucspi-tcp's
 * `tcpserver` does.
 *
 * @module
 */

import type { Conn } from "../../server.ts";

/**
 * Makes the environment of a program: that of the server, with the variables that
 * describe its connection, and without those that describe another one.
 *
 * @param conn The connection.
 * @param tls Whether it speaks TLS.
 * @param canRemove Whether variables can be removed. Otherwise they are blank.
 */
export function environmentOf(
  conn: Conn,
  tls: boolean,
  canRemove: boolean,
): Pick<Deno.CommandOptions, "env" | "clearEnv"> {
  const about = describe(conn, tls);
  if (!canRemove) return { env: { ...blank, ...about } };
  const kept = Object.entries(Deno.env.toObject())
    .filter(([name]) => !stale.test(name));
  return { clearEnv: true, env: { ...Object.fromEntries(kept), ...about } };
}

/** The environment variables that describe a connection. */
function describe(conn: Conn, tls: boolean): Record<string, string> {
  const { localAddr: local, remoteAddr: remote } = conn;
  if (local.transport !== "tcp" || remote.transport !== "tcp") {
    // Deno's types do not say that it may be null.
    const path = ("path" in local ? local.path : "") as string | null;
    return { PROTO: "UNIX", UNIXLOCALPATH: path ?? "" };
  }
  const about = (prefix: string) => ({
    [`${prefix}LOCALIP`]: local.hostname,
    [`${prefix}LOCALPORT`]: `${local.port}`,
    [`${prefix}REMOTEIP`]: remote.hostname,
    [`${prefix}REMOTEPORT`]: `${remote.port}`,
  });
  return tls
    ? { PROTO: "SSL", ...about("SSL"), ...about("TCP") }
    : { PROTO: "TCP", ...about("TCP") };
}

/**
 * Variables of ucspi-tcp, ucspi-ssl, ucspi-unix, s6 and ipsvd, which would
 * describe another connection. `SSL_CERT_FILE` and the like are settings.
 */
const stale =
  /^(?:(?:TCP|SSL|UNIX|IPC)(?:LOCAL|REMOTE|CONN|ORIG|CONCURRENCY)|SSL_(?:CIPHER|CLIENT|PEER|PROTOCOL|SERVER|SESSION|TLS|VERSION)|NOTIFY_SOCKET$)/;

const blank = Object.fromEntries(
  ([
    ["", "NOTIFY_SOCKET TCPCONNNUM IPCCONNNUM"],
    ["SSL_", "CIPHER PROTOCOL PEER_CERT_HASH TLS_SNI_SERVERNAME"],
    ["SSL_CLIENT_", "CERT S_DN I_DN VERIFY"],
    ...["IPC", "UNIX"].map((prefix) => [
      prefix,
      "LOCALPATH REMOTEPATH REMOTEPID REMOTEUID REMOTEGID REMOTEEUID REMOTEEGID",
    ]),
    ...["SSL", "TCP"].map((prefix) => [
      prefix,
      "LOCALHOST LOCALIP LOCALPORT REMOTEHOST REMOTEINFO REMOTEIP REMOTEPORT",
    ]),
  ] as [string, string][]).flatMap(([prefix, names]) =>
    names.split(" ").map((name) => [prefix + name, ""])
  ),
);
