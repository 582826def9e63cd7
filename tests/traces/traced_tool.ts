// What the tool writes with `--trace`, while it writes it.

import { pause } from "../sockets.ts";
import { temporaryFolder } from "../support.ts";
import { Tool, type ToolOptions } from "../tool.ts";

/** A line of a trace. The fields depend on the event. */
export interface TraceLine {
  ms: number;
  /** Who has recorded it: the server, unless it says so. */
  by?: "client";
  event: string;
  id?: number;
  bytes?: number;
  end?: string;
  from?: string;
  client?: string;
  outcome?: string;
  phase?: string;
  error?: string;
  server?: string;
  startedAt?: number;
  readAhead?: number;
}

/** The lines of a trace, by time. */
export function linesOf(text: string): TraceLine[] {
  return text.split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as TraceLine)
    .toSorted((a, b) => a.ms - b.ms);
}

/** A tool that writes a trace, in a folder that is gone at the end. */
export class TracedTool implements AsyncDisposable {
  readonly tool: Tool;
  readonly path: string;
  /** Whether it reads ahead. */
  readonly readsAhead: boolean;
  readonly #folder: AsyncDisposable;
  #hasEnded = false;

  private constructor(
    tool: Tool,
    path: string,
    readsAhead: boolean,
    folder: AsyncDisposable,
  ) {
    this.tool = tool;
    this.path = path;
    this.readsAhead = readsAhead;
    this.#folder = folder;
    tool.ending().then(() => this.#hasEnded = true);
  }

  static async listening(
    args: string[] = [],
    { permissions = ["-N"], ...options }: ToolOptions = {},
  ): Promise<TracedTool> {
    const folder = await temporaryFolder();
    const path = `${folder.path}/trace.jsonl`;
    const allowed = [...permissions, `-W=${folder.path}`];
    const tool = await Tool.listening(["--trace", path, ...args], {
      ...options,
      permissions: allowed,
    });
    const readsAhead = args.includes("--read-ahead");
    return new TracedTool(tool, path, readsAhead, folder);
  }

  get addr(): Deno.Addr {
    return this.tool.addr;
  }

  /** What it has written so far. The last line may be on its way. */
  async lines(): Promise<TraceLine[]> {
    const text = await Deno.readTextFile(this.path);
    return linesOf(text.slice(0, text.lastIndexOf("\n") + 1));
  }

  /** Waits for an event of a connection, or of the server. */
  async has(event: string, id?: number): Promise<TraceLine> {
    for (;;) {
      const lines = await this.lines();
      const line = lines.find((one) => one.event === event && one.id === id);
      if (line) return line;
      if (this.#hasEnded) {
        throw new Error(`It has ended without ${event}: ${this.tool.lines}`);
      }
      await pause(10);
    }
  }

  /** Stops it, and gives all that it has written. */
  async stop(): Promise<TraceLine[]> {
    await this.tool.stop();
    return await this.lines();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tool[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** The events of one connection, or of the server, in order. */
export function eventsOf(lines: TraceLine[], id?: number): string[] {
  return lines.filter((line) => line.id === id)
    .map(({ event, from }) => from === undefined ? event : `${event} ${from}`);
}
