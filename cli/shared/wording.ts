/**
 * How addresses, errors and bytes are written.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { hostPort } from "../../shared/address.ts";
import { printable } from "../../shared/printable.ts";
import { messageOf as wordsOf, stackOf } from "../../shared/thrown.ts";

/** An address as one writes it. Clients of Unix sockets rarely have one. */
export function nameOf(addr: Deno.Addr): string {
  if (addr.transport !== "tcp" && addr.transport !== "udp") {
    // Deno's types do not say that it may be null.
    return ("path" in addr && addr.path as string | null) || "a client";
  }
  return hostPort(addr.hostname, addr.port);
}

/** A request, and whose it is: with that, the line of its exchange begins. */
export function requestName(
  { id, remoteAddr }: { id: number; remoteAddr: Deno.Addr },
): string {
  return `request ${id} of ${nameOf(remoteAddr)}`;
}

/** The address of a server. That of an inherited Unix socket is not known. */
export function serverName(addr: Deno.Addr): string {
  const isKnown = addr.transport !== "unix" || addr.path as string | null;
  return isKnown ? nameOf(addr) : "an inherited Unix socket";
}

/** The message of whatever was thrown, on one line. It cannot throw. */
export function messageOf(thrown: unknown): string {
  return wordsOf(thrown).replaceAll(/\s*\n\s*/g, " ");
}

/** Where our own code is: what stands there is not at fault. */
const root = RegExp.escape(import.meta.resolve("../../"));
const ours = new RegExp(
  `^${root}(?:cli|client|conn|draining|exchange|listening|metrics|proxy|server|serving|shared)\\b`,
);

/**
 * Where something was thrown, outside of our own code.
 *
 * @param thrown What was thrown.
 * @param isDirect Whether our own code must not have thrown it, at somebody's call.
 * @returns The file or URL with line and column, or `undefined` if it is unknown.
 */
export function sourceOf(
  thrown: unknown,
  isDirect = false,
): string | undefined {
  const frames = stackOf(thrown)?.matchAll(
    /\b((?:file|https?):\/\/[^\s#]+)(?:#\S*?)?(:\d+:\d+)\)?$/gm,
  );
  for (const [, url = "", position] of frames ?? []) {
    if (ours.test(url)) {
      if (isDirect) return undefined;
      continue;
    }
    return (url.startsWith("file:") ? fileURLToPath(url) : url) + position;
  }
  return undefined;
}

/** Bytes as text in quotes: what is not printable ASCII is escaped. */
export function quoted(bytes: Uint8Array): string {
  const characters = Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    if (byte > 0x7e) return `\\x${byte.toString(16)}`;
    return /["\\]/.test(character) ? `\\${character}` : printable(character);
  });
  return `"${characters.join("")}"`;
}

/** A word as one types it in a shell. */
export function inShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word)
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}
