// A client that records what it does, on the clock of the server's trace.

import { RudeClient } from "../rude_client.ts";
import type { TracedTool, TraceLine } from "./traced_tool.ts";

/** A line that a client has recorded. */
export interface ClientLine extends TraceLine {
  by: "client";
}

/** Clients of one server, and what they record. */
export class Recorder {
  readonly lines: ClientLine[] = [];
  readonly #traced: TracedTool;
  readonly #startedAt: number;

  private constructor(traced: TracedTool, startedAt: number) {
    this.#traced = traced;
    this.#startedAt = startedAt;
  }

  static async of(traced: TracedTool): Promise<Recorder> {
    const { startedAt = NaN } = await traced.has("listening");
    return new Recorder(traced, startedAt);
  }

  /** Connects, and waits until the kernel has taken the connection. */
  async connect(): Promise<RecordedClient> {
    const line = this.add("connect", {});
    const client = await RudeClient.connect(this.#traced.addr);
    const name = `127.0.0.1:${client.port}`;
    line.client = name;
    this.add("connected", { client: name });
    return new RecordedClient(client, (event, fields = {}) => {
      this.add(event, { client: name, ...fields });
    });
  }

  /** Connects in vain. */
  async isRefused(): Promise<void> {
    this.add("connect", { client: "late" });
    try {
      await RudeClient.connect(this.#traced.addr);
    } catch {
      this.add("refused", { client: "late" });
      return;
    }
    throw new Error("The client was not refused");
  }

  add(event: string, fields: Partial<ClientLine>): ClientLine {
    const at = performance.timeOrigin + performance.now() - this.#startedAt;
    const ms = Number(at.toFixed(3));
    const line: ClientLine = { ms, by: "client", event, ...fields };
    this.lines.push(line);
    return line;
  }
}

/** A client that records. */
export class RecordedClient {
  readonly #client: RudeClient;
  readonly #tell: (event: string, fields?: Partial<ClientLine>) => void;

  constructor(
    client: RudeClient,
    tell: (event: string, fields?: Partial<ClientLine>) => void,
  ) {
    this.#client = client;
    this.#tell = tell;
  }

  async write(text: string): Promise<void> {
    this.#tell("write", { bytes: new TextEncoder().encode(text).length });
    await this.#client.write(text);
  }

  async closeWrite(): Promise<void> {
    this.#tell("fin", { from: "client" });
    await this.#client.closeWrite();
  }

  /** Sends all of a request. */
  async send(text: string): Promise<void> {
    await this.write(text);
    await this.closeWrite();
  }

  /** Reads what the server says next. */
  async readSome(): Promise<void> {
    const bytes = await this.#client.read();
    this.#tell("read", { bytes: bytes?.length ?? 0 });
  }

  /** Reads until the server's FIN. */
  async readAll(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const bytes = await this.#client.read();
      if (bytes === null) break;
      this.#tell("read", { bytes: bytes.length });
      text += decoder.decode(bytes, { stream: true });
    }
    this.#tell("fin", { from: "server" });
    return text;
  }

  async reset(): Promise<void> {
    this.#tell("reset");
    await this.#client.reset();
  }
}
