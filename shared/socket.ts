/**
 * What an exchange needs of a connection.
 *
 * @module
 */

/** The part of `Deno.Conn` that an exchange uses, and what some can do besides. */
export type Socket =
  & Pick<
    Deno.Conn,
    "remoteAddr" | "localAddr" | "read" | "write" | "closeWrite" | "close"
  >
  & {
    /**
     * Closes with a RST, so that the peer cannot take what it got for all of it.
     * Where it is missing, or has no effect, there is only the FIN.
     */
    reset?(): void;
  };

/** The addresses of both ends of a connection. */
export type Ends = Pick<Socket, "remoteAddr" | "localAddr">;
