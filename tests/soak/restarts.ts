/**
 * Whether anybody is lost when the tool is restarted under traffic, on a socket
 * that somebody else keeps open: each restart comes at a random moment. Every
 * connection must be answered whole; nobody may be refused, reset or left empty.
 *
 * ```sh
 * deno task soak:restarts
 * deno task soak:restarts --unix
 * deno task soak:restarts --rate 20 --clients 0 --program
 * deno task soak:restarts --kill
 * ```
 *
 * A tool that is killed loses those whom it has accepted, and nobody else.
 * It needs Linux and a C compiler, `cc`.
 *
 * @module
 */

import { resolve } from "node:path";
import { messageOf } from "../harness/errors.ts";
import { execute, type Flags } from "../harness/options.ts";
import { Progress } from "../harness/progress.ts";
import { Random } from "../harness/random.ts";
import { KeptSocket } from "../kept_socket.ts";
import { pause } from "../sockets.ts";
import { Tool } from "../tool.ts";
import { count } from "./report.ts";
import { buildTraffic, come, type Outcomes, type Traffic } from "./traffic.ts";

const help = `Counts the connections that are lost when the tool is restarted.

Usage: deno task soak:restarts [options]

Options:
  -n COUNT           restarts [100]
  -c, --clients N    clients that connect again once they are answered [8]
      --rate R       clients that arrive at random, per second [500]
      --read-ahead N how many requests the tool reads ahead [0]
      --unix         have it listen on a Unix socket
      --program      have a program answer that takes 20 ms
      --kill         kill the tool, which loses those whom it has accepted
      --seed S       when it is stopped is drawn from it [1]
      --server FILE  the server that is restarted [cli.ts]
  -h, --help         print this help`;

/** When the tool is told to stop, after it has begun to listen. */
const MIN_MS = 50;
const MAX_MS = 250;
const MAX_FAULTS = 10;
const echoLate = ["--", "sh", "-c", "sleep 0.02; exec cat"];

interface Options extends Traffic {
  n: number;
  readAhead: number;
  unix: boolean;
  program: boolean;
  kill: boolean;
  seed: number;
  server: string;
}

function read(flags: Flags): Options {
  return {
    n: flags.whole("n", 1, 1e6, 100),
    clients: flags.whole("clients", 0, 1000, 8),
    rate: flags.whole("rate", 0, 10_000, 500),
    readAhead: flags.whole("read-ahead", 0, 1000, 0),
    unix: flags.has("unix"),
    program: flags.has("program"),
    kill: flags.has("kill"),
    seed: flags.whole("seed", 0, 2 ** 32 - 1, 1),
    server: resolve(
      flags.file("server") ?? `${import.meta.dirname}/../../cli.ts`,
    ),
  };
}

/** Starts the tool on the socket that is kept. */
async function start(kept: KeptSocket, options: Options): Promise<Tool> {
  const { readAhead, program, server } = options;
  const fd = kept.lend();
  const args = [
    ...["--fd", `${fd}`],
    ...readAhead > 0 ? ["--read-ahead", `${readAhead}`] : [],
    ...program ? echoLate : [],
  ];
  const permissions = ["-N", ...program ? ["--allow-run=sh"] : []];
  const tool = new Tool(args, { entry: server, permissions });
  await tool.line(/ listening on /);
  kept.giveBack(fd);
  return tool;
}

async function restarts(options: Options): Promise<number> {
  const { n, kill, seed, unix } = options;
  const progress = new Progress();
  const random = new Random(seed);
  const folder = await Deno.makeTempDir();
  let outcomes: Outcomes = { answered: 0, refused: 0, lost: [] };
  let failure: string | undefined;
  let done = 0;
  try {
    using kept = unix ? KeptSocket.unix(`${folder}/s`) : KeptSocket.tcp();
    const clients = await buildTraffic(folder);
    const controller = new AbortController();
    let tool = await start(kept, options);
    const coming = come(
      clients,
      kept.place,
      options,
      seed,
      controller.signal,
    );
    while (done < n) {
      await pause(random.int(MIN_MS, MAX_MS));
      tool.kill(kill ? "SIGKILL" : "SIGTERM");
      const { code } = await tool.ending();
      if (code !== (kill ? 137 : 0)) failure ??= `it ended with status ${code}`;
      tool = await start(kept, options);
      progress.show(`${++done} of ${n} restarts`);
    }
    controller.abort();
    outcomes = await coming;
    tool.kill("SIGTERM");
    await tool.ending();
  } catch (error) {
    failure ??= messageOf(error);
  }
  await Deno.remove(folder, { recursive: true });
  progress.end();
  const { answered, refused, lost } = outcomes;
  const rows = { restarts: done, answered, refused, lost: lost.length };
  for (const [name, value] of Object.entries(rows)) {
    console.log(`${name.padEnd(30)} ${count(value).padStart(20)}`);
  }
  for (const fault of lost.slice(0, MAX_FAULTS)) console.log(`lost ${fault}`);
  if (refused > 0) failure ??= `${refused} were refused`;
  if (lost.length > 0 && !kill) failure ??= `${lost.length} were lost`;
  if (failure !== undefined) console.log(`amiss: ${failure}`);
  return failure === undefined ? 0 : 1;
}

await execute({
  name: "soak:restarts",
  help,
  flags: {
    boolean: ["unix", "program", "kill"],
    string: ["n", "clients", "rate", "read-ahead", "seed", "server"],
    alias: { clients: "c" },
  },
  read,
  run: restarts,
});
