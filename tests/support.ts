// What the tests share: servers with their records, and what waits in line.

import { assertEquals, assertRejects } from "@std/assert";
import {
  type Conn,
  type ExchangeRecord,
  type Handler,
  listen,
  type Outcome,
  serve,
  type ServeCallbacks,
  type TcpOptions,
  type UnixOptions,
} from "../mod.ts";
import {
  ask,
  begin,
  connect,
  local,
  pause,
  type Place,
  readText,
  send,
} from "./sockets.ts";

/** Options of `serve()` on TCP. */
export type ServeTcpOptions = TcpOptions & ServeCallbacks<Deno.NetAddr>;

/** Keeps the event loop from everything for some milliseconds. */
export function block(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** Asks again and again until there is a reply, where nothing else tells that. */
export async function until<Answer>(
  ask: () => Answer | Promise<Answer>,
): Promise<NonNullable<Answer>> {
  const startedAt = performance.now();
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    // Who waits in vain shall fail, not hang.
    if (performance.now() - startedAt > 120_000) {
      throw new Error(`There was no reply for two minutes: ${ask}`);
    }
    await pause(10);
  }
}

/** A folder that is gone at the end of its block. */
export async function temporaryFolder(): Promise<Folder> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => removed(path) };
}

/** Removes a folder. A program that was killed may still be writing to it. */
async function removed(path: string): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (tries === 100 || !`${error}`.includes("not empty")) throw error;
      await pause(10);
    }
  }
}

export interface Folder extends AsyncDisposable {
  readonly path: string;
}

/** The names of what lies in a folder, in order. */
export function namesIn(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
}

/** Defines a test that is ignored, for all to see, where it lacks what it needs. */
export function testIf(
  isThere: boolean,
  needs: string,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const ignore = !isThere;
  Deno.test({ name: ignore ? `${name} (needs ${needs})` : name, ignore, fn });
}

/** Defines a test that sends signals. On Windows Deno just ends the process. */
export function testWithSignals(
  name: string,
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  testIf(Deno.build.os !== "windows", "signals", name, fn);
}

/** Defines a test of what Deno has on Linux alone, such as `reusePort`. */
export function testOnLinux(
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  testIf(Deno.build.os === "linux", "Linux", name, fn);
}

/** Defines a test of Unix sockets, in a folder of its own. */
export function testUnix(
  name: string,
  fn: (folder: string, t: Deno.TestContext) => void | Promise<void>,
): void {
  Deno.test({
    name,
    ignore: Deno.build.os === "windows",
    async fn(t) {
      await using folder = await temporaryFolder();
      await fn(folder.path, t);
    },
  });
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
  options: TcpOptions = {},
) {
  const records = new Records();
  const listener = listen({ ...local, onExchange: records.add, ...options });
  return { listener, records };
}

/**
 * A server with its records. It echoes unless told otherwise, and listens on a port
 * of its own unless it has inherited a socket.
 */
export function serveLocally(
  options: ServeTcpOptions = {},
  handler: Handler<Deno.NetAddr> = (conn) => conn.bytes(),
  fd?: number,
) {
  const records = new Records();
  // All addresses of the sockets that tests inherit there are those of TCP.
  const place = fd === undefined ? local : { fd } as unknown as typeof local;
  const server = serve(
    { ...place, onExchange: records.add, ...options },
    handler,
  );
  return { server, records };
}

/** Has an exchange elsewhere: bytes that were sent before have arrived then. */
export async function turnOfIo(): Promise<void> {
  const { server } = serveLocally();
  assertEquals(await ask(server.addr, "x"), "x");
  await server.shutdown();
}

/** As `serveLocally()`, on a Unix socket. */
export function serveAt(
  path: string,
  options: Partial<UnixOptions> = {},
  handler: Handler<Deno.UnixAddr> = (conn) => conn.bytes(),
) {
  const records = new Records();
  const server = serve({ path, onExchange: records.add, ...options }, handler);
  return { server, records };
}

/** Checks that nobody listens there. */
export async function assertRefused(place: Place): Promise<void> {
  await assertRejects(() => connect(place), Deno.errors.ConnectionRefused);
}

/** Answers the next client with what it sends. */
export async function echoOnce(listener: AsyncIterable<Conn>): Promise<void> {
  for await (const conn of listener) {
    await conn.respond(await conn.text());
    break;
  }
}

/** Clients in line, each of which has sent what no other has. */
export async function lineUp(place: Place, length: number) {
  const requests = Array.from({ length }, (_, i) => `client ${i}`);
  const clients = await Promise.all(
    requests.map((request) => send(place, request)),
  );
  /** Checks that each is answered what it has sent. */
  const served = async () => {
    assertEquals(await Promise.all(clients.map(readText)), requests);
  };
  return { clients, served };
}

/**
 * Checks that an echo that is told to stop answers a client that holds it, and
 * all who are in line behind that one.
 */
export async function checkShutdown(
  { server, records }: ReturnType<typeof serveLocally>,
  length: number,
  { place = server.addr as Place, meanwhile = () => {} } = {},
): Promise<void> {
  const holder = await begin(place, "holder");
  const line = await lineUp(place, length);
  meanwhile();
  const stopped = server.shutdown();
  await holder.closeWrite();
  await line.served();
  assertEquals(await readText(holder), "holder");
  await stopped;
  assertEquals(records.outcomes, Array(length + 1).fill("ok"));
}
