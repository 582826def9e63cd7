/**
 * Records the traces that `docs/exchange.html` shows, and writes them into it.
 *
 * ```sh
 * deno task traces
 * ```
 *
 * The server records what it does (`--trace`), and each client what it does.
 * Both are merged by time.
 *
 * @module
 */

import { type ClientLine, Recorder } from "./recorded_client.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { linesOf, TracedTool, type TraceLine } from "./traced_tool.ts";

/** The page. */
export const page = new URL("../../docs/exchange.html", import.meta.url);

/** How often a recording is tried whose clocks disagree. */
const ATTEMPTS = 5;

const begin = "<!-- Recorded by `deno task traces`. -->\n";
const end = "<!-- End of what is recorded. -->";

/** Plays a scenario, and returns what the server and the clients recorded. */
export async function record({ args, play }: Scenario): Promise<TraceLine[]> {
  await using server = await TracedTool.listening([...args]);
  const clients = await Recorder.of(server);
  await play(clients, server);
  if (!(await server.lines()).some(({ event }) => event === "stopped")) {
    await server.stop();
  }
  return merged(await server.lines(), clients.lines);
}

/** Lines of both sides by time. Those of clients get the server's numbers. */
function merged(server: TraceLine[], clients: ClientLine[]): TraceLine[] {
  const ids = new Map(
    server.filter(({ event }) => event === "accepted")
      .map(({ client, id }) => [client, id]),
  );
  const offset = offsetOf(server, clients, ids);
  const numbered = clients.map((line) => {
    const { ms, by, event, client = "", ...fields } = line;
    const id = ids.get(client);
    const who = id === undefined ? { client } : { id };
    return {
      ms: Number((ms + offset).toFixed(3)),
      by,
      event,
      ...who,
      ...fields,
    };
  });
  return [...numbered, ...server].toSorted((a, b) => a.ms - b.ms);
}

/** What a client does, and what the server sees of it. */
const causes = [
  ["connect", "accepted"],
  ["write", "read"],
  ["fin client", "fin client"],
  ["reset", "reset"],
] as const;

/** What the server does, and what a client sees of it. */
const replies = [["response", "read"]] as const;

/**
 * How much the clock of the clients must be corrected, so that no effect comes
 * before its cause. The clocks of two processes differ by a millisecond or two.
 */
function offsetOf(
  server: TraceLine[],
  clients: TraceLine[],
  ids: ReadonlyMap<string | undefined, number | undefined>,
): number {
  const first = (lines: TraceLine[], event: string) =>
    lines.find((line) =>
      event === (line.from ? `${line.event} ${line.from}` : line.event)
    )?.ms ?? NaN;
  let [least, most] = [-Infinity, Infinity];
  for (const [client, id] of ids) {
    const here = clients.filter((line) => line.client === client);
    const there = server.filter((line) => line.id === id);
    for (const [cause, effect] of causes) {
      const room = first(there, effect) - first(here, cause);
      if (room < most) most = room;
    }
    for (const [cause, effect] of replies) {
      const lack = first(there, cause) - first(here, effect);
      if (lack > least) least = lack;
    }
  }
  if (least > most) {
    throw new Error(`The clocks disagree: ${least} > ${most}`);
  }
  return Math.min(Math.max(0, least), most);
}

/** As `record()`, again if need be. */
export async function recorded(scenario: Scenario): Promise<TraceLine[]> {
  for (let attempt = 1;; attempt++) {
    try {
      return await record(scenario);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      console.error(`${error}, once more`);
    }
  }
}

/** The traces in the text of a page. */
export function tracesIn(html: string): Map<string, TraceLine[]> {
  const blocks = html.matchAll(
    /<script type="application\/jsonl" id="trace-([a-z]+)">\n([^<]*)<\/script>/g,
  );
  return new Map(
    Array.from(blocks, ([, name = "", text = ""]) => [name, linesOf(text)]),
  );
}

/** A page with other traces. */
export function withTraces(
  html: string,
  traces: ReadonlyMap<string, TraceLine[]>,
): string {
  const from = html.indexOf(begin) + begin.length;
  const to = html.indexOf(end);
  if (from < begin.length || to < from) {
    throw new Error("The marks are missing");
  }
  const blocks = Array.from(traces, ([name, lines]) => {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    if (text.includes("<")) throw new Error("HTML in a trace");
    return `<script type="application/jsonl" id="trace-${name}">\n${text}</script>\n`;
  });
  const indent = /[ \t]*$/.exec(html.slice(0, to))?.[0] ?? "";
  return html.slice(0, from) + blocks.join("") + indent + html.slice(to);
}

if (import.meta.main) {
  const traces = new Map<string, TraceLine[]>();
  for (const [name, scenario] of Object.entries(scenarios)) {
    traces.set(name, await recorded(scenario));
    console.log(`${name}: ${traces.get(name)?.length} lines`);
  }
  const html = await Deno.readTextFile(page);
  await Deno.writeTextFile(page, withTraces(html, traces));
}
