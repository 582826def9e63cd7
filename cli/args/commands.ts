/**
 * All commands, with their flags: the help and the shell completions are made from
 * this one table.
 *
 * @module
 */

import type { FlagTable } from "./flag_kinds.ts";
import {
  answers,
  common,
  limits,
  logs,
  monitoring,
  places,
  sendFlags,
} from "./flags.ts";

/** Some flags that belong together, under a title in the help. */
export interface FlagGroup {
  /** The title. */
  readonly title: string;
  /** The flags. */
  readonly flags: FlagTable;
  /** Other arguments: how each one is written, and what it does. */
  readonly others?: readonly (readonly [written: string, help: string])[];
}

/** A command: what its help says, and what a shell offers. */
export interface Command {
  /** What it does, in one line. */
  readonly summary: string;
  /** The ways to call it. */
  readonly usage: readonly string[];
  /** Its flags. */
  readonly groups: readonly FlagGroup[];
  /** What a shell offers besides flags. */
  readonly completes: "files" | readonly string[];
  /** What its help ends with. */
  readonly notes?: readonly string[];
}

/** The shells with completions. */
export const shells = ["bash", "zsh", "fish"] as const;

/** The command that runs if none is named. */
export const server: Command = {
  summary:
    "One connection at a time: reads a request to its FIN, answers, closes.",
  usage: [
    "[FLAGS] [HANDLER.ts | -- COMMAND ARGS]",
    "send [FLAGS] HOST:PORT",
    `completions ${shells.join("|")}`,
  ],
  groups: [
    {
      title: "What answers (choose one)",
      flags: answers,
      others: [
        ["HANDLER.ts", "what its default export (conn) => … returns"],
        [
          "-- COMMAND ARGS",
          "its output, with the request as its input",
        ],
      ],
    },
    { title: "Where to listen", flags: places },
    {
      title: 'Requests and their limits ("none" for no limit)',
      flags: limits,
    },
    {
      title: "Monitoring, log and help",
      flags: { ...monitoring, ...logs, ...common },
    },
  ],
  completes: "files",
  notes: [
    "Try it: halfclose --text hello, and then nc -N localhost 8080 </dev/null",
    "A sink also needs Deno's -R and -W, a module -R, a program --allow-run.",
  ],
};

/** The commands that are called by name. */
export const commands = {
  send: {
    summary:
      "Sends its input, half-closes, and prints what the server replies.",
    usage: ["send [FLAGS] HOST:PORT | [IPV6]:PORT | unix:PATH"],
    groups: [{ title: "Flags", flags: sendFlags }],
    completes: [],
    notes: [
      "Exit status:",
      "  0    the complete reply was printed, whatever it says; with --receipt",
      "       it says that all of the request was kept",
      "  1    it could not connect, the connection failed, or no such receipt came",
      "  2    arguments that cannot be understood",
      "  124  --timeout has passed",
      "  129  SIGHUP has ended it, 130: SIGINT, 143: SIGTERM",
      "  141  standard output was closed before the end of the reply",
      "",
      "Try it:",
      "  halfclose send localhost:8080 <report.pdf",
      "  halfclose send --tls --file report.pdf print.example.com:9100",
      "  halfclose send --receipt --file report.pdf localhost:8080 && rm report.pdf",
    ],
  },
  completions: {
    summary: "Prints a shell script that completes arguments of halfclose.",
    usage: [`completions ${shells.join("|")}`],
    groups: [{ title: "Flags", flags: common }],
    completes: shells,
    notes: [
      "To load it always, add one of these to the start-up file of your shell:",
      '  eval "$(halfclose completions bash)"',
      '  eval "$(halfclose completions zsh)"',
      "  halfclose completions fish | source",
    ],
  },
} satisfies Readonly<Record<string, Command>>;
