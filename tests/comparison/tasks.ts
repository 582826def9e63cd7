// What docs/comparison.md has each tool do, as its clients see it.

import { assertEquals } from "@std/assert";
import { areSame, pattern } from "../bytes.ts";
import { RudeClient } from "../rude_client.ts";
import {
  begin,
  connect,
  exchange,
  exchangeOn,
  type Place,
  readBytes,
  readText,
  send,
  writeAll,
} from "../sockets.ts";
import { namesIn, until } from "../support.ts";
import { connectTls } from "../tls.ts";
import type { Task, Tool } from "./lines.ts";
import type { RunningLine } from "./running_line.ts";

/** The reply to a request, or nothing if the connection fails. */
async function answered(place: Place, request: string): Promise<string> {
  try {
    return new TextDecoder().decode(await exchange(place, request));
  } catch {
    return "";
  }
}

/** Each task: whether a tool that listens does it. */
export const tasks: Record<
  Task,
  (running: RunningLine, does: boolean, tool: Tool) => Promise<boolean>
> = {
  async "An echo"({ place }) {
    return await answered(place, "hello") === "hello";
  },

  async "A command that takes a second"({ place }) {
    return (await answered(place, "hello")).trim() === "5";
  },

  async "A drop box that answers with the file's name"({ place, dir }) {
    // The response ends with the name: ours is a receipt.
    const name = (await answered(place, "hello")).trim().split(/[ /]/).at(-1);
    if (!name) return false;
    return await Deno.readTextFile(`${dir}/inbox/${name}`) === "hello";
  },

  async "A control socket for its user alone"({ place }) {
    const { path } = place as Deno.UnixAddr;
    const mode = (await Deno.stat(path)).mode ?? 0o777;
    return await answered(place, "hello") === "hello" && (mode & 0o077) === 0;
  },

  async "TLS"({ place }) {
    const { port } = place as Deno.NetAddr;
    try {
      const conn = await connectTls(port);
      return new TextDecoder().decode(await exchangeOn(conn, "hello")) ===
        "hello";
    } catch {
      return false;
    }
  },

  async "50 clients at once, with 100 kB each"({ place }) {
    const request = pattern(100_000);
    const replies = await Promise.all(
      Array.from(
        { length: 50 },
        () => exchange(place, request).catch(() => new Uint8Array()),
      ),
    );
    return replies.every((reply) => areSame(reply, request));
  },

  async "A reply after clients that reset"({ place }) {
    try {
      for (let count = 0; count < 5; count++) {
        const clients = await Promise.all(
          Array.from({ length: 4 }, () => RudeClient.connect(place)),
        );
        await Promise.all(clients.map((client) => client.reset()));
      }
    } catch {
      // Nobody listens any more.
    }
    return await answered(place, "hello") === "hello";
  },

  async "A reply while another client is silent"({ place }, does) {
    const silent = await begin(place, "s");
    const meanwhile = answered(place, "hello");
    if (does) {
      const reply = await meanwhile;
      silent.close();
      return reply === "hello";
    }
    let isAnswered = false;
    meanwhile.then(() => isAnswered = true);
    await silent.closeWrite();
    assertEquals(await readText(silent), "s");
    const wasFirst = isAnswered;
    assertEquals(await meanwhile, "hello");
    return wasFirst;
  },

  async "Nothing kept of a file that a reset cuts"(
    { place, dir },
    _does,
    tool,
  ) {
    const inbox = `${dir}/inbox`;
    const client = await RudeClient.connect(place);
    await client.write("half");
    // Python has read it whole before a file is there.
    await until(() =>
      tool === "Python" ||
      namesIn(inbox).some((name) => Deno.statSync(`${inbox}/${name}`).size)
    );
    await client.reset();
    // A server of one client at a time is done with it now.
    await answered(place, "whole");
    return namesIn(inbox).every((name) =>
      Deno.readTextFileSync(`${inbox}/${name}`) !== "half"
    );
  },

  async "A request of 1 GiB"({ place }) {
    const chunk = new Uint8Array(1024 ** 2);
    const conn = await connect(place);
    const reply = readText(conn);
    try {
      for (let sent = 0; sent < 1024; sent++) await writeAll(conn, chunk);
      await conn.closeWrite();
      return (await reply).trim() === `${1024 ** 3}`;
    } catch {
      await reply.catch(() => {});
      return false;
    }
  },

  async "A refusal of a request that is too large"({ place }) {
    const conn = await connect(place);
    const reply = readText(conn);
    try {
      await writeAll(conn, new Uint8Array(32 * 1024 ** 2));
      await conn.closeWrite();
    } catch {
      // It is cut, and may have been told why.
    }
    return (await reply.catch(() => "")).includes("larger than");
  },

  async "A response to a client that still sends"({ place }) {
    const conn = await connect(place);
    const reply = readBytes(conn);
    const send = async () => {
      await writeAll(conn, new Uint8Array(16 * 1024 ** 2));
      await conn.closeWrite();
    };
    const sent = send().catch(() => {});
    const { length } = await reply.catch(() => new Uint8Array());
    await sent;
    return length === 8_000_000;
  },

  async "One exchange at a time"({ place }) {
    const clients = Array.from({ length: 4 }, () => answered(place, "hello"));
    return (await Promise.all(clients)).every((reply) => reply === "alone\n");
  },

  async "A stop that serves all who wait"(running) {
    const { place } = running;
    const clients = await Promise.all(
      Array.from({ length: 5 }, () => send(place, "hello")),
    );
    running.stop();
    const replies = await Promise.all(
      clients.map((client) => readText(client).catch(() => "")),
    );
    return replies.every((reply) => reply.trim() === "5");
  },
};
