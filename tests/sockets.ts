// Clients on sockets, which behave: they send, half-close and read.

/** Where servers of tests listen. */
export const local = { hostname: "127.0.0.1", port: 0 };

/**
 * Ports on which nobody listens, for servers that cannot choose one. They stay
 * free: one that the kernel chooses could be the own port of some client by the
 * time that it is needed.
 */
export function freePorts(count: number): number[] {
  const listeners: Deno.TcpListener[] = [];
  while (listeners.length < count) {
    const port = 1024 + Math.floor(Math.random() * (firstOfClients() - 1024));
    try {
      listeners.push(Deno.listen({ ...local, port }));
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  return listeners.map((listener) => {
    listener.close();
    return listener.addr.port;
  });
}

/** The first of the ports that the kernel chooses for clients. */
function firstOfClients(): number {
  if (Deno.build.os !== "linux") return 32_768;
  const range = "/proc/sys/net/ipv4/ip_local_port_range";
  return parseInt(Deno.readTextFileSync(range));
}

/** A port on which nobody listens. */
export function freePort(): number {
  const [port = 0] = freePorts(1);
  return port;
}

/** Waits for some milliseconds, or not at all. */
export async function pause(milliseconds: number): Promise<void> {
  if (milliseconds === 0) return;
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Where a server listens: without a host name, on this machine. */
export type Place = Deno.Addr | { hostname?: string; port: number };

export function connect(place: Place): Promise<Deno.Conn> {
  if ("path" in place) {
    return Deno.connect({ transport: "unix", path: place.path });
  }
  const { hostname = "127.0.0.1", port } = place as Deno.NetAddr;
  return Deno.connect({ hostname, port });
}

/** Connects, or whatever it takes, as soon as the machine has room for it. */
export async function whenThereIsRoom<Conn>(
  dial: () => Promise<Conn>,
): Promise<Conn> {
  for (;;) {
    try {
      return await dial();
    } catch (error) {
      // All ports are in TIME_WAIT, or the backlog of a Unix socket is full.
      const { code = "" } = error as { code?: string };
      if (code !== "EADDRNOTAVAIL" && code !== "EAGAIN") throw error;
      await pause(20);
    }
  }
}

function bytesOf(request: string | Uint8Array): Uint8Array {
  return typeof request === "string"
    ? new TextEncoder().encode(request)
    : request;
}

export async function writeAll(
  conn: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    sent += await conn.write(bytes.subarray(sent));
  }
}

/** A client that has begun its request, and has yet to end it. */
export async function begin(
  place: Place,
  request: string | Uint8Array,
): Promise<Deno.Conn> {
  const conn = await connect(place);
  await writeAll(conn, bytesOf(request));
  return conn;
}

/** A client that has sent its request and its FIN, and has yet to read. */
export async function send(
  place: Place,
  request: string | Uint8Array,
): Promise<Deno.Conn> {
  const conn = await begin(place, request);
  await conn.closeWrite();
  return conn;
}

/** A client that does all right: sends, half-closes, reads to the end. */
export async function exchange(
  place: Place,
  request: string | Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  return await exchangeOn(await connect(place), request);
}

/** As `exchange()`, for a client that is connected. */
export async function exchangeOn(
  conn: Deno.Conn,
  request: string | Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const reply = readBytes(conn);
  await writeAll(conn, bytesOf(request));
  await conn.closeWrite();
  return await reply;
}

/** As `exchange()`, for text. */
export async function ask(place: Place, request = ""): Promise<string> {
  return new TextDecoder().decode(await exchange(place, request));
}

export function readBytes(conn: Deno.Conn): Promise<Uint8Array<ArrayBuffer>> {
  return new Response(conn.readable).bytes();
}

export function readText(conn: Deno.Conn): Promise<string> {
  return new Response(conn.readable).text();
}

/** Waits until nothing listens there any more: all that came before is accepted. */
export async function untilRefused(place: Place): Promise<void> {
  for (;;) {
    try {
      (await connect(place)).close();
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return;
      // It was in the backlog as the listener closed.
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    // Too many of these would fill the backlog, and then wait themselves.
    await pause(20);
  }
}
