/**
 * Daytime: tells the time to each client, as
 * {@link https://www.rfc-editor.org/rfc/rfc867 | RFC 867} has it. The port of
 * that RFC is 13, which is for root to listen on: `--port 13`.
 *
 * With `streaming` a handler is called before the request is there. This one
 * never reads it, so that a client need not half-close, nor send anything.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/daytime.ts
 * nc localhost 8013 </dev/null
 * ```
 *
 * @module
 */

export default {
  port: 8013,
  streaming: true,
  handler: () => `${new Date().toUTCString()}\r\n`,
};
