// The clients of a schedule: what each does, and what it comes to see.

import { type Reply, request, TimeoutError } from "../../client.ts";
import { RudeClient } from "../rude_client.ts";
import { connect, pause, type Place, writeAll } from "../sockets.ts";
import { caCerts, connectTls } from "../tls.ts";
import type { Sight } from "./model.ts";
import type { Client } from "./schedule.ts";

/** What a client has to know of the server. */
export interface Scene {
  addr: Place;
  tls: boolean;
  isStopping: () => boolean;
  /** To be called when it is connected, or cannot be. */
  arrived: () => void;
  over: Promise<void>;
}

/** Does all that a client does. */
export async function act(client: Client, scene: Scene): Promise<Sight> {
  await pause(client.delay);
  return await (client.ours ? actByRequest : actByHand)(client, scene);
}

async function actByHand(client: Client, scene: Scene): Promise<Sight> {
  let wire: Wire;
  try {
    wire = await dial(scene, client);
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

/** What cuts a client of ours. */
const scissors = new Error("cut by the schedule");

async function actByRequest(client: Client, scene: Scene): Promise<Sight> {
  const { ending, reading, patience } = client;
  const sight: Sight = {
    connected: "never",
    port: undefined,
    bytes: new Uint8Array(),
    end: "left",
  };
  const body = (async function* () {
    // It is asked for only once there is a connection.
    sight.connected = scene.isStopping() ? "late" : "in time";
    scene.arrived();
    for await (const part of parts(client)) yield part;
    if (ending === "body") throw scissors;
    if (ending !== "fin") await new Promise(() => {});
  })();
  const controller = new AbortController();
  const { signal } = controller;
  const timer = setTimeout(() => {
    if (ending === "signal") controller.abort(scissors);
  }, patience);
  const limit = ending === "timeout" ? { timeout: patience } : {};
  try {
    await using reply = await request(
      { ...placeOf(scene), ...limit, signal },
      body,
    );
    const reader = new Reader(streamOf(reply));
    if (reading === "after writing") await reply.sent.catch(() => {});
    if (reading === "nothing") await scene.over;
    else await reader.read(reading === "some" ? client.some : Infinity);
    sight.bytes = reader.bytes;
    sight.end = reader.end;
  } catch (error) {
    sight.end = isCut(error) ? "cut" : "error";
    if (sight.connected === "never") scene.arrived();
  } finally {
    clearTimeout(timer);
  }
  return sight;
}

function placeOf({ addr, tls }: Scene) {
  if ("path" in addr) return { path: addr.path };
  const { hostname, port } = addr as Deno.NetAddr;
  return tls
    ? { hostname: "localhost", port, tls, caCerts }
    : { hostname, port };
}

/** Whether that is what a schedule cuts with. */
function isCut(error: unknown): boolean {
  return error === scissors || error instanceof TimeoutError;
}

/** The pieces of a request, with pauses in between. */
async function* parts({ request, pauses }: Client) {
  let from = 0;
  for (const { at, delay } of pauses) {
    yield request.subarray(from, at);
    await pause(delay);
    from = at;
  }
  yield request.subarray(from);
}

async function write(wire: Wire, client: Client): Promise<void> {
  for await (const part of parts(client)) await wire.write(part);
}

function streamOf(reply: Reply): Pick<Wire, "read"> {
  const reader = reply.readable.getReader();
  return { read: async () => (await reader.read()).value ?? null };
}

/** Gathers what a client reads. */
class Reader {
  end: Sight["end"] = "left";
  readonly #wire: Pick<Wire, "read">;
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  constructor(wire: Pick<Wire, "read">) {
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
    } catch (error) {
      this.end = isCut(error) ? "cut" : "error";
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
async function dial({ addr, tls }: Scene, { ending }: Client): Promise<Wire> {
  const { port } = addr as Deno.NetAddr;
  if (tls) return new FairWire(await connectTls(port));
  if (ending !== "reset") return new FairWire(await connect(addr));
  const rude = await RudeClient.connect(addr);
  return Object.assign(rude, { leave: () => rude.reset() });
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

  write(bytes: Uint8Array): Promise<void> {
    return writeAll(this.#conn, bytes);
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
