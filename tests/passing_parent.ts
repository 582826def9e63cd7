// A parent of a few lines that passes listening sockets on, as systemd does.

/** What a parent says of the sockets that it passes on. */
export interface Passing {
  /** How many sockets it opens. */
  readonly count?: number;
  /** The path of the one socket, if it is not on TCP. */
  readonly path?: string;
  /** Variables that differ: by default they are as systemd sets them. */
  readonly env?: Readonly<Record<string, string>>;
  /** Variables that are missing. */
  readonly without?: readonly string[];
  /** Where the first socket is, unless it is descriptor 3. */
  readonly first?: number;
}

const parent = `
import json, os, socket, sys
passing = json.loads(sys.argv[1])
path = passing.get("path")
count = passing.get("count", 1)
first = passing.get("first", 3)
for i in range(count):
    if path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
    listener.listen(511)
    fd = listener.detach()
    if fd == first + i: os.set_inheritable(fd, True)
    else:
        os.dup2(fd, first + i)
        os.close(fd)
os.environ.update({"LISTEN_FDS": str(count), "LISTEN_PID": str(os.getpid())})
os.environ.update(passing.get("env", {}))
for name in passing.get("without", []): os.environ.pop(name, None)
os.execvp(sys.argv[2], sys.argv[2:])
`;

/**
 * The words before a program that open listening sockets and pass them on. The
 * process stays the same.
 */
export function passing(what: Passing = {}): string[] {
  return ["python3", "-c", parent, JSON.stringify(what)];
}
