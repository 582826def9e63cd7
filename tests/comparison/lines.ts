// The command lines that docs/comparison.md compares: how each tool does each task.
// The programs by hand, and the commands that they run, lie beside this file.

/** What is compared, in the order of the page's columns. */
export const tools = [
  "ncat",
  "socat",
  "tcpserver",
  "systemd",
  "Python",
  "Deno",
  "Node",
  "halfclose",
] as const;

export type Tool = typeof tools[number];

/** A line, or two: one that does not do the task, and one whose option does. */
export type Lines = string | readonly [plain: string, helped: string];

const at = "127.0.0.1 8080";
const socatAt = "TCP-LISTEN:8080,bind=127.0.0.1,reuseaddr,fork";
const systemd = "systemd-socket-activate --listen=127.0.0.1:8080";
const halfclose = "halfclose --host 127.0.0.1 --port 8080";

/** Runs a program for each connection. */
function running(program: string): Record<Tool, string> {
  const [word] = program.split(" ");
  return {
    ncat: `ncat -lk ${at} --sh-exec '${program}'`,
    socat: `socat -t 60 ${socatAt} 'EXEC:${program}'`,
    tcpserver: `tcpserver ${at} ${program}`,
    systemd: `${systemd} --accept --inetd ${program}`,
    Python: `python3 by_hand.py 8080 ${program}`,
    Deno: `deno run -N --allow-run=${word} by_hand.ts 8080 ${program}`,
    Node: `node by_hand.mjs 8080 ${program}`,
    halfclose: `${halfclose} -- ${program}`,
  };
}

const echo: Record<Tool, string> = {
  ...running("cat"),
  Python: "python3 by_hand.py 8080",
  Deno: "deno run -N by_hand.ts 8080",
  Node: "node by_hand.mjs 8080",
  halfclose,
};

/** What only a tool can do that answers after the client's FIN. */
function withoutNcat(
  { ncat: _, ...others }: Record<Tool, string>,
): Record<Exclude<Tool, "ncat">, string> {
  return others;
}

const dropBox: Record<Tool, string> = {
  ...running("./keep.sh"),
  halfclose: `${halfclose} --sink inbox`,
};

/** Serves one connection at a time, where it takes an option to do so. */
function oneAtATime(program: string): { socat: string; tcpserver: string } {
  return {
    socat: `socat -t 60 ${socatAt},max-children=1 'EXEC:${program}'`,
    tcpserver: `tcpserver -c 1 ${at} ${program}`,
  };
}

const slow = running("./slow.sh");
const alone = running("./alone.sh");

/** The lines of each task that a tool can be asked for. */
export const lines = {
  "An echo": echo,

  "A command that takes a second": {
    ...slow,
    socat: [slow.socat.replace(" -t 60", ""), slow.socat],
  },

  "A drop box that answers with the file's name": dropBox,

  "A control socket for its user alone": {
    ncat: "ncat -lkU control.sock --sh-exec cat",
    socat: [
      "socat UNIX-LISTEN:control.sock,fork EXEC:cat",
      "socat UNIX-LISTEN:control.sock,mode=600,fork EXEC:cat",
    ],
    systemd:
      'systemd-socket-activate --listen="$PWD/control.sock" --accept --inetd cat',
    Python: "python3 by_hand.py control.sock",
    Deno: "deno run -N -R -W by_hand.ts control.sock",
    Node: "node by_hand.mjs control.sock",
    halfclose: [
      "halfclose --unix control.sock",
      "halfclose --unix control.sock --mode 600",
    ],
  },

  "TLS": {
    ncat:
      `ncat -lk ${at} --ssl --ssl-cert cert.pem --ssl-key key.pem --exec /bin/cat`,
    socat:
      "socat OPENSSL-LISTEN:8080,bind=127.0.0.1,reuseaddr,fork,cert=cert.pem,key=key.pem,verify=0 EXEC:cat",
    Python: "python3 by_hand.py tls:8080",
    Deno: "deno run -N -R by_hand.ts tls:8080",
    Node: "node by_hand.mjs tls:8080",
    halfclose: `${halfclose} --tls-cert cert.pem --tls-key key.pem`,
  },

  "50 clients at once, with 100 kB each": {
    ...echo,
    socat: [echo.socat, `socat -t 60 ${socatAt},backlog=511 'EXEC:cat'`],
    tcpserver: [echo.tcpserver, `tcpserver -b 511 ${at} cat`],
  },

  "A reply after clients that reset": withoutNcat(echo),

  "A reply while another client is silent": {
    ...withoutNcat(echo),
    halfclose: [halfclose, `${halfclose} --read-ahead 8`],
  },

  "Nothing kept of a file that a reset cuts": dropBox,

  "A request of 1 GiB": {
    ...running("wc -c"),
    halfclose: [
      `${halfclose} -- wc -c`,
      `${halfclose} --max-request-bytes none -- wc -c`,
    ],
  },

  "A refusal of a request that is too large": running("wc -c"),

  "A response to a client that still sends": withoutNcat(
    running("head -c 8000000 /dev/zero"),
  ),

  "One exchange at a time": {
    ...withoutNcat(alone),
    socat: [alone.socat, oneAtATime("./alone.sh").socat],
    tcpserver: [alone.tcpserver, oneAtATime("./alone.sh").tcpserver],
  },

  // Where each has a process of its own, those go on: only lines that are stopped
  // while clients wait are compared.
  "A stop that serves all who wait": {
    ...oneAtATime("./slow.sh"),
    Python: slow.Python,
    Deno: slow.Deno,
    Node: slow.Node,
    halfclose: slow.halfclose,
  },
} satisfies Record<string, Partial<Record<Tool, Lines>>>;

export type Task = keyof typeof lines;
