// A client that behaves, and what it makes of its answer.

import { messageOf } from "../harness/errors.ts";
import { connect, whenThereIsRoom, writeAll } from "../sockets.ts";
import type { Expected, Request } from "./exchanges.ts";

/** What can go wrong: no connection, no whole answer, or not the right one. */
export type Wrong = "failed" | "lost" | "mangled";

/** What went wrong with an exchange. */
export class Fault extends Error {
  readonly wrong: Wrong;

  constructor(wrong: Wrong, message: string) {
    super(message);
    this.wrong = wrong;
  }
}

const buffers: Uint8Array<ArrayBuffer>[] = [];

/** Sends its request, ends it, and checks each byte of the reply. */
export async function behave(
  port: number,
  request: Request,
  onSent: () => void,
): Promise<void> {
  using conn = await connectTo(port);
  await writeAll(conn, request.bytes);
  if (request.halfCloses) await conn.closeWrite();
  onSent();
  await expect(request, conn);
}

export function connectTo(port: number): Promise<Deno.Conn> {
  return reach(() => connect({ port }));
}

/** Connects, as soon as there is a port to connect from. */
export async function reach<Conn>(
  dial: () => Promise<Conn>,
): Promise<Conn> {
  try {
    return await whenThereIsRoom(dial);
  } catch (error) {
    throw new Fault("failed", `cannot connect: ${messageOf(error)}`);
  }
}

/** Reads to the end, and throws unless each byte is as expected. */
export async function expect(
  expected: Expected,
  conn: Deno.Conn,
): Promise<void> {
  const buffer = buffers.pop() ?? new Uint8Array(65_536);
  let size = 0;
  try {
    for (;;) {
      const read = await conn.read(buffer);
      if (read === null) break;
      for (let i = 0; i < read; i++) {
        if (buffer[i] === expected.byteAt(size + i)) continue;
        throw new Fault("mangled", `byte ${size + i} of its answer is wrong`);
      }
      size += read;
    }
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("lost", `after ${size} bytes: ${messageOf(error)}`);
  } finally {
    buffers.push(buffer);
  }
  if (size > expected.size) {
    throw new Fault("mangled", `${size} bytes came, not ${expected.size}`);
  }
  if (size < expected.size) {
    throw new Fault("lost", `${size} of ${expected.size} bytes came`);
  }
}
