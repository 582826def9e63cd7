/**
 * The text of the help.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import type { Command, FlagGroup } from "./commands.ts";
import type { Flag } from "./flag_kinds.ts";

/** The name and the version of the tool. */
export const version = `halfclose ${config.version}`;

/**
 * Writes the help of a command.
 *
 * @param command The command.
 * @returns What to print.
 */
export function helpOf(command: Command): string {
  const { summary, usage, groups, notes } = command;
  const called = usage.map((args) => `halfclose ${args}`);
  const terms = groups.flatMap(termsOf).map(([term]) => term.length);
  const width = Math.max(...terms);
  return [
    `${version}\n${summary}`,
    `Usage: ${called.join("\n       ")}`,
    ...groups.map((group) => {
      const lines = termsOf(group).map(([term, help]) =>
        `  ${term.padEnd(width)}  ${help}`
      );
      return [`${group.title}:`, ...lines].join("\n");
    }),
    ...notes ? [notes.join("\n")] : [],
  ].join("\n\n");
}

/** How each flag of a group is written, and what it does. */
function termsOf({ flags, others = [] }: FlagGroup): [string, string][] {
  return [
    ...Object.entries(flags).map(([name, flag]): [string, string] => [
      writtenAs(name, flag),
      flag.default === undefined ? flag.help : `${flag.help} [${flag.default}]`,
    ]),
    ...others.map(([written, help]): [string, string] => [
      `    ${written}`,
      help,
    ]),
  ];
}

function writtenAs(name: string, { short, value }: Flag): string {
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  return short === undefined ? `    ${long}` : `-${short}, ${long}`;
}
