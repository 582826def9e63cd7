// Clients that do not behave, and what is promised to them all the same.

import type { Outcome } from "../../server.ts";
import { RudeClient } from "../rude_client.ts";
import { pause, writeAll } from "../sockets.ts";
import { connectTo, expect, reach } from "./behaved.ts";
import {
  by,
  expectRefusal,
  limits,
  type Refusal,
  Request,
  tellLength,
  type Until,
} from "./exchanges.ts";

/** One way not to behave. */
export interface Kind {
  readonly name: string;
  /** How often, in relation to the others: few of those who hold the server. */
  readonly weight: number;
  /** How the server may record it. */
  readonly outcomes: readonly Outcome[];
  /** Whether it may be gone before it is accepted, and then has no record. */
  readonly unseen?: true;
  /** Whether a server can meet it with which requests end so. By default each can. */
  meets?(until: Until | undefined): boolean;
  /** Rejects if what is promised to it does not come true. */
  act(port: number, number: number, until?: Until): Promise<void>;
}

const CHUNK = 65_536;

export const kinds: readonly Kind[] = [
  {
    name: "leaves at once",
    weight: 200,
    outcomes: ["ok", "reset"],
    act: async (port) => (await connectTo(port)).close(),
  },
  {
    name: "resets at once",
    weight: 200,
    outcomes: ["reset"],
    unseen: true,
    act: async (port) => {
      await (await connectRudely(port)).reset();
    },
  },
  {
    name: "resets in its request",
    weight: 150,
    outcomes: ["reset"],
    unseen: true,
    act: async (port, number) => {
      const client = await connectRudely(port);
      const { bytes } = new Request(number, CHUNK, 1);
      await client.write(bytes.subarray(0, -1));
      await client.reset();
    },
  },
  {
    name: "resets after its FIN",
    weight: 150,
    outcomes: ["ok", "reset"],
    unseen: true,
    act: async (port, number) => {
      const client = await connectRudely(port);
      await client.write(new Request(number, CHUNK, 1).bytes);
      await client.closeWrite();
      await client.reset();
    },
  },
  {
    name: "resets in its answer",
    weight: 150,
    outcomes: ["ok", "reset"],
    act: async (port, number) => {
      const client = await connectRudely(port);
      await client.write(new Request(number, CHUNK, 64).bytes);
      await client.closeWrite();
      await client.received();
      await client.reset();
    },
  },
  {
    name: "sends too much",
    weight: 50,
    outcomes: ["too-large"],
    act: async (port, number) => {
      using conn = await connectTo(port);
      const { bytes } = new Request(number, CHUNK, 1);
      tellLength(bytes, 8 * limits.maxRequestBytes);
      // It still sends as it is refused: that must not cost it the refusal.
      for (let sent = 0; sent < 8 * limits.maxRequestBytes; sent += CHUNK) {
        await writeAll(conn, bytes);
      }
      await expect(expectRefusal("maxRequestBytes"), conn);
    },
  },
  {
    name: "drips",
    weight: 30,
    outcomes: ["ok"],
    act: async (port, number) => {
      using conn = await connectTo(port);
      const request = new Request(number, 12, 1);
      for (const byte of request.bytes) {
        await writeAll(conn, Uint8Array.of(byte));
        await pause(5);
      }
      await conn.closeWrite();
      await expect(request, conn);
    },
  },
  {
    name: "drips without end",
    weight: 0.5,
    outcomes: ["deadline"],
    act: async (port, number) => {
      using conn = await connectTo(port);
      let told = false;
      const telling = refused(conn, "deadline");
      const settled = telling.catch(() => {}).then(() => {
        told = true;
      });
      const { bytes } = new Request(number, CHUNK, 1);
      for (let at = 0; !told; at++) {
        // Once it is refused, nobody need take what it still has to say.
        await writeAll(conn, bytes.subarray(at, at + 1)).catch(() => {});
        await Promise.race([settled, pause(100)]);
      }
      await telling;
    },
  },
  {
    name: "falls silent in its request",
    weight: 5,
    outcomes: ["idle"],
    act: async (port, number) => {
      using conn = await connectTo(port);
      await writeAll(conn, new Request(number, 100, 1).bytes.subarray(0, 50));
      await refused(conn, "idleTimeout");
    },
  },
  {
    name: "never half-closes",
    weight: 5,
    outcomes: ["idle"],
    meets: (until) => until !== "length",
    act: async (port, number) => {
      using conn = await connectTo(port);
      await writeAll(conn, new Request(number, 100, 1).bytes);
      await refused(conn, "idleTimeout");
    },
  },
  {
    name: "never reads",
    weight: 5,
    // If it is the machine that is slow, this client leaves first.
    outcomes: ["idle", "reset"],
    act: async (port, number) => {
      using conn = await connectTo(port);
      // More than the buffers of a kernel hold.
      await writeAll(conn, new Request(number, 2 * CHUNK, 127).bytes);
      await conn.closeWrite();
      // With its first byte it knows that its turn has come.
      await conn.read(new Uint8Array(1));
      await pause(2 * limits.idleTimeout);
    },
  },
  {
    name: "breaks off before its end",
    weight: 5,
    outcomes: ["idle"],
    meets: isEnded,
    act: async (port, number, until = "length") => {
      using conn = await connectTo(port);
      const { bytes } = new Request(number, 100, 1, by(until));
      await writeAll(conn, bytes.subarray(0, -1));
      await refused(conn, "idleTimeout");
    },
  },
  {
    name: "half-closes before its end",
    weight: 50,
    outcomes: ["truncated"],
    meets: (until) => until === "length",
    act: async (port, number) => {
      using conn = await connectTo(port);
      const { bytes } = new Request(number, 100, 1);
      await writeAll(conn, bytes.subarray(0, -1));
      await conn.closeWrite();
      await expect({ size: 0, byteAt: () => undefined }, conn);
    },
  },
  {
    name: "floods after its end",
    weight: 50,
    outcomes: ["ok"],
    meets: isEnded,
    act: async (port, number, until = "length") => {
      using conn = await connectTo(port);
      const request = new Request(number, CHUNK, 1, by(until));
      // It still sends while the server responds: that must not cost it the reply.
      for (let sent = 0; sent < 4 * limits.maxRequestBytes; sent += CHUNK) {
        await writeAll(conn, request.bytes);
      }
      await expect(request, conn);
    },
  },
  {
    name: "resets after its end",
    weight: 150,
    outcomes: ["ok", "reset"],
    unseen: true,
    meets: isEnded,
    act: async (port, number, until = "length") => {
      const client = await connectRudely(port);
      const request = new Request(number, CHUNK, 1, by(until));
      await client.write(request.bytes);
      await client.reset();
    },
  },
];

/** Those that a server can meet with which requests end so. */
export function kindsFor(until: Until | undefined): readonly Kind[] {
  return kinds.filter(({ meets }) => !meets || meets(until));
}

function isEnded(until: Until | undefined): boolean {
  return until !== undefined;
}

/** One of each kind first, and then as their weights have it. */
export function drawKind(
  kinds: readonly Kind[],
  ordinal: number,
  draw: () => number,
): Kind {
  const total = kinds.reduce((sum, { weight }) => sum + weight, 0);
  let left = draw() * total;
  const drawn = kinds.find(({ weight }) => (left -= weight) < 0);
  return kinds[ordinal] ?? drawn ?? kinds[0] as Kind;
}

async function refused(conn: Deno.Conn, option: Refusal): Promise<void> {
  await expect(expectRefusal(option), conn);
}

function connectRudely(port: number): Promise<RudeClient> {
  return reach(() => RudeClient.connect({ port }));
}
