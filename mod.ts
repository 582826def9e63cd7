/**
 * An iterative, end-of-file-framed TCP server: it reads each request to the
 * client's FIN, answers it and closes the connection before it takes the next
 * one.
 *
 * {@linkcode listen} and {@linkcode serve} make a server, {@linkcode request} is
 * the client. A {@linkcode Conn} is one connection: read its request, and respond.
 * {@linkcode ExchangeOptions} has the limits and the callbacks of a server, and
 * {@linkcode ExchangeRecord} tells how each exchange went. When run as the main module, this is the command-line tool of
 * {@link https://jsr.io/@halfclose/server/doc/cli | `@halfclose/server/cli`}.
 *
 * @example Take connections in a loop
 * ```ts ignore
 * import { listen } from "@halfclose/server";
 *
 * for await (const conn of listen({ port: 8080 })) {
 *   // Complete: the client has sent its FIN.
 *   const request = await conn.text();
 *   // Written, our FIN sent, and closed.
 *   await conn.respond(request.toUpperCase());
 * }
 * ```
 *
 * @example Let a handler answer
 * ```ts ignore
 * import { serve } from "@halfclose/server";
 *
 * const server = serve(
 *   { port: 8080 },
 *   async (conn) => (await conn.text()).toUpperCase(),
 * );
 * await server.finished;
 * ```
 *
 * @example Send a request
 * ```ts ignore
 * import { request } from "@halfclose/server";
 *
 * const reply = await request({ port: 8080 }, "hello");
 * console.log(await reply.text());
 * ```
 *
 * @module
 */

export * from "./server.ts";
export * from "./client.ts";

// No top-level await: code that imports this module should not wait for it. And
// no literal specifier: Deno would fetch the whole tool for each importer.
if (import.meta.main) {
  import(import.meta.resolve("./cli.ts"))
    .then(({ main }) => main(Deno.args)).then(Deno.exit);
}
