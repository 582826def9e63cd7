// Plays a schedule on real sockets, and tells what happened.

import net from "node:net";
import {
  type Conn,
  type ExchangeRecord,
  listen,
  type ListenOptions,
  type ResponseBody,
  serve,
} from "../../server.ts";
import { apology, type Events, refusal, type Sight } from "./model.ts";
import { Random } from "./random.ts";
import type { Client, Schedule } from "./schedule.ts";

const testdata = new URL("../testdata/", import.meta.url);
const cert = Deno.readTextFileSync(new URL("localhost.pem", testdata));
const key = Deno.readTextFileSync(new URL("localhost.key", testdata));
const caCerts = [Deno.readTextFileSync(new URL("ca.pem", testdata))];

/** A server that is played with, whichever way it was made. */
interface Subject {
  addr: Deno.Addr;
  finished: Promise<void>;
  shutdown(): Promise<void>;
  close(): void;
}

/** What a client has to know of the server. */
interface Scene {
  addr: Deno.Addr;
  tls: boolean;
  isStopping: () => boolean;
  /** To be called when it is connected, or cannot be. */
  arrived: () => void;
  over: Promise<void>;
}

/** Plays a schedule to its end. It rejects if the server does. */
export async function play(schedule: Schedule): Promise<Events> {
  const { transport, options, stop } = schedule;
  const records: ExchangeRecord<Deno.Addr>[] = [];
  const requests: Uint8Array[] = [];
  let running = 0;
  let atOnce = 0;
  const handler = async (conn: Conn) => {
    atOnce = Math.max(atOnce, ++running);
    try {
      return await behave(schedule, conn, requests);
    } finally {
      running--;
    }
  };
  const folder = await Deno.makeTempDir({ prefix: "halfclose-fuzz-" });
  const controller = new AbortController();
  const subject = begin(schedule.api, {
    ...options,
    ...(transport === "unix"
      ? { path: `${folder}/socket` }
      : { hostname: "127.0.0.1", port: 0 }),
    ...(transport === "tls" && { cert, key }),
    signal: controller.signal,
    onRefuse: () => refusal,
    onExchange: (record: ExchangeRecord) => void records.push(record),
  } as ListenOptions, handler);
  let stopping = false;
  const over = Promise.withResolvers<void>();
  const allArrived = Promise.withResolvers<void>();
  let missing = schedule.clients.length;
  const scene: Scene = {
    addr: subject.addr,
    tls: transport === "tls",
    isStopping: () => stopping,
    arrived: () => {
      if (--missing === 0) allArrived.resolve();
    },
    over: over.promise,
  };
  const sights = schedule.clients.map((client) => act(client, scene));
  const end = async () => {
    if (stop) await pause(stop.delay);
    else {
      // Who waits for the server is only done when it is.
      const busy = sights.filter((_, i) => {
        const client = schedule.clients[i];
        return client?.ending !== "stay" && client?.reading !== "nothing";
      });
      await Promise.all([allArrived.promise, ...busy]);
    }
    stopping = true;
    if (stop?.by === "close") subject.close();
    if (stop?.by === "signal") controller.abort();
    await subject.shutdown();
    over.resolve();
  };
  try {
    await Promise.all([end(), subject.finished, ...sights]);
    return { sights: await Promise.all(sights), records, requests, atOnce };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function begin(
  api: Schedule["api"],
  options: ListenOptions,
  handler: (conn: Conn) => Promise<ResponseBody>,
): Subject {
  if (api === "serve") {
    const server = serve({ ...options, onError: () => apology }, handler);
    return {
      addr: server.addr,
      finished: server.finished,
      shutdown: () => server.shutdown(),
      close: () => {
        throw new TypeError("Cannot close what serve() gives: it has no such");
      },
    };
  }
  const listener = listen(options);
  const iterate = async () => {
    for await (const conn of listener) {
      try {
        const body = await handler(conn);
        if (body !== undefined) await conn.respond(body);
      } catch {
        // While it streams, reading throws what the client did.
      }
    }
  };
  return {
    addr: listener.addr,
    finished: iterate(),
    shutdown: () => listener.shutdown(),
    close: () => listener.close(),
  };
}

/** Handles an exchange as the schedule wants it. */
async function behave(
  { behaviour, fixedSize, seed }: Schedule,
  conn: Conn,
  requests: Uint8Array[],
): Promise<ResponseBody> {
  const read = async () => {
    const request = await conn.bytes();
    requests.push(request.slice());
    return request;
  };
  switch (behaviour) {
    case "echo":
      return await read();
    case "count":
      return `${(await read()).length} bytes`;
    case "fixed":
      return new Random(seed).bytes(fixedSize);
    case "cancel":
      await conn.readable.cancel();
      return new Random(seed).bytes(fixedSize);
    case "respond":
      await conn.respond(await read());
      return;
    case "stream":
      return conn.readable;
    case "chunks":
      return inTurns(conn.readable);
    case "pieces": {
      const writer = conn.writable.getWriter();
      for (const piece of piecesOf(await read())) await writer.write(piece);
      return await writer.close() as undefined;
    }
    case "nothing":
      return;
    case "throw":
      throw new Error("from the handler");
    case "break": {
      const request = await read();
      return (function* () {
        yield* piecesOf(request);
        throw new Error("from the body");
      })();
    }
    case "abort":
      return conn.abort() as undefined;
    case "hang":
      await new Promise((resolve) => {
        if (conn.signal.aborted) resolve(undefined);
        conn.signal.addEventListener("abort", resolve);
      });
      return "too late";
  }
}

async function* inTurns(chunks: AsyncIterable<Uint8Array<ArrayBuffer>>) {
  for await (const chunk of chunks) {
    await pause(1);
    yield chunk;
  }
}

function piecesOf(bytes: Uint8Array<ArrayBuffer>) {
  const third = Math.ceil(bytes.length / 3);
  return [0, 1, 2].map((i) => bytes.subarray(i * third, (i + 1) * third));
}

/** Does all that a client does. */
async function act(client: Client, scene: Scene): Promise<Sight> {
  await pause(client.delay);
  let wire: Wire;
  try {
    wire = await connect(scene, client);
  } catch {
    scene.arrived();
    return {
      connected: "never",
      port: undefined,
      bytes: new Uint8Array(),
      end: "error",
    };
  }
  const connected = scene.isStopping() ? "late" : "in time";
  scene.arrived();
  const reader = new Reader(wire);
  const reading = client.reading === "at once" ? reader.read() : undefined;
  try {
    await write(wire, client);
    if (client.ending === "fin" || client.reading === "some") {
      await wire.closeWrite();
    }
  } catch {
    // The server has closed before: there may be something to read.
  }
  // Who leaves without a FIN has nothing to wait for.
  if (client.ending === "fin" || client.ending === "stay") {
    if (client.reading === "after writing") await reader.read();
    await reading;
  }
  if (client.reading === "some") await reader.read(client.some);
  if (client.reading === "nothing") await scene.over;
  const { port } = wire;
  await wire.leave();
  await reading;
  return { connected, port, bytes: reader.bytes, end: reader.end };
}

async function write(wire: Wire, { request, cuts }: Client): Promise<void> {
  let from = 0;
  for (const { at, delay } of cuts) {
    await wire.write(request.subarray(from, at));
    await pause(delay);
    from = at;
  }
  await wire.write(request.subarray(from));
}

/** Gathers what a client reads. */
class Reader {
  end: Sight["end"] = "left";
  readonly #wire: Wire;
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Reads to the end, or until there are so many bytes. */
  async read(enough = Infinity): Promise<void> {
    try {
      while (this.#size < enough) {
        const chunk = await this.#wire.read();
        if (!chunk) {
          this.end = "eof";
          return;
        }
        this.#chunks.push(chunk);
        this.#size += chunk.length;
      }
    } catch {
      this.end = "error";
    }
  }

  get bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#size);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }
}

/** A client's end of a connection. */
interface Wire {
  readonly port: number | undefined;
  write(bytes: Uint8Array): Promise<void>;
  closeWrite(): Promise<void>;
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Leaves, in its own way. */
  leave(): Promise<void>;
}

/** Connects as fits the server, with a RST at hand if that is needed. */
async function connect(
  { addr, tls }: Scene,
  { ending }: Client,
): Promise<Wire> {
  if (addr.transport === "unix") {
    return new FairWire(
      await Deno.connect({ transport: "unix", path: addr.path }),
    );
  }
  const { port } = addr as Deno.NetAddr;
  if (tls) {
    const where = { hostname: "localhost", port, caCerts };
    return new FairWire(await Deno.connectTls(where));
  }
  if (ending === "reset") return await RudeWire.connect(port);
  return new FairWire(await Deno.connect({ hostname: "127.0.0.1", port }));
}

class FairWire implements Wire {
  readonly #conn: Deno.Conn;
  readonly #buffer = new Uint8Array(65_536);

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  get port(): number | undefined {
    const { localAddr } = this.#conn;
    return "port" in localAddr ? localAddr.port : undefined;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#conn.write(bytes.subarray(sent));
    }
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const read = await this.#conn.read(this.#buffer);
    return read === null ? null : this.#buffer.slice(0, read);
  }

  leave(): Promise<void> {
    this.#conn.close();
    return Promise.resolve();
  }
}

/** One that leaves with a RST. */
class RudeWire implements Wire {
  readonly port: number | undefined;
  readonly #socket: net.Socket;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.port = socket.localPort;
  }

  static async connect(port: number): Promise<RudeWire> {
    const where = { port, host: "127.0.0.1", allowHalfOpen: true };
    const socket = net.connect(where);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    socket.on("error", () => {});
    return new RudeWire(socket);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve())
    );
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const socket = this.#socket;
    while (socket.readableLength === 0) {
      if (socket.errored) throw socket.errored;
      if (socket.destroyed) throw new Error("The socket was reset");
      if (socket.readableEnded) return null;
      await new Promise<void>((resolve) => {
        for (const event of ["readable", "end", "close"]) {
          socket.once(event, resolve);
        }
        socket.read(0);
      });
    }
    return new Uint8Array(socket.read());
  }

  async leave(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise((resolve) =>
      this.#socket.once("close", resolve)
    );
    this.#socket.resetAndDestroy();
    await closed;
  }
}

/** Waits for some milliseconds, or not at all. */
export async function pause(milliseconds: number): Promise<void> {
  if (milliseconds === 0) return;
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
