/**
 * An iterative server: one connection at a time, each request read to its
 * client's FIN, each answered and closed before the next is taken up.
 *
 * This entry point is the library alone. It imports nothing from outside.
 *
 * @example Usage
 * ```ts
 * import { serve } from "@halfclose/server/server";
 *
 * const server = serve(
 *   { hostname: "127.0.0.1", port: 0 },
 *   async (conn) => (await conn.text()).toUpperCase(),
 * );
 * await server.shutdown();
 * ```
 *
 * @module
 */

export type { BodyChunk, ResponseBody } from "./exchange/body.ts";
export type { Conn, ExchangeRecord, Outcome, Phase } from "./conn.ts";
export { RequestTooLargeError, TimeoutError } from "./conn.ts";
export { listen, type Listener } from "./listen.ts";
export type {
  ExchangeOptions,
  ListenerOptions,
  ListenOptions,
  NoTcpOptions,
  NoUnixOptions,
  TcpOptions,
  UnixOptions,
} from "./listening/options.ts";
export {
  type Handler,
  serve,
  type ServeCallbacks,
  type ServeListenerOptions,
  type ServeOptions,
  type Server,
  type ServeTcpOptions,
  type ServeUnixOptions,
  type WithHandler,
} from "./serve.ts";
