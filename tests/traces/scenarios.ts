// What the page `docs/exchange.html` shows: clients and a server, for real.

import { pause } from "../sockets.ts";
import { moduleUrl } from "../tool.ts";
import type { RecordedClient, Recorder } from "./recorded_client.ts";
import type { TracedTool } from "./traced_tool.ts";

/** Clients that meet a server. */
export interface Scenario {
  /** What the server is called with. */
  readonly args: readonly string[];
  /** What the clients do. The server may still run in the end. */
  play(clients: Recorder, server: TracedTool): Promise<void>;
}

/** Answers in capitals, after some thought. */
const thinking = moduleUrl(`
  export default async (conn) => {
    const text = await conn.text();
    await new Promise((resolve) => setTimeout(resolve, 120));
    return text.toUpperCase();
  };
`);

/** Answers before it has the request. */
const hasty = moduleUrl(`
  export default {
    streaming: true,
    handler: (conn) => conn.id === 1 ? "enough" : conn.text(),
  };
`);

/** Greets, and answers line by line. */
const talking = moduleUrl(`
  export default {
    streaming: true,
    async *handler(conn) {
      yield "who is there?\\n";
      for (;;) {
        const line = await conn.readUntil("\\n");
        if (line === null) return;
        yield "welcome, " + new TextDecoder().decode(line);
      }
    },
  };
`);

/** Time for what happens next to be seen as the next thing. */
const beat = () => pause(25);

/** A slow sender, and two clients behind it. */
async function slowSender(clients: Recorder, server: TracedTool) {
  const slow = await clients.connect();
  await server.has("begun", 1);
  await beat();
  await slow.write("sl");
  await server.has("read", 1);
  await beat();
  const second = await arrive(clients, "second");
  const third = await arrive(clients, "third");
  await beat();
  await beat();
  await slow.write("ow");
  await beat();
  if (server.readsAhead) await Promise.all([second.readAll(), third.readAll()]);
  await beat();
  await slow.closeWrite();
  await slow.readAll();
  if (!server.readsAhead) {
    await second.readAll();
    await third.readAll();
  }
}

async function arrive(
  clients: Recorder,
  request: string,
): Promise<RecordedClient> {
  const client = await clients.connect();
  await beat();
  await client.send(request);
  await beat();
  return client;
}

/** All scenarios, by their names in the page. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  one: {
    args: [thinking],
    async play(clients, server) {
      const first = await clients.connect();
      await server.has("begun", 1);
      await beat();
      await first.write("hello");
      await server.has("read", 1);
      await beat();
      await first.closeWrite();
      await server.has("turn", 1);
      await beat();
      const second = await arrive(clients, "good morning");
      await first.readAll();
      await second.readAll();
    },
  },
  slow: { args: [thinking], play: slowSender },
  ahead: { args: ["--read-ahead", "8", thinking], play: slowSender },
  reset: {
    args: [thinking],
    async play(clients, server) {
      const rude = await clients.connect();
      await server.has("begun", 1);
      await beat();
      await rude.write("half a requ");
      await server.has("read", 1);
      await beat();
      const next = await arrive(clients, "hello");
      await rude.reset();
      await server.has("exchange", 1);
      await next.readAll();
    },
  },
  lingering: {
    args: [hasty],
    async play(clients, server) {
      const talker = await clients.connect();
      await server.has("lingering", 1);
      await beat();
      await talker.write("and another ");
      await server.has("read", 1);
      await beat();
      const next = await clients.connect();
      await server.has("begun", 2);
      await beat();
      await next.send("hello");
      await next.readAll();
      await beat();
      await talker.write("thing");
      await beat();
      await talker.closeWrite();
      await talker.readAll();
      await server.has("closed", 1);
    },
  },
  dialogue: {
    args: [talking],
    async play(clients, server) {
      const talker = await clients.connect();
      await server.has("turn", 1);
      await talker.readSome();
      await beat();
      const next = await clients.connect();
      await beat();
      for (const name of ["Ada\n", "Grace\n"]) {
        await talker.write(name);
        await talker.readSome();
        await beat();
      }
      await talker.closeWrite();
      await talker.readAll();
      await beat();
      await next.send("Edsger\n");
      await next.readAll();
    },
  },
  drain: {
    args: [thinking],
    async play(clients, server) {
      const first = await clients.connect();
      await server.has("begun", 1);
      await beat();
      await first.write("first");
      await server.has("read", 1);
      await beat();
      const second = await arrive(clients, "second");
      const third = await arrive(clients, "third");
      server.tool.kill("SIGTERM");
      await server.has("refusing");
      await beat();
      await clients.isRefused();
      await beat();
      await first.closeWrite();
      for (const client of [first, second, third]) await client.readAll();
      await server.tool.ending();
    },
  },
};
