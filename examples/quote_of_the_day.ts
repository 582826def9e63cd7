/**
 * Quote of the day: one for each day, to each client, as
 * {@link https://www.rfc-editor.org/rfc/rfc865 | RFC 865} has it: printable
 * ASCII, and at most 512 characters. The port of that RFC is 17, which is for
 * root to listen on: `--port 17`.
 *
 * It never reads the request, so that a client need not half-close, nor send
 * anything.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/quote_of_the_day.ts
 * nc localhost 8017 </dev/null
 * ```
 *
 * @module
 */

const quotes = [
  "Be liberal in what you accept, and conservative in what you send.\r\n" +
  "(RFC 1122, section 1.2.2)\r\n",
  "With sufficient thrust, pigs fly just fine.\r\n" +
  "(RFC 1925, section 2)\r\n",
  "In protocol design, perfection has been reached not when there is nothing\r\n" +
  "left to add, but when there is nothing left to take away.\r\n" +
  "(RFC 1925, section 2)\r\n",
];

const DAY_MS = 24 * 60 * 60 * 1000;

export default {
  port: 8017,
  streaming: true,
  handler: () => quotes[Math.floor(Date.now() / DAY_MS) % quotes.length],
};
