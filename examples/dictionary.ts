/**
 * Dictionary: says what a word means, in the protocol DICT of
 * {@link https://www.rfc-editor.org/rfc/rfc2229 | RFC 2229}. `dict` asks it, too.
 *
 * A dialogue: the server greets, and then answers line by line.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/dictionary.ts
 * curl -s dict://localhost:2628/d:half-close
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

const decoder = new TextDecoder();
const words = new Map([
  ["half-close", "To end one's sending half, and go on receiving."],
]);

async function* handler(conn: Conn) {
  yield "220 a small dictionary <> <1@here>\r\n";
  for (;;) {
    const line = await conn.readUntil("\r\n");
    if (line === null) return;
    const [verb = "", ...rest] = decoder.decode(line).trim().split(" ");
    const word = rest.at(-1)?.replaceAll('"', "") ?? "";
    const meaning = words.get(word.toLowerCase());
    if (/^quit$/i.test(verb)) break;
    else if (/^client$/i.test(verb)) yield "250 ok\r\n";
    else if (/^define$/i.test(verb) && meaning) {
      yield `150 1 definition\r\n151 "${word}" small "Small"\r\n` +
        `${meaning}\r\n.\r\n250 ok\r\n`;
    } else if (/^(define|match)$/i.test(verb)) yield "552 no match\r\n";
    else yield "500 what?\r\n";
  }
  yield "221 bye\r\n";
}

export default {
  port: 2628,
  streaming: true,
  handler,
};
