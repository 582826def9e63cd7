// What the tests share: clients that behave, and clients that do not.

import net from "node:net";
import {
  type ExchangeRecord,
  type Handler,
  listen,
  type ListenOptions,
  type Outcome,
  serve,
  type ServeOptions,
} from "../mod.ts";

export type ServeTcpOptions = ServeOptions<undefined, undefined>;

/** Where tests listen. */
export const local = { hostname: "127.0.0.1", port: 0 };

export function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Bytes whose order matters. */
export function pattern(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

/** The flags for the import map that the tests themselves run under. */
export function importMap(): string[] {
  const url = import.meta.resolve("@std/cli/parse-args");
  if (!url.startsWith("file:")) return [];
  const path = url.startsWith(import.meta.resolve("../offline/"))
    ? `${import.meta.dirname}/../offline/import_map.json`
    : Deno.env.get("HALFCLOSE_IMPORT_MAP");
  if (path) return [`--import-map=${path}`];
  throw new Error("HALFCLOSE_IMPORT_MAP must be the path of the import map");
}

/** How many descriptors this process has open, where that can be known. */
export function descriptors(): number {
  if (Deno.build.os !== "linux") return 0;
  return Array.from(Deno.readDirSync("/proc/self/fd")).length;
}

/** Keeps the event loop from everything for some milliseconds. */
export function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

export function connect(addr: Deno.Addr): Promise<Deno.Conn> {
  if (addr.transport === "unix") {
    return Deno.connect({ transport: "unix", path: addr.path });
  }
  const { hostname, port } = addr as Deno.NetAddr;
  return Deno.connect({ hostname, port });
}

export async function writeAll(
  conn: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    sent += await conn.write(bytes.subarray(sent));
  }
}

/** A client that does all right: sends, half-closes, reads to the end. */
export async function exchange(
  addr: Deno.Addr,
  request: string | Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const conn = await connect(addr);
  const reply = new Response(conn.readable).bytes();
  await writeAll(conn, typeof request === "string" ? encode(request) : request);
  await conn.closeWrite();
  return await reply;
}

/** As `exchange()`, for text. */
export async function ask(addr: Deno.Addr, request = ""): Promise<string> {
  return new TextDecoder().decode(await exchange(addr, request));
}

/** A client that has sent its request and its FIN, and has yet to read. */
export async function send(
  addr: Deno.Addr,
  request: string | Uint8Array,
): Promise<Deno.Conn> {
  const conn = await connect(addr);
  await writeAll(conn, typeof request === "string" ? encode(request) : request);
  await conn.closeWrite();
  return conn;
}

export function readText(conn: Deno.Conn): Promise<string> {
  return new Response(conn.readable).text();
}

/** A client that can tear its connection down with a RST. */
export class RudeClient {
  readonly #socket: net.Socket;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
  }

  static async connect(addr: Deno.Addr): Promise<RudeClient> {
    const { hostname, port } = addr as Deno.NetAddr;
    const socket = net.connect({ port, host: hostname, allowHalfOpen: true });
    const client = new RudeClient(socket);
    await new Promise((resolve) => socket.once("connect", resolve));
    return client;
  }

  write(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => this.#socket.write(data, () => resolve()));
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  /** Waits until something has come, and leaves it unread. */
  async received(): Promise<void> {
    if (this.#socket.readableLength > 0) return;
    await new Promise((resolve) => this.#socket.once("readable", resolve));
  }

  /** Ends the connection with a RST. */
  async reset(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = new Promise((resolve) =>
      this.#socket.once("close", resolve)
    );
    this.#socket.resetAndDestroy();
    await closed;
  }
}

/** Collects what a server says of its exchanges, and lets tests wait for it. */
export class Records {
  readonly all: ExchangeRecord<Deno.Addr>[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  readonly add = (record: ExchangeRecord): void => {
    this.all.push(record);
    this.#waiting = this.#waiting.filter(({ count, resolve }) => {
      if (this.all.length < count) return true;
      resolve();
      return false;
    });
  };

  get outcomes(): Outcome[] {
    return this.all.map(({ outcome }) => outcome);
  }

  /** Waits for the record of the `count`th exchange. */
  async nth(count: number): Promise<ExchangeRecord> {
    if (this.all.length < count) {
      await new Promise<void>((resolve) =>
        this.#waiting.push({ count, resolve })
      );
    }
    const record = this.all[count - 1];
    if (!record) throw new Error(`There is no record ${count}`);
    return record;
  }
}

/** A listener with its records, whose connections the test takes itself. */
export function listenLocally(
  options: ListenOptions<undefined, undefined> = {},
) {
  const records = new Records();
  const listener = listen({ ...local, onExchange: records.add, ...options });
  return { listener, records };
}

/** A server with its records. It echoes unless told otherwise. */
export function serveLocally(
  options: ServeTcpOptions = {},
  handler: Handler<Deno.NetAddr> = (conn) => conn.bytes(),
) {
  const records = new Records();
  const server = serve(
    { ...local, onExchange: records.add, ...options },
    handler,
  );
  return { server, records };
}
