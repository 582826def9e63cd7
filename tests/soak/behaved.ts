// A client that behaves, and what it makes of its answer.

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

/** Sends its request, half-closes, and checks each byte of the answer. */
export async function behave(
  port: number,
  request: Request,
  onSent: () => void,
): Promise<void> {
  using conn = await connect(port);
  await writeAll(conn, request.bytes);
  await conn.closeWrite();
  onSent();
  await expect(request, conn);
}

export function connect(port: number): Promise<Deno.TcpConn> {
  return connecting(() => Deno.connect({ hostname: "127.0.0.1", port }));
}

/** Connects, as soon as there is a port to connect from. */
export async function connecting<Conn>(
  dial: () => Promise<Conn>,
): Promise<Conn> {
  for (;;) {
    try {
      return await dial();
    } catch (error) {
      // All are in TIME_WAIT: that is between this machine and its clients.
      const { code } = error as { code?: string };
      if (code !== "EADDRNOTAVAIL") {
        throw new Fault("failed", `cannot connect: ${messageOf(error)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export async function writeAll(
  conn: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    sent += await conn.write(sent === 0 ? bytes : bytes.subarray(sent));
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

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
