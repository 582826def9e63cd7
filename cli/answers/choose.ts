/**
 * Which of the ways to answer the command line asks for.
 *
 * @module
 */

import type { serveFlags } from "../args/flags.ts";
import { type CommandLine, UsageError } from "../args/parsing.ts";
import type { Log } from "../log/log.ts";
import type { Answer } from "./answer.ts";
import { echo, file, text } from "./echo_text_file.ts";
import { loadHandler } from "./module.ts";
import { program } from "./program.ts";
import { sink } from "./sink.ts";

/**
 * Makes the answer that the command line asks for.
 *
 * @param line The command line.
 * @param log Is told what a sink keeps, and what programs write to standard error.
 * @throws {UsageError} If it asks for two things at once.
 * @throws {Error} If that is not available.
 */
export async function chooseAnswer(
  { flags, operands, rest }: CommandLine<typeof serveFlags>,
  log: Log,
): Promise<Answer> {
  const [module, another] = operands;
  if (another !== undefined) {
    throw new UsageError(`unexpected argument "${another}". See --help`);
  }
  const [one, other] = [
    ...(["echo", "text", "file", "sink"] as const)
      .filter((name) => flags[name] !== undefined)
      .map((name) => `--${name}`),
    ...operands,
    ...rest ? ["a command after --"] : [],
  ];
  if (other !== undefined) {
    throw new UsageError(
      `${one} and ${other} exclude each other. Give one thing that answers.`,
    );
  }
  if (flags.text !== undefined) return text(flags.text);
  if (flags.file !== undefined) return await file(flags.file);
  if (flags.sink !== undefined) return await sink(flags.sink, log);
  if (module !== undefined) return await loadHandler(module);
  if (rest) {
    const [command, ...args] = rest;
    if (!command) throw new UsageError("-- needs a command after it");
    const tls = flags["tls-cert"] !== undefined;
    return await program(command, args, { log, tls });
  }
  return echo();
}
