/**
 * An iterative, end-of-file-framed TCP server: one connection at a time, each
 * request read to its client's FIN, each answered and closed before the next is
 * taken up.
 *
 * @example Take connections in a loop
 * ```ts ignore
 * import { listen } from "@halfclose/server";
 *
 * for await (const conn of listen({ port: 8080 })) {
 *   const request = await conn.text(); // complete: the client has sent its FIN
 *   await conn.respond(request.toUpperCase()); // written, FIN sent, closed
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
 * @example Ask a server
 * ```ts ignore
 * import { request } from "@halfclose/server";
 *
 * const reply = await request({ port: 8080 }, "hello");
 * console.log(await reply.text());
 * ```
 *
 * Run as the main module it is the command-line tool of
 * {@link https://jsr.io/@halfclose/server/doc/cli | `@halfclose/server/cli`}.
 *
 * @module
 */

export * from "./client.ts";
export * from "./server.ts";

// Without a top-level await: whoever imports this module should not wait for it.
if (import.meta.main) {
  import("./cli.ts").then(({ main }) => main(Deno.args)).then(Deno.exit);
}
