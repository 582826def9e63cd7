/**
 * What an exchange needs of a connection.
 *
 * @module
 */

/** The part of `Deno.Conn` that an exchange uses. */
export type Socket = Pick<
  Deno.Conn,
  "remoteAddr" | "localAddr" | "read" | "write" | "closeWrite" | "close"
>;

/** The addresses of both ends of a connection. */
export type Ends = Pick<Socket, "remoteAddr" | "localAddr">;
