/**
 * The length of the kernel's backlog.
 *
 * @module
 */

import { linesOf } from "../shared/streams.ts";

/** The state of a socket that listens. */
const LISTENING = "0A";

interface ListeningSocket {
  readonly port: number;
  /** How many connections wait. */
  readonly length: number;
  /** What its descriptors link to. */
  readonly link: string;
}

/**
 * Counts the connections that wait in the backlog of this process. Only Linux
 * tells, and Deno lets one read `/proc` only with all permissions.
 *
 * @param port The port that is listened on.
 * @returns How many wait, or `undefined` if that cannot be known.
 */
export async function backlogOf(port: number): Promise<number | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  // Otherwise Deno would prompt for it.
  const { state } = await Deno.permissions.query({ name: "read" });
  if (state !== "granted") return undefined;
  try {
    const tables = [
      await readTable("tcp"),
      // A machine may have no IPv6.
      await readTable("tcp6").catch(() => []),
    ];
    const own = ownSockets();
    const lengths = tables.flat()
      .filter((socket) => socket.port === port && own.has(socket.link))
      .map(({ length }) => length);
    return lengths.length === 0
      ? undefined
      : lengths.reduce((sum, length) => sum + length);
  } catch {
    // Something lacks: a permission, or the tables.
    return undefined;
  }
}

/** The sockets that listen, as the kernel's proc_net_tcp.rst describes them. */
async function readTable(protocol: string): Promise<ListeningSocket[]> {
  const sockets: ListeningSocket[] = [];
  const file = await Deno.open(`/proc/self/net/${protocol}`);
  for await (const line of linesOf(file.readable)) {
    const [, address = "", , state, queues = "", , , , , inode] = line.trim()
      .split(/\s+/);
    if (state === "st") continue;
    // They come first. A server may have many thousands of others.
    if (state !== LISTENING) break;
    sockets.push({
      port: parseInt(address.split(":")[1] ?? "", 16),
      length: parseInt(queues.split(":")[1] ?? "", 16),
      link: `socket:[${inode}]`,
    });
  }
  return sockets;
}

/** The sockets of this process, which other processes may share a port with. */
function ownSockets(): Set<string> {
  const links = Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return ""; // closed meanwhile, as that of the folder itself
    }
  });
  return new Set(links);
}
