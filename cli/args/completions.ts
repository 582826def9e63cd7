/**
 * Shell completions, made from the table of commands.
 *
 * @module
 */

import { type Command, commands, server, type shells } from "./commands.ts";
import type { Flag } from "./flag_kinds.ts";

/** A shell with completions. */
export type Shell = typeof shells[number];

/**
 * Writes the script that lets a shell complete the arguments of `halfclose`.
 *
 * @param shell The shell.
 * @returns The script.
 */
export function completionsFor(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}

/** All flags of a command, by name. */
function flagsOf({ groups }: Command): [name: string, flag: Flag][] {
  return groups.flatMap(({ flags }) => Object.entries(flags));
}

/** A flag as it is typed. */
function typed(name: string, { short }: Flag): string[] {
  return [`--${name}`, ...short === undefined ? [] : [`-${short}`]];
}

const named = Object.entries<Command>(commands);
const all: [name: string, command: Command][] = [["", server], ...named];
const names = Object.keys(commands);
const listed = names.join(" ");

// bash

function bash(): string {
  const values = all.flatMap(([command, description]) =>
    flagsOf(description).filter(([, { value }]) => value !== undefined)
      .map(([name, flag]) => {
        const patterns = typed(name, flag).map((one) => `"${command} ${one}"`);
        const offer = bashOffer(flag.completes ?? []);
        return `    ${patterns.join(" | ")}) ${offer} ;;`;
      })
  );
  const words = all.map(([command, description]) => {
    const flags = flagsOf(description).flatMap((one) => typed(...one));
    return `    "${command} -"*) ${bashOffer(flags)} ;;\n` +
      `    "${command} "*) ${bashOffer(description.completes)} ;;`;
  });
  return `_halfclose() {
  local command="" word previous i
  word=\${COMP_WORDS[COMP_CWORD]}
  previous=\${COMP_WORDS[COMP_CWORD - 1]}
  # --flag=value comes as three words.
  if [[ $word == = ]]; then word=""
  elif [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  local IFS=$'\\n'
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} == -- ]]; then
      ${bashOffer("files")}
      ((i + 1 < COMP_CWORD)) || COMPREPLY=($(compgen -c -- "$word"))
      return
    fi
  done
  if ((COMP_CWORD > 1)); then
    case \${COMP_WORDS[1]} in
      ${names.join(" | ")}) command=\${COMP_WORDS[1]} ;;
    esac
  fi
  case "$command $previous" in
${values.join("\n")}
    *)
      case "$command $word" in
${words.join("\n").replaceAll(/^/gm, "    ")}
      esac
      ((COMP_CWORD > 1)) || [[ $word == -* ]] ||
        COMPREPLY+=($(compgen -W $'${names.join("\\n")}' -- "$word"))
      ;;
  esac
}
complete -F _halfclose halfclose`;
}

function bashOffer(what: NonNullable<Flag["completes"]>): string {
  const how = what === "files"
    ? "-f"
    : what === "directories"
    ? "-d"
    : `-W $'${what.join("\\n")}'`;
  const offer = `COMPREPLY=($(compgen ${how} -- "$word"))`;
  return typeof what === "string"
    ? `compopt -o filenames 2>/dev/null; ${offer}`
    : offer;
}

// zsh

function zsh(): string {
  const cases = named.map(([name, command]) =>
    `    ${name}) shift words; ((CURRENT--)); ${zshArguments(command)} ;;`
  );
  return `#compdef halfclose
_halfclose() {
  case $words[2] in
${cases.join("\n")}
    *) ${zshArguments(server)} ;;
  esac
}
compdef _halfclose halfclose`;
}

function zshArguments(command: Command): string {
  const flags = flagsOf(command).flatMap(([name, flag]) =>
    typed(name, flag).map((one) => zshFlag(one, flag))
  );
  const operands = command === server
    ? [
      `'1: :{ _alternative "commands:command:(${listed})" "files:handler:_files" }'`,
      "'*:: :_normal'",
    ]
    : [`'1: :${zshOffer(command.completes)}'`];
  return ["_arguments -s", ...flags, ...operands].join(" \\\n      ");
}

function zshFlag(typed: string, { value, help, completes }: Flag): string {
  const described = help.replaceAll(/[[\]:]/g, "\\$&");
  const text = `${typed}${value === undefined ? "" : "="}[${described}]`;
  const argument = value === undefined
    ? ""
    : `:${value}:${zshOffer(completes ?? [])}`;
  return `'${(text + argument).replaceAll("'", "'\\''")}'`;
}

function zshOffer(what: NonNullable<Flag["completes"]>): string {
  if (what === "files") return "_files";
  if (what === "directories") return "_files -/";
  return what.length === 0 ? " " : `(${what.join(" ")})`;
}

// fish

function fish(): string {
  const isCommand = `__fish_seen_subcommand_from ${listed}`;
  const lines = all.flatMap(([name, command]) => {
    const when = name === ""
      ? `not ${isCommand}`
      : `__fish_seen_subcommand_from ${name}`;
    const flags = flagsOf(command).map((one) => fishFlag(when, ...one));
    if (command.completes === "files") return flags;
    const words = command.completes.join(" ");
    return [`complete -c halfclose -n '${when}' -f -a '${words}'`, ...flags];
  });
  return [
    `complete -c halfclose -n 'not ${isCommand}; and test (count (commandline -opc)) -eq 1' -a '${listed}'`,
    ...lines,
  ].join("\n");
}

function fishFlag(when: string, name: string, flag: Flag): string {
  const { short, value, help, completes = [] } = flag;
  const offer = completes === "files"
    ? " -rF"
    : completes === "directories"
    ? " -x -a '(__fish_complete_directories)'"
    : ` -x${completes.length === 0 ? "" : ` -a '${completes.join(" ")}'`}`;
  return `complete -c halfclose -n '${when}' -l ${name}` +
    (short === undefined ? "" : ` -s ${short}`) +
    (value === undefined ? "" : offer) +
    ` -d '${help.replaceAll("'", "\\'")}'`;
}
