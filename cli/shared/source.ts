/**
 * Where something was thrown.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { messageOf, stackOf } from "../../shared/thrown.ts";

/** Where our own code is: what stands there is not at fault. */
const root = RegExp.escape(import.meta.resolve("../../"));
const ours = new RegExp(
  `^${root}(?:cli|client|conn|draining|exchange|listening|metrics|proxy|server|serving|shared)\\b`,
);

const frame = /^ {4}at /;
/** It takes no longer than a line is long. */
const place =
  /^ {4}at (?:.* \(|async )?((?:file|https?):\/\/[^\s#]+)(?:#\S*?)?(:\d+:\d+)\)?$/;

/**
 * Where something was thrown, outside of our own code. It cannot throw.
 *
 * @param thrown What was thrown.
 * @param isDirect Whether our own code must not have thrown it, at somebody's call.
 * @returns The file or URL with line and column, or `undefined` if it is unknown.
 */
export function sourceOf(
  thrown: unknown,
  isDirect = false,
): string | undefined {
  for (const line of framesOf(thrown)) {
    const [, url, position] = place.exec(line) ?? [];
    if (url === undefined) continue;
    if (!ours.test(url)) return pathOf(url) + position;
    if (isDirect) return undefined;
  }
  return undefined;
}

/**
 * The frames of a stack trace. The message before them may look like some: where it
 * ends is not known if it has changed since.
 */
function framesOf(thrown: unknown): string[] {
  const stack = stackOf(thrown) ?? "";
  const message = messageOf(thrown);
  const at = stack.indexOf(message);
  if (at < 0) return [];
  const lines = stack.slice(at + message.length).split("\n");
  return lines.slice(lines.findLastIndex((line) => !frame.test(line)) + 1);
}

/** The path of a file, if it can have one, or else the URL as it is. */
function pathOf(url: string): string {
  if (!url.startsWith("file:")) return url;
  try {
    return fileURLToPath(url);
  } catch {
    return url;
  }
}
