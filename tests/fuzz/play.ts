// Plays a schedule on real sockets, and tells what happened.

import {
  type Conn,
  type ExchangeRecord,
  IncompleteReadError,
  listen,
  type ListenOptions,
  type ResponseBody,
  serve,
} from "../../server.ts";
import { Random } from "../harness/random.ts";
import { KeptSocket } from "../kept_socket.ts";
import { local, pause } from "../sockets.ts";
import { cert, key } from "../tls.ts";
import { act, type Scene } from "./clients.ts";
import { apology, type Events, refusal } from "./model.ts";
import { lengthIn, PIECE, type Schedule } from "./schedule.ts";

/**
 * Where nobody comes by chance: tests beside it connect to ports of 127.0.0.1, and
 * late clients of other schedules to ports that are free again. With TLS the
 * certificate is for that address alone.
 */
function apart(seed: number): typeof local {
  if (Deno.build.os !== "linux") return local;
  const [high, low] = [Math.floor(seed / 250) % 250, seed % 250];
  return { ...local, hostname: `127.70.${high}.${low + 1}` };
}

/** A server that is played with, whichever way it was made. */
interface Subject {
  addr: Deno.Addr;
  finished: Promise<void>;
  shutdown(): Promise<void>;
  close(): void;
}

/** Plays a schedule to its end. It rejects if the server does. */
export async function play(schedule: Schedule): Promise<Events> {
  const { transport, options, stop } = schedule;
  const { until } = options;
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
  const path = `${folder}/socket`;
  const kept = !schedule.inherited
    ? undefined
    : transport === "unix"
    ? KeptSocket.unix(path)
    : KeptSocket.tcp(apart(schedule.seed).hostname);
  const controller = new AbortController();
  const subject = begin(schedule.api, {
    ...options,
    until: typeof until === "number"
      ? (head: Uint8Array) => lengthIn(head, until)
      : until,
    ...(kept
      ? { fd: kept.lend() }
      : transport === "unix"
      ? { path }
      : transport === "tls"
      ? local
      : apart(schedule.seed)),
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
    addr: kept?.place ?? subject.addr,
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
    kept?.[Symbol.dispose]();
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
    case "talk":
      return talk(conn);
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

/** Says each piece that it hears, the last of which may be cut. */
async function* talk(conn: Conn) {
  for (let whole = true; whole;) {
    const piece = await conn.readExactly(PIECE).catch((error) => {
      if (error instanceof IncompleteReadError) return error.partial;
      throw error;
    });
    whole = piece?.length === PIECE;
    if (piece) yield piece;
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
