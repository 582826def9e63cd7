// The clients of a schedule: what each does, and what it comes to see.

import { RudeClient } from "../rude_client.ts";
import { connect, pause, writeAll } from "../sockets.ts";
import { connectTls } from "../tls.ts";
import type { Sight } from "./model.ts";
import type { Client } from "./schedule.ts";

/** What a client has to know of the server. */
export interface Scene {
  addr: Deno.Addr;
  tls: boolean;
  isStopping: () => boolean;
  /** To be called when it is connected, or cannot be. */
  arrived: () => void;
  over: Promise<void>;
}

/** Does all that a client does. */
export async function act(client: Client, scene: Scene): Promise<Sight> {
  await pause(client.delay);
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
