// What the tests of the files in deploy/ ask of command lines.

import { serveFlags } from "../cli/args/flags.ts";

/** What follows a flag among the arguments. */
export function valueOf(args: string[], flag: string): string | undefined {
  const at = args.indexOf(flag);
  return at < 0 ? undefined : args[at + 1];
}

/** The seconds of a time such as `60s`. */
export function seconds(time: string | undefined): number {
  return Number(/^(\d+)s$/.exec(time ?? "")?.[1]);
}

/** Flags among the arguments that the server does not have. */
export function unknownFlags(args: string[]): string[] {
  return args.filter((arg) => /^--[a-z]/.test(arg))
    .filter((arg) => !(arg.slice(2) in serveFlags));
}
