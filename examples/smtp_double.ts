/**
 * SMTP double: takes the mail that a program under test sends, and keeps it for
 * the test to look at. It delivers nothing.
 *
 * A dialogue: the server greets, and then answers line by line. A recipient
 * `nobody@…` is rejected, so that a test can see what its program makes of that.
 * Import `smtpDouble()` into a test, or run this file: it prints each mail.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/smtp_double.ts
 * printf 'Subject: hi\r\n\r\nLunch?\r\n' | curl -s smtp://localhost:2525 --mail-from a@example.com --mail-rcpt b@example.com -T -
 * ```
 *
 * @module
 */

import type { Conn } from "@halfclose/server";

/** A mail that was taken. */
export interface Mail {
  from: string;
  to: string[];
  /** Its head and its text, with `\r\n` after each line. */
  data: string;
}

/**
 * Makes a handler for `serve({ streaming: true }, …)`.
 *
 * @param onMail Called with each mail.
 */
export function smtpDouble(onMail: (mail: Mail) => void) {
  return async function* (conn: Conn) {
    let mail: Mail = { from: "", to: [], data: "" };
    yield "220 double ready\r\n";
    for (;;) {
      const line = await nextLine(conn);
      if (line === null) return;
      const verb = line.slice(0, 4).toUpperCase();
      const [, address = ""] = /<(.*?)>/.exec(line) ?? [];
      if (verb === "QUIT") {
        yield "221 bye\r\n";
        return;
      } else if (verb === "MAIL") {
        mail = { from: address, to: [], data: "" };
        yield "250 ok\r\n";
      } else if (verb === "RCPT" && address.startsWith("nobody@")) {
        yield `550 ${address} does not live here\r\n`;
      } else if (verb === "RCPT") {
        mail.to.push(address);
        yield "250 ok\r\n";
      } else if (verb === "DATA" && mail.to.length > 0) {
        yield "354 end with a dot\r\n";
        const data = await readData(conn);
        if (data === null) return;
        onMail({ ...mail, data });
        yield "250 taken\r\n";
      } else if (verb === "DATA") {
        yield "503 to whom?\r\n";
      } else if (["EHLO", "HELO", "RSET", "NOOP"].includes(verb)) {
        yield "250 double\r\n";
      } else {
        yield "502 what?\r\n";
      }
    }
  };
}

const decoder = new TextDecoder();

async function nextLine(conn: Conn): Promise<string | null> {
  const line = await conn.readUntil("\r\n");
  return line && decoder.decode(line);
}

/** Reads a mail up to the line that is a dot: others have one dot too many. */
async function readData(conn: Conn): Promise<string | null> {
  let data = "";
  for (;;) {
    const line = await nextLine(conn);
    if (line === null) return null;
    if (line === ".\r\n") return data;
    data += line.startsWith(".") ? line.slice(1) : line;
  }
}

export default {
  port: 2525,
  streaming: true,
  handler: smtpDouble(({ from, to, data }) => {
    const text = `from ${from} to ${to}\n${data}`;
    // What a client sends must not move the cursor of a terminal.
    console.log(text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}]/gu, ""));
  }),
};
