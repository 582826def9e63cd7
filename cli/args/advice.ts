/**
 * The command line that somebody meant who typed that of another tool.
 *
 * @module
 */

import type { FlagTable } from "./flag_kinds.ts";
import { sendFlags, serveFlags } from "./flags.ts";
import { parseFlags } from "./parsing.ts";
import { isIpv4 } from "../../shared/ip_address.ts";
import { readHostPort } from "../shared/host_port.ts";
import { looksLikeModule } from "./specifier.ts";
import { inShell } from "../shared/wording.ts";

/** Flags of `nc`, `ncat` and `socat` that this tool needs none for. */
const needless = /^(?:-[lkvn]+|--listen|--keep-open|--verbose)$/;

/** The same, with the flag of the port at their end. */
const needlessBeforePort = /^-[lkvn]+p$/;

/** Flags of theirs after which a command comes. */
const commandFlags = /^(?:-[lkvn]*[ec]|--exec|--sh-exec)$/;

/** An address of `socat`, such as `TCP-LISTEN:9`. */
const socatAddress = /^[A-Z\d-]+:/;

/**
 * Adds the line that works to the message of a command line that does not, if it
 * can be guessed.
 *
 * @param message What is wrong with the command line.
 * @param args Its arguments.
 * @returns The message, with the line or as it was.
 */
export function advise(message: string, args: string[]): string {
  const [first, ...rest] = args;
  const isSending = first === "send";
  const words = first === "help"
    ? [...rest.slice(0, 1), "--help"]
    : first === "version"
    ? ["--version"]
    : first === "serve"
    ? rest
    : isSending
    ? sending(rest)
    : serving(args);
  const isOpen = isSending || message.endsWith(seeHelp);
  if (!isOpen || !words || !isUnderstood(words)) return message;
  const line = ["halfclose", ...words].map(inShell).join(" ");
  return `${message.replace(seeHelp, "")}. Try: ${line}`;
}

const seeHelp = ". See --help";

/** Whether a guess can be understood, unlike what was typed. */
function isUnderstood([first = "", ...rest]: string[]): boolean {
  try {
    if (first === "send") parseFlags(sendFlags, rest, () => true);
    else parseFlags(serveFlags, [first, ...rest], looksLikeModule);
    return true;
  } catch {
    return rest.at(-1) === "--help";
  }
}

/** `send 9100` and `send localhost 9100`, as `nc` has it. */
function sending(args: string[]): string[] | undefined {
  const at = args.findIndex((arg, i) =>
    isPort(arg) && !(args[i - 1] ?? "").startsWith("-")
  );
  if (at < 0) return undefined;
  const host = args[at - 1];
  const from = host === undefined ? at : at - 1;
  const place = `${host ?? "localhost"}:${args[at]}`;
  return ["send", ...args.slice(0, from), place, ...args.slice(at + 1)];
}

/** A server's line of `nc`, `ncat` or `socat`. */
function serving(args: string[]): string[] | undefined {
  const ends = args.indexOf("--");
  const left = args.slice(0, ends < 0 ? args.length : ends);
  let command = ends < 0 ? [] : args.slice(ends + 1);
  const kept: string[] = [];
  const place: string[] = [];
  for (;;) {
    if (place.length === 0) place.push(...takePlace(left));
    const arg = left.shift();
    if (arg === undefined) break;
    if (commandFlags.test(arg)) {
      if (left.length === 0 || command.length > 0) return undefined;
      command = left.splice(0, 1);
    } else if (needlessBeforePort.test(arg)) {
      place.push("--port", left.shift() ?? "");
    } else if (socatAddress.test(arg)) return undefined;
    else if (arg.startsWith("-")) {
      if (needless.test(arg)) continue;
      kept.push(arg, ...left.splice(0, takesValue(arg) ? 1 : 0));
    } else if (looksLikeModule(arg)) kept.push(arg);
    else if (command.length > 0) return undefined;
    else command = [arg, ...left.splice(0)];
  }
  const [program = "", ...others] = command;
  if (others.length === 0) command = program.split(/\s+/).filter(Boolean);
  if (command.length > 0 && kept.some(looksLikeModule)) return undefined;
  const after = command.length > 0 ? ["--", ...command] : [];
  return [...kept, ...place, ...after];
}

/** Takes where to listen from the head of the arguments, if it stands there. */
function takePlace(args: string[]): string[] {
  const [arg = "", next = ""] = args;
  if (arg.startsWith("-") || socatAddress.test(arg)) return [];
  const both = readHostPort(arg);
  const port = arg.replace(/^:/, "");
  const [length, flags]: [number, string[]] = both
    ? [1, ["--host", both.hostname, "--port", `${both.port}`]]
    : isPort(next)
    ? [2, ["--host", arg === "0" ? "0.0.0.0" : arg, "--port", next]]
    : isPort(port)
    ? [1, ["--port", port]]
    : isIpv4(arg)
    ? [1, ["--host", arg]]
    : [0, []];
  args.splice(0, length);
  return flags;
}

/** Whether the next argument belongs to a flag. */
function takesValue(flag: string): boolean {
  const [, dashes, name = ""] = /^(--?)([^=]*)$/.exec(flag) ?? [];
  const table: FlagTable = serveFlags;
  const found = dashes === "--"
    ? table[name]
    : Object.values(table).find(({ short }) => short === name);
  return found?.value !== undefined;
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535;
}
