/**
 * Control channel: a Unix socket to ask a running program how it is, to have it
 * read its settings anew, and to stop it. Only its own user may connect. Requests
 * are words, responses are JSON.
 *
 * A program of its own rather than a handler for the command-line tool, since it
 * stops its server. Stopping is graceful: connected clients are served, and
 * the socket is removed.
 *
 * ```sh
 * deno run -N -R=. -W=. examples/control.ts
 * echo status | nc -U -N control.sock
 * echo reload | nc -U -N control.sock
 * echo stop | halfclose send unix:control.sock
 * ```
 *
 * @module
 */

import { serve } from "@halfclose/server/server";

/** The settings of the program, from a file that may be missing. */
async function readSettings(): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile("control.json"));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}

let settings = await readSettings();

/** What each command does, and responds. */
const commands = new Map<string, () => unknown>([
  [
    "status",
    () => ({
      pid: Deno.pid,
      uptimeMs: Math.round(performance.now()),
      settings,
    }),
  ],
  ["reload", async () => {
    settings = await readSettings();
    return { settings };
  }],
  ["stop", () => {
    stop();
    return { stopping: true };
  }],
]);

const server = serve({
  path: "control.sock",
  mode: 0o600,
  maxRequestBytes: 1024,
  deadline: 5_000,
  // A client that does not half-close, as `nc` without `-N`, ends its line.
  until: "\n",
  async handler(conn) {
    const command = commands.get((await conn.text()).trim());
    const response = command
      ? await command()
      : { error: "no such command", commands: [...commands.keys()] };
    return `${JSON.stringify(response)}\n`;
  },
  // The program goes on with the settings that it has.
  onError: (error) => `${JSON.stringify({ error: String(error) })}\n`,
});

function stop(): void {
  // Not awaited: it waits for the exchange that asked for it.
  server.shutdown();
}

Deno.addSignalListener("SIGINT", stop);
Deno.addSignalListener("SIGTERM", stop);
console.error(`listening on ${server.addr.path}`);

// This is where a program does what it is for.
await server.finished;
