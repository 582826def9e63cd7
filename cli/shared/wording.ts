/**
 * How addresses, errors and bytes are written.
 *
 * @module
 */

import { hostPort } from "../../shared/address.ts";
import { printable } from "../../shared/printable.ts";
import { messageOf as wordsOf } from "../../shared/thrown.ts";

/** How much is shown of either end of a long text. */
const MAX_END = 4096;

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

/**
 * The message of whatever was thrown, on one line, and shortened. It cannot throw,
 * and takes no longer than the message is long: a client may choose what it quotes.
 */
export function messageOf(thrown: unknown): string {
  const lines = shortened(wordsOf(thrown)).split("\n");
  return lines.map((line) => line.trim()).filter(Boolean).join(" ");
}

/** Text without its middle, if it is long. A message may quote a whole request. */
export function shortened(text: string): string {
  const rest = text.length - 2 * MAX_END;
  if (rest <= 0) return text;
  const [start, end] = [text.slice(0, MAX_END), text.slice(-MAX_END)];
  return `${start} (${rest} characters left out) ${end}`;
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
