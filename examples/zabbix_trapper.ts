/**
 * Zabbix trapper: takes the values that `zabbix_sender` sends, and prints them.
 *
 * Such a request has its length in front, and its client does not half-close:
 * `until` is a function that tells from the head how long the request is. The
 * response has the same form.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/zabbix_trapper.ts
 * zabbix_sender -z 127.0.0.1 -p 10051 -s web1 -k disk.free -o 42
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

/** What each message begins with: its name, and that of its version. */
const MAGIC = "ZBXD\x01";
/** Then there are its length and four more bytes, which matter if it is packed. */
const HEAD = MAGIC.length + 8;

function lengthOf(head: Uint8Array<ArrayBuffer>): number | undefined {
  if (head.length < HEAD) return undefined;
  return HEAD + new DataView(head.buffer).getUint32(MAGIC.length, true);
}

interface Value {
  host: string;
  key: string;
  value: string;
}

async function handler(conn: Conn): Promise<Uint8Array> {
  const message = await conn.bytes();
  const text = new TextDecoder().decode(message);
  if (!text.startsWith(MAGIC)) return new Uint8Array();
  const { data }: { data: Value[] } = JSON.parse(text.slice(HEAD));
  for (const { host, key, value } of data) {
    console.log(printable(`${host} ${key} ${value}`));
  }
  const total = data.length;
  const info = `processed: ${total}; failed: 0; total: ${total}; ` +
    "seconds spent: 0.000001";
  return messageOf(JSON.stringify({ response: "success", info }));
}

/** What a client sends must not move the cursor of a terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, "?");
}

function messageOf(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(MAGIC + "\0".repeat(8) + text);
  const length = bytes.length - HEAD;
  new DataView(bytes.buffer).setUint32(MAGIC.length, length, true);
  return bytes;
}

export default { port: 10051, until: lengthOf, handler };
