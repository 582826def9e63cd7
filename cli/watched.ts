/**
 * Looking at requests without a handler's notice.
 *
 * @module
 */

import type { Conn, Handler } from "../mod.ts";

/** Told of the first bytes of a request, of all of it if it is at hand. */
type Look = (conn: Conn, bytes: Uint8Array) => void;

/**
 * Makes a handler whose requests are looked at before it reads them.
 *
 * @param handler The handler.
 * @param streaming Whether its requests are streamed: then what is looked at is
 * the first chunk, as it is read.
 * @param look Called once for each request that is read.
 */
export function watched(
  handler: Handler,
  streaming: boolean,
  look: Look,
): Handler {
  return async (conn) => {
    if (streaming) {
      return await handler(
        withRequest(conn, () => lookedAt(conn, look)),
      );
    }
    const bytes = await conn.bytes();
    look(conn, bytes);
    return await handler(withRequest(conn, () => bytes));
  };
}

/** A connection whose request is another one, which is made when it is needed. */
function withRequest(conn: Conn, make: () => BodyInit): Conn {
  let made: Response | undefined;
  const request = () => made ??= new Response(make());
  return new Proxy(conn, {
    get(target, name) {
      switch (name) {
        case "readable":
          return request().body;
        case "bodyUsed":
          return made?.bodyUsed ?? false;
        case "bytes":
        case "arrayBuffer":
        case "text":
        case "json":
          return () => request()[name]();
      }
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** The request, chunk by chunk, the first of which is looked at. */
function lookedAt(
  conn: Conn,
  look: Look,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = conn.readable.getReader();
  let first = true;
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const { done, value } = await reader.read();
      if (first) look(conn, value ?? new Uint8Array());
      first = false;
      if (value) controller.enqueue(value);
      if (!done) return;
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
