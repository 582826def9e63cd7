/**
 * Why a command cannot run, or can no longer.
 *
 * @module
 */

import { printable } from "../../shared/printable.ts";
import { Log } from "./log.ts";
import { standardError } from "./standard_error.ts";

/**
 * Says why a command has failed: in a line of its own, or, where the log is JSON,
 * in a line of that.
 *
 * @param message Why it has failed.
 * @param args The command line, which may be one that makes no sense.
 */
export function complain(message: string, args: readonly string[]): void {
  if (asksForJson(args)) new Log("json", "error").fault(message);
  else complainOf(message);
}

/** Says what is wrong in a line of its own. */
export function complainOf(message: string): void {
  standardError.add(`halfclose: ${printable(message)}`);
}

/** Whether a command line, of which the rest may be wrong, asks for a log in JSON. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args[0] !== "send" &&
    /(?:^|\0)--log-format[=\0]json(?:\0|$)/i.test(
      (end < 0 ? args : args.slice(0, end)).join("\0"),
    );
}
