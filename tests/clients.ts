// Programs that people use as clients: those that half-close, and the others.

import type { ListenOptions } from "../mod.ts";
import { spawn } from "./programs.ts";
import { testIf } from "./support.ts";
import { authorityFile, cert, key } from "./tls.ts";

/** What a program says of itself, or nothing if it is not installed. */
export function said(program: string, ...args: string[]): string {
  try {
    const command = new Deno.Command(program, { args, stdin: "null" });
    const { stdout, stderr } = command.outputSync();
    return [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes))
      .join("");
  } catch {
    return "";
  }
}

// There are many programs called nc, with flags of their own.
const usageOfNc = said("nc", "-h");
/** Whether `nc` is the one of OpenBSD. */
export const hasNetcat = /-N\s+Shutdown the network socket/.test(usageOfNc);

const hasPython = said("python3", "--version").startsWith("Python 3");
const hasNode = said("node", "--version").startsWith("v");
const windows = Deno.build.os === "windows";
// It tells nothing of itself but its usage, which it prints for a wrong flag.
const hasFinger = said("finger", "-?").includes("usage: finger");

/** Whether a test may listen on a port that is not for all. */
function canListenOn(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

/** Which programs there are. */
const installed = {
  "nc with -N": hasNetcat,
  "nc with -N and -q": hasNetcat && usageOfNc.includes("-q secs"),
  "nc.traditional": said("nc.traditional", "-h").includes("-q secs"),
  "busybox nc": said("busybox", "nc", "--help").includes("IPADDR PORT"),
  "logger": said("logger", "--help").includes("--tcp"),
  "ncat": said("ncat", "--version").includes("Ncat"),
  "ncat with --ssl": said("ncat", "--help").includes("--ssl"),
  "socat": said("socat", "-V").includes("socat"),
  "socat with OpenSSL": said("socat", "-V").includes("WITH_OPENSSL 1"),
  "openssl 3": /^OpenSSL [3-9]/.test(said("openssl", "version")),
  "python3": hasPython,
  "python3 and Unix sockets": hasPython && !windows,
  "node": hasNode,
  "node and Unix sockets": hasNode && !windows,
  "bash": said("bash", "--version").includes("bash"),
  "mconnect": said("sh", "-c", "command -v mconnect") !== "",
  "curl": said("curl", "--version").startsWith("curl"),
  "whois": said("whois", "--version").includes("whois"),
  "telnet": said("telnet", "--version").includes("inetutils"),
  "finger and port 79": hasFinger && canListenOn(79),
  "zabbix_sender": said("zabbix_sender", "-V").includes("zabbix_sender"),
  "chromium": said("chromium", "--version").includes("Chromium"),
};

/** A program as a client: it sends its standard input and prints the reply. */
export interface Client<Addr extends Deno.Addr> {
  name: string;
  needs: keyof typeof installed;
  /** What the server needs for it. */
  options?: { cert: string; key: string };
  /** Whether it sends more than its input, or prints more than the reply. */
  addsItsOwn?: boolean;
  /** Whether its standard input stays open until it has the reply. */
  keepsInputOpen?: boolean;
  command: (addr: Addr) => [program: string, ...args: string[]];
}

/** A client in Python, for any way to open a socket. */
const python = (open: string) => `
import socket, ssl, sys
${open}
sock.sendall(sys.stdin.buffer.read())
sock.shutdown(socket.SHUT_WR)
while chunk := sock.recv(65536):
    sys.stdout.buffer.write(chunk)
`;

const pythonTcp = python(`
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
`);

const pythonUnix = python(`
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
`);

const pythonTlsCut = python(`
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
context = ssl.create_default_context(cafile=sys.argv[3])
sock = context.wrap_socket(sock, server_hostname="localhost")
`);

// SSLSocket.unwrap() fails if the reply comes before the server's close_notify,
// as replies do. Between buffers, unwrap() only writes our own.
const pythonTls = `
import socket, ssl, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
received, sending = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = ssl.create_default_context(cafile=sys.argv[3]).wrap_bio(
    received, sending, server_hostname="localhost")

def until_done(step, *args):
    while True:
        try:
            return step(*args)
        except ssl.SSLWantReadError:
            sock.sendall(sending.read())
            chunk = sock.recv(65536)
            received.write(chunk) if chunk else received.write_eof()

until_done(tls.do_handshake)
if request := sys.stdin.buffer.read():
    tls.write(request)
try:
    tls.unwrap()
except ssl.SSLWantReadError:
    sock.sendall(sending.read())
try:
    while True:
        sys.stdout.buffer.write(until_done(tls.read, 65536))
except ssl.SSLZeroReturnError:
    pass
`;

/** A client in Node.js, for any way to open a socket. */
const node = (open: string) => `
const [where, port, authority] = process.argv.slice(1);
const { readFileSync } = require("fs");
const socket = ${open};
socket.end(readFileSync(0));
socket.pipe(process.stdout);
`;

const nodeTcp = node(`require("net").connect(port, where)`);
const nodeUnix = node(`require("net").connect(where)`);
const nodeTls = node(
  `require("tls").connect(port, where, { ca: readFileSync(authority) })`,
);

/** Those that half-close and wait for the reply. */
const wellBehaved: Client<Deno.NetAddr>[] = [
  {
    name: "nc -N",
    needs: "nc with -N",
    command: ({ hostname, port }) => ["nc", "-N", hostname, `${port}`],
  },
  {
    name: "nc -q 0",
    needs: "nc with -N and -q",
    command: ({ hostname, port }) => ["nc", "-q", "0", hostname, `${port}`],
  },
  {
    name: "nc.traditional -q 60",
    needs: "nc.traditional",
    command: ({ hostname, port }) => {
      return ["nc.traditional", "-q", "60", hostname, `${port}`];
    },
  },
  {
    name: "busybox nc",
    needs: "busybox nc",
    command: ({ hostname, port }) => ["busybox", "nc", hostname, `${port}`],
  },
  {
    name: "ncat",
    needs: "ncat",
    command: ({ hostname, port }) => ["ncat", hostname, `${port}`],
  },
  {
    name: "socat -t 60",
    needs: "socat",
    command: ({ hostname, port }) => {
      return ["socat", "-t", "60", "-", `TCP:${hostname}:${port}`];
    },
  },
  {
    name: "Python's shutdown(SHUT_WR)",
    needs: "python3",
    command: ({ hostname, port }) => {
      return ["python3", "-c", pythonTcp, hostname, `${port}`];
    },
  },
  {
    name: "Node's socket.end()",
    needs: "node",
    command: ({ hostname, port }) => {
      return ["node", "-e", nodeTcp, hostname, `${port}`];
    },
  },
  {
    name: "socat -t 60 OPENSSL",
    needs: "socat with OpenSSL",
    options: { cert, key },
    command: ({ hostname, port }) => {
      const peer = `OPENSSL:${hostname}:${port}`;
      const check = `cafile=${authorityFile},commonname=localhost`;
      return ["socat", "-t", "60", "-", `${peer},${check}`];
    },
  },
  {
    name: "Python's ssl between buffers",
    needs: "python3",
    options: { cert, key },
    command: ({ hostname, port }) => {
      return ["python3", "-c", pythonTls, hostname, `${port}`, authorityFile];
    },
  },
  {
    name: "Node's tls",
    needs: "node",
    options: { cert, key },
    command: ({ hostname, port }) => {
      return ["node", "-e", nodeTls, hostname, `${port}`, authorityFile];
    },
  },
];

/** The same on a Unix socket. */
const onUnix: Client<Deno.UnixAddr>[] = [
  {
    name: "nc -U -N",
    needs: "nc with -N",
    command: ({ path }) => ["nc", "-U", "-N", path],
  },
  {
    name: "ncat -U",
    needs: "ncat",
    command: ({ path }) => ["ncat", "-U", path],
  },
  {
    name: "socat -t 60 UNIX-CONNECT",
    needs: "socat",
    command: ({ path }) => ["socat", "-t", "60", "-", `UNIX-CONNECT:${path}`],
  },
  {
    name: "Python's shutdown(SHUT_WR) on a Unix socket",
    needs: "python3 and Unix sockets",
    command: ({ path }) => ["python3", "-c", pythonUnix, path],
  },
  {
    name: "Node's socket.end() on a Unix socket",
    needs: "node and Unix sockets",
    command: ({ path }) => ["node", "-e", nodeUnix, path],
  },
];

/** Those that end the request as they should, but leave soon after that. */
const impatient: Client<Deno.NetAddr>[] = [
  {
    name: "socat without -t",
    needs: "socat",
    command: ({ hostname, port }) => ["socat", "-", `TCP:${hostname}:${port}`],
  },
  {
    name: "nc.traditional -q 0",
    needs: "nc.traditional",
    command: ({ hostname, port }) => {
      return ["nc.traditional", "-q", "0", hostname, `${port}`];
    },
  },
  {
    name: "openssl s_client -quiet -no_ign_eof",
    needs: "openssl 3",
    options: { cert, key },
    command: (addr) => [...sClient(addr), "-no_ign_eof"],
  },
];

/** A client that never half-closes. */
export interface EndlessClient extends Client<Deno.NetAddr> {
  /** What serves it all the same: each of these. */
  until: NonNullable<ListenOptions["until"]>[];
}

/** Those that never end the request. */
const endless: EndlessClient[] = [
  {
    name: "nc without -N",
    needs: "nc with -N",
    until: ["\n", { idle: 200 }],
    command: ({ hostname, port }) => ["nc", hostname, `${port}`],
  },
  {
    name: "bash's /dev/tcp",
    needs: "bash",
    until: ["\n", { idle: 200 }],
    command: ({ hostname, port }) => {
      const script = "exec 3<>/dev/tcp/$0/$1 && cat >&3 && cat <&3";
      return ["bash", "-c", script, hostname, `${port}`];
    },
  },
  {
    name: "mconnect",
    needs: "mconnect",
    addsItsOwn: true,
    until: ["\n", { idle: 200 }],
    command: ({ hostname, port }) => ["mconnect", hostname, `${port}`],
  },
  {
    name: "telnet",
    needs: "telnet",
    addsItsOwn: true,
    until: ["\r\n", "\n"],
    // At the end of its input it leaves at once.
    keepsInputOpen: true,
    command: ({ hostname, port }) => ["telnet", hostname, `${port}`],
  },
  {
    name: "whois",
    needs: "whois",
    addsItsOwn: true,
    until: ["\r\n", "\n"],
    command: ({ hostname, port }) => {
      return ["whois", "-h", hostname, "-p", `${port}`, "hello"];
    },
  },
  {
    name: "curl",
    needs: "curl",
    addsItsOwn: true,
    until: ["\r\n\r\n"],
    // Without --http0.9 it prints no response that lacks a status line.
    command: ({ hostname, port }) => {
      return ["curl", "--http0.9", "-s", `http://${hostname}:${port}/hello`];
    },
  },
  {
    name: "openssl s_client -quiet",
    needs: "openssl 3",
    options: { cert, key },
    until: ["\n", { idle: 200 }],
    command: sClient,
  },
];

/** Those that end the connection, but not the TLS session in it. */
const truncating: Client<Deno.NetAddr>[] = [
  {
    name: "ncat --ssl",
    needs: "ncat with --ssl",
    options: { cert, key },
    command: ({ hostname, port }) => ["ncat", "--ssl", hostname, `${port}`],
  },
  {
    name: "Python's SSLSocket.shutdown(SHUT_WR)",
    needs: "python3",
    options: { cert, key },
    command: ({ hostname, port }) => {
      return [
        "python3",
        "-c",
        pythonTlsCut,
        hostname,
        `${port}`,
        authorityFile,
      ];
    },
  },
];

/** All of them. */
export const clients = {
  wellBehaved,
  onUnix,
  impatient,
  endless,
  truncating,
};

function sClient({ hostname, port }: Deno.NetAddr): [string, ...string[]] {
  const peer = ["-connect", `${hostname}:${port}`, "-CAfile", authorityFile];
  return ["openssl", "s_client", ...peer, "-verify_return_error", "-quiet"];
}

/** Defines a test that is ignored, for all to see, where its client lacks. */
export function testWith(
  { needs }: { needs: keyof typeof installed },
  name: string,
  fn: () => Promise<void>,
): void {
  testIf(installed[needs], needs, name, fn);
}

/** Runs a client to its end, and gives the reply that it prints. */
export async function talk<Addr extends Deno.Addr>(
  { command, keepsInputOpen = false }: Pick<
    Client<Addr>,
    "command" | "keepsInputOpen"
  >,
  addr: Addr,
  request: Uint8Array,
): Promise<Uint8Array> {
  const [program, ...args] = command(addr);
  await using child = spawn(program, args, {
    stdin: "piped",
    stderr: "null",
  });
  const reply = new Response(child.stdout).bytes();
  const input = new Blob([request.slice()]).stream();
  // Some read no input, and may have ended already.
  await input.pipeTo(child.stdin, { preventClose: keepsInputOpen })
    .catch(() => {});
  await reply;
  if (keepsInputOpen) await child.stdin.close().catch(() => {});
  return await reply;
}
