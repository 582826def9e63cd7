/**
 * Answering with the request itself, with a text, or with a file.
 *
 * @module
 */

import type { Conn } from "../../server.ts";
import { ensureFile, trying, useFile } from "../shared/files.ts";
import type { Answer } from "./answer.ts";

/** Answers with what was sent. */
export function echo(): Answer {
  return { options: {}, handler: (conn) => conn.bytes() };
}

/** Answers with a text. */
export function text(text: string): Answer {
  return {
    options: { streaming: true },
    async handler(conn) {
      await dropRequest(conn);
      return text;
    },
  };
}

/**
 * Answers with what a file holds at that moment.
 *
 * @throws {Error} If it cannot be read.
 */
export async function file(path: string): Promise<Answer> {
  await useFile(path, () => ensureFile(path));
  return {
    options: { streaming: true },
    async handler(conn) {
      await dropRequest(conn);
      // Something else may lie there by now.
      await trying(`read ${path}`, () => ensureFile(path));
      return (await Deno.open(path)).readable;
    },
  };
}

/** Reads the request to its end, and drops it. */
async function dropRequest(conn: Conn): Promise<void> {
  await conn.readable.pipeTo(new WritableStream());
}
