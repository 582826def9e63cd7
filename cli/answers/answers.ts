/**
 * What answers requests: one of the ways that the command line offers.
 *
 * @module
 */

import type { Conn, Handler, ServeOptions } from "../../server.ts";
import type { serveFlags } from "../args/commands.ts";
import { type CommandLine, UsageError } from "../args/flags.ts";
import type { Log } from "../log/log.ts";
import { loadHandler } from "./module.ts";
import { program } from "./program.ts";
import { ensureFile, trying, useFile } from "../shared/files.ts";
import { sink } from "./sink.ts";

/** What answers requests, and the options that it needs. */
export interface Answer {
  /** The options that it sets. */
  readonly options: Partial<ServeOptions>;
  /** Answers each exchange. */
  readonly handler: Handler;
  /** Waits for what outlives its exchanges, such as programs being killed. */
  settled?(): Promise<unknown>;
  /** Reads anew what answers. Without it, there is nothing to read anew. */
  reload?(): Promise<Answer>;
}

/**
 * Makes the answer that the command line asks for.
 *
 * @param line The command line.
 * @param log Where the standard error of programs goes.
 * @throws {UsageError} If it asks for two things at once.
 * @throws {Error} If that is not available.
 */
export async function answerOf(
  { flags, operands, rest }: CommandLine<typeof serveFlags>,
  log: Log,
): Promise<Answer> {
  const [module, another] = operands;
  if (another !== undefined) {
    throw new UsageError(`unexpected argument "${another}", see --help`);
  }
  const asked = [
    ...flags.echo ? ["--echo"] : [],
    ...flags.text !== undefined ? ["--text"] : [],
    ...flags.file !== undefined ? ["--file"] : [],
    ...flags.sink !== undefined ? ["--sink"] : [],
    ...module !== undefined ? [module] : [],
    ...rest ? ["a command after --"] : [],
  ];
  if (asked.length > 1) {
    throw new UsageError(
      `${asked[0]} and ${
        asked[1]
      } exclude each other, give one thing that answers`,
    );
  }
  if (flags.text !== undefined) return text(flags.text);
  if (flags.file !== undefined) return await file(flags.file);
  if (flags.sink !== undefined) return await sink(flags.sink);
  if (module !== undefined) return await loadHandler(module);
  if (rest) {
    const [command, ...args] = rest;
    if (!command) throw new UsageError("-- needs a command after it");
    const tls = flags["tls-cert"] !== undefined;
    return await program(command, args, { log, tls });
  }
  return { options: {}, handler: (conn) => conn.bytes() };
}

function text(text: string): Answer {
  return {
    options: { streaming: true },
    async handler(conn) {
      await dropRequest(conn);
      return text;
    },
  };
}

async function file(path: string): Promise<Answer> {
  await useFile(path, () => ensureFile(path));
  return {
    options: { streaming: true },
    async handler(conn) {
      await dropRequest(conn);
      // Something else may lie there by now.
      await trying(`read ${path}`, () => ensureFile(path));
      return (await Deno.open(path)).readable;
    },
  };
}

/** Reads the request to its end, and drops it. */
async function dropRequest(conn: Conn): Promise<void> {
  await conn.readable.pipeTo(new WritableStream());
}
