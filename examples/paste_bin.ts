/**
 * Paste bin: keeps what it is sent and responds with a name, which nobody can
 * guess. Sent that name alone, it gives the paste back. A paste is gone after a
 * day.
 *
 * No path can be asked for: a request is either a name, in which there is no
 * room for a slash or a dot, or a paste.
 *
 * ```sh
 * deno run -N -R=examples,pastes -W=pastes jsr:@halfclose/server examples/paste_bin.ts
 * name=$(echo hello | nc -N localhost 8080)
 * echo "$name" | nc -N localhost 8080
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const folder = "pastes";
const MAX_AGE_MS = 24 * 60 * 60 * 1000;

async function handler(conn: Conn) {
  const request = await conn.bytes();
  await removeOld();
  const text = new TextDecoder().decode(request).trim();
  if (text === "") return "send a paste, or the name of one\n";
  return isName(text) ? await open(text) : await keep(request);
}

function isName(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

async function removeOld(): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for await (const { name } of Deno.readDir(folder)) {
    const { mtime } = await Deno.stat(`${folder}/${name}`);
    if (Date.now() - (mtime?.getTime() ?? 0) < MAX_AGE_MS) continue;
    await Deno.remove(`${folder}/${name}`);
  }
}

async function open(name: string) {
  try {
    return (await Deno.open(`${folder}/${name}`)).readable;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no such paste\n";
    throw error;
  }
}

async function keep(paste: Uint8Array): Promise<string> {
  const name = crypto.randomUUID();
  // It may be seen half written by nobody: the name is not told yet.
  await Deno.writeFile(`${folder}/${name}`, paste, { createNew: true });
  return `${name}\n`;
}

export default { maxRequestBytes: 1024 * 1024, handler };
