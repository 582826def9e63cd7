// What relays make of a half-close, a cut and a slow answer: the table in
// docs/clients.md, held against the real programs.

import { assertEquals } from "@std/assert";
import { request } from "../../client.ts";
import { clients, talk } from "../clients.ts";
import { type DaemonName, testWithDaemon } from "../daemons.ts";
import { root } from "../programs.ts";
import { RudeClient } from "../rude_client.ts";
import { pause } from "../sockets.ts";
import { serveLocally } from "../support.ts";
import { caCerts, cert, key } from "../tls.ts";

/** A relay that runs, and where it listens. */
export interface Relay extends AsyncDisposable {
  readonly port: number;
}

/** A relay as its row in the table has it. */
export interface RelayKind {
  /** Its name in the table. */
  readonly name: string;
  /** What it takes to run it. */
  readonly needs?: DaemonName;
  /** Whether clients speak TLS with it, and it speaks none with the server. */
  readonly endsTls?: boolean;
  /** Whether it is tried before each commit, too. */
  readonly isSmoke?: boolean;
  /** Starts one before a server on this port of 127.0.0.1. */
  start(port: number): Promise<Relay>;
}

const SLOW_MS = 8_000;
/** Longer than anything here takes. */
const NEVER_MS = 30_000;

/** Defines the test that holds a row of the table. */
export function testRelay(kind: RelayKind): void {
  const name =
    `${kind.isSmoke ? "smoke" : "interop"}: ${kind.name} does what ` +
    "docs/clients.md says";
  const test = async () => {
    const halfClose = await tryHalfClose(kind);
    const cells = [
      halfClose,
      await tryReset(kind),
      await tryTlsCut(kind),
      await trySlowAnswer(kind, halfClose === "passes"),
    ];
    console.log(`| ${[kind.name, ...cells].join(" | ")} |`);
    assertEquals(rowOf(kind.name), cells);
  };
  if (kind.needs === undefined) Deno.test(name, test);
  else testWithDaemon(kind.needs, name, test);
}

/** The cells of a relay in the table. */
function rowOf(name: string): string[] | undefined {
  const page = Deno.readTextFileSync(`${root}/docs/clients.md`);
  const rows = page.split("\n").map((row) =>
    row.split("|").slice(1, -1).map((cell) => cell.trim())
  );
  return rows.find((row) => row[0] === name)?.slice(1);
}

/** What becomes of a reset, or of a TLS session that is cut, by the record. */
const cuts: Readonly<Record<string, string>> = {
  ok: "becomes a FIN",
  reset: "passes",
  idle: "is not passed on",
};

async function tryHalfClose(kind: RelayKind): Promise<string> {
  const { server } = upperCase({ idleTimeout: 2_000 });
  await using relay = await kind.start(server.addr.port);
  const reply = await replyOf(kind, relay, "hello");
  server.close();
  await server.finished;
  return reply === "HELLO" ? "passes" : "loses the response";
}

async function tryReset(kind: RelayKind): Promise<string> {
  // What comes of it is the same as that of the next column.
  if (kind.endsTls) return "—";
  const arrived = Promise.withResolvers<void>();
  const { server, records } = serveLocally(
    { streaming: true, idleTimeout: 5_000 },
    async (conn) => {
      for await (const _chunk of conn.readable) arrived.resolve();
    },
  );
  await using relay = await kind.start(server.addr.port);
  const client = await RudeClient.connect({ port: relay.port });
  await client.write("half");
  await arrived.promise;
  await client.reset();
  const { outcome } = await records.nth(1);
  server.close();
  await server.finished;
  return cuts[outcome] ?? outcome;
}

async function tryTlsCut(kind: RelayKind): Promise<string> {
  const tls = kind.endsTls ? {} : { cert, key };
  const { server, records } = upperCase({ ...tls, idleTimeout: 5_000 });
  await using relay = await kind.start(server.addr.port);
  const [, python] = clients.truncating;
  const { port } = relay;
  if (!python) throw new Error("There is no client that cuts TLS");
  const addr: Deno.NetAddr = { transport: "tcp", hostname: "localhost", port };
  await talk(python, addr, new TextEncoder().encode("half"));
  const { outcome } = await records.nth(1);
  server.close();
  await server.finished;
  // A relay that closes on what it has not read resets: that is noticed, too.
  const isNoticed = outcome === "truncated" || outcome === "reset";
  return isNoticed ? "passes" : cuts[outcome] ?? outcome;
}

async function trySlowAnswer(
  kind: RelayKind,
  passesHalfClose: boolean,
): Promise<string> {
  const { server } = upperCase({ until: "\n" }, SLOW_MS);
  await using relay = await kind.start(server.addr.port);
  let reply: string;
  if (passesHalfClose) reply = await replyOf(kind, relay, "hello\n");
  else {
    // Without a half-close: with a delimiter.
    const client = await RudeClient.connect({ port: relay.port });
    await client.write("hello\n");
    const bytes = await client.read().catch(() => null);
    reply = new TextDecoder().decode(bytes ?? undefined);
    await client.reset();
  }
  server.close();
  await server.finished;
  if (reply !== "HELLO\n") return "is lost";
  return passesHalfClose ? "arrives" : "arrives, with `until`";
}

/** A server that answers in capitals, perhaps after a while. */
function upperCase(
  options: Parameters<typeof serveLocally>[0],
  delay = 0,
) {
  return serveLocally(options, async (conn) => {
    const text = await conn.text();
    await pause(delay);
    return text.toUpperCase();
  });
}

/** What our own client gets through a relay: nothing if that fails. */
async function replyOf(
  { endsTls = false }: RelayKind,
  { port }: Relay,
  body: string,
): Promise<string> {
  const to = { hostname: "localhost", port, timeout: NEVER_MS };
  try {
    const reply = await request(
      endsTls ? { ...to, tls: true, caCerts } : to,
      body,
    );
    const chunks: string[] = [];
    try {
      for await (
        const text of reply.readable.pipeThrough(new TextDecoderStream())
      ) chunks.push(text);
    } catch {
      // It has not ended TLS: what came counts.
    }
    return chunks.join("");
  } catch {
    return "";
  }
}
