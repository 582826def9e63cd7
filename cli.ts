/**
 * The command-line tool: a server whose requests end with a FIN. It answers
 * with an echo, a text, a file, the name of a new file that keeps the request,
 * or the output of a module or a program.
 *
 * ```sh
 * deno run -N jsr:@halfclose/server
 * printf hello | nc -N localhost 8080
 *
 * deno run -N -R=inbox -W=inbox jsr:@halfclose/server --sink inbox
 * deno run -N -R=upper.ts jsr:@halfclose/server ./upper.ts
 * deno run -N --allow-run=wc jsr:@halfclose/server -- wc -w
 * ```
 *
 * @module
 */

import { type Command, commands, server, shells } from "./cli/args/commands.ts";
import { common, sendFlags, serveFlags } from "./cli/args/flags.ts";
import { complain } from "./cli/log/complaint.ts";
import { completionsFor } from "./cli/args/completions.ts";
import type { FlagTable } from "./cli/args/flag_kinds.ts";
import {
  type CommandLine,
  parseFlags,
  UsageError,
} from "./cli/args/parsing.ts";
import { helpOf, version } from "./cli/args/help.ts";
import { looksLikeModule } from "./cli/args/specifier.ts";
import { advise } from "./cli/args/advice.ts";
import { nearest } from "./shared/nearest.ts";
import { send } from "./cli/send.ts";
import { serveUntilStopped } from "./cli/serve.ts";
import { standardError } from "./cli/log/standard_error.ts";
import { sourceOf } from "./cli/shared/source.ts";
import { messageOf } from "./cli/shared/wording.ts";
import { checkDenoVersion } from "./shared/deno_version.ts";
import { causeOf, isOf } from "./shared/thrown.ts";

/**
 * Runs the command-line tool: serves until SIGINT or SIGTERM, then serves the
 * backlog, and ends. A second signal ends it at once.
 *
 * It logs to standard error; help, version and completions are printed to
 * standard output. It needs the permission `--allow-net`, and others for some
 * features: if one is missing, it says which, and never prompts for it.
 *
 * @example Usage
 * ```ts
 * import { main } from "@halfclose/server/cli";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--version"]), 0);
 * ```
 *
 * @param args The arguments of the command line.
 * @returns The exit status: 0 for success, 1 for a failure, 2 for arguments
 * that cannot be understood, 128 plus its number for a signal that ends it at
 * once. `send` also has 124 if its `--timeout` has passed, and 141 if nobody
 * reads its output to the end.
 */
export async function main(args: string[]): Promise<number> {
  try {
    checkDenoVersion("run");
    return await dispatch(args);
  } catch (error) {
    const isMisused = isOf(error, UsageError);
    const source = sourceOf(causeOf(error), true);
    const message = messageOf(error) + (source ? ` (at ${source})` : "");
    complain(isMisused ? advise(message, args) : message, args);
    return isMisused ? 2 : 1;
  } finally {
    // What ends the process next does not wait for it.
    await standardError.flush();
  }
}

async function dispatch(args: string[]): Promise<number> {
  const [first = "", ...rest] = args;
  if (first === "completions") return complete(rest);
  if (first === "send") {
    const line = parseFlags(sendFlags, rest, () => true);
    return explain(line, commands.send) ?? await send(line);
  }
  const isWord = /^\w/.test(first) && !looksLikeModule(first);
  const command = isWord && nearest(first, Object.keys(commands));
  if (command) {
    throw new UsageError(
      `unknown command "${first}". Did you mean "${command}"?`,
    );
  }
  const line = parseFlags(serveFlags, args, looksLikeModule);
  return explain(line, server) ?? await serveUntilStopped(line);
}

function complete(args: string[]): number {
  const line = parseFlags(common, args, () => true);
  const explained = explain(line, commands.completions);
  if (explained !== undefined) return explained;
  const [name, ...others] = line.operands;
  const shell = shells.find((shell) => shell === name);
  if (shell === undefined || others.length > 0 || line.rest) {
    throw new UsageError(
      `completions needs the name of one shell: ${shells.join(", ")}`,
    );
  }
  console.log(completionsFor(shell));
  return 0;
}

/** Prints the help or the version, if requested. */
function explain(
  { flags }: CommandLine<FlagTable>,
  command: Command,
): number | undefined {
  if (!flags["help"] && !flags["version"]) return undefined;
  console.log(flags["help"] ? helpOf(command) : version);
  return 0;
}

// No top-level await: Deno would call it unresolved if a module never loads.
if (import.meta.main) main(Deno.args).then(Deno.exit);
