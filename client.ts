/**
 * A client for servers whose requests and replies end with a FIN: connects,
 * sends, half-closes, and reads the reply.
 *
 * This entry point contains the client only. It imports no other package.
 *
 * @example Usage
 * ```ts
 * import { request } from "@halfclose/server/client";
 * import { serve } from "@halfclose/server/server";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = serve(
 *   { hostname: "127.0.0.1", port: 0 },
 *   async (conn) => (await conn.text()).toUpperCase(),
 * );
 * const reply = await request({ port: server.addr.port }, "hello");
 * assertEquals(await reply.text(), "HELLO");
 * ```
 *
 * @module
 */

import { type ChunkSource, openBody, type RequestBody } from "./shared/body.ts";
import { type ClientSocket, connect } from "./client/connecting.ts";
import { ClientExchange } from "./client/client_exchange.ts";
import { checkRequestOptions, type RequestOptions } from "./client/options.ts";
import type { Reply } from "./client/reply.ts";
import { TimeoutError } from "./shared/errors.ts";
import { startTimer } from "./shared/timer.ts";

export type { BodyChunk, RequestBody, ResponseBody } from "./shared/body.ts";
export type {
  RequestLimits,
  RequestOptions,
  RequestTcpOptions,
  RequestTlsOptions,
  RequestUnixOptions,
} from "./client/options.ts";
export { type Reply, ReplyTooLargeError } from "./client/reply.ts";
export { TimeoutError } from "./shared/errors.ts";

/**
 * Sends a request, half-closes, and returns the reply.
 *
 * The request is sent with backpressure, and the reply is read at the same
 * time, so that neither side blocks, however large both are. The promise
 * resolves when the first byte of the reply, or its end, has arrived. After
 * that, errors appear when the {@linkcode Reply} is read. Read it, cancel it or
 * dispose of it: the connection stays open until then.
 *
 * A request that is cut (by its `signal` or `timeout`, by a body that fails, or as
 * its reply is discarded) ends with a reset, and TLS without a `close_notify`: the
 * server does not take it for a complete one. That does not hold for a Unix
 * socket, which knows no reset, for most proxies, which make a FIN of a reset, and
 * for a process that is killed. If that matters, put a length or a checksum into
 * the request.
 *
 * On Windows (by Deno's source, not tried) a request that is still waiting to be
 * sent is also cut if the server ends its side before it has sent a byte.
 *
 * @example Usage
 * ```ts
 * import { request } from "@halfclose/server/client";
 * import { serve } from "@halfclose/server/server";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = serve(
 *   { hostname: "127.0.0.1", port: 0 },
 *   async (conn) => (await conn.text()).toUpperCase(),
 * );
 * const reply = await request(server.addr, "hello");
 * assertEquals(await reply.text(), "HELLO");
 * ```
 *
 * @example A file, over TLS
 * ```ts ignore
 * import { request } from "@halfclose/server/client";
 *
 * const file = await Deno.open("report.txt");
 * const printer = { hostname: "print.example.com", port: 9100 };
 * const reply = await request(
 *   { ...printer, tls: true, timeout: 10_000 },
 *   file.readable,
 * );
 * await reply.readable.pipeTo(Deno.stdout.writable, { preventClose: true });
 * ```
 *
 * @example A Unix socket
 * ```ts ignore
 * import { request } from "@halfclose/server/client";
 *
 * const reply = await request({ path: "/run/control.sock" }, "status");
 * console.log(await reply.json());
 * ```
 *
 * @param options Where to connect, and the limits: a `port`, perhaps with
 * `tls: true`, or the `path` of a Unix socket.
 * @param body What to send. Nothing by default. A stream is cancelled, and an
 * iterator closed, if not all of it is sent.
 * @returns The reply.
 * @throws {TypeError} If an option is missing, of the wrong type, unknown or
 * excluded by another, or `body` is not a {@linkcode RequestBody}; no connection is made
 * then.
 * @throws {RangeError} If a number among the options is out of range.
 * @throws {Deno.errors.NotSupported} If this Deno is older than 2.9.5.
 * @throws {TimeoutError} If `timeout` has passed.
 * @throws {Deno.errors.NotCapable} If the permission `--allow-net` is missing;
 * a Unix socket needs `--allow-read` and `--allow-write`, too.
 * @throws {Deno.errors.ConnectionRefused} If no server listens there.
 * @throws {Deno.errors.NotFound} If there is no such Unix socket.
 * @throws {Deno.errors.WouldBlock} If the backlog of a Unix socket is full.
 * @throws {Deno.errors.InvalidData} If the TLS handshake fails, for example
 * because the certificate is not trusted. Connecting may also fail with other
 * errors of Deno.
 * @throws {Deno.errors.ConnectionReset} If the server resets the connection.
 * @throws {Deno.errors.UnexpectedEof} If the server ends TLS without a
 * `close_notify`.
 * @throws {unknown} The reason of `signal` if that is aborted, or what `body`
 * throws while it is read.
 */
export async function request(
  options: RequestOptions,
  body?: RequestBody,
): Promise<Reply> {
  const checked = checkRequestOptions(options);
  const content = openBody(body);
  const limit = new Limit(checked.timeout, checked.signal);
  let socket: ClientSocket;
  try {
    socket = await connect(checked, limit.signal);
  } catch (error) {
    limit.lift();
    cancel(content, error);
    throw error;
  }
  const exchange = new ClientExchange(
    socket,
    content,
    checked.maxReplyBytes,
    () => limit.lift(),
  );
  limit.onReached((error) => exchange.cut(error));
  await exchange.begun;
  return exchange;
}

function cancel(content: Uint8Array | ChunkSource, reason: unknown): void {
  if (!(content instanceof Uint8Array)) content.cancel(reason);
}

/** Ends a request from outside: by its timeout, or by its caller's signal. */
class Limit {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #callerSignal: AbortSignal | undefined;

  constructor(timeout: number, callerSignal: AbortSignal | undefined) {
    this.#callerSignal = callerSignal;
    callerSignal?.addEventListener("abort", this.#follow);
    if (callerSignal?.aborted) this.#follow();
    this.#timer = startTimer(
      () => this.#controller.abort(new TimeoutError("timeout", timeout)),
      timeout,
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Calls `act` with the reason when the limit is reached, or now if it is. */
  onReached(act: (reason: unknown) => void): void {
    const { signal } = this;
    signal.addEventListener("abort", () => act(signal.reason));
    if (signal.aborted) act(signal.reason);
  }

  /** Lifts the limit: it can no longer be reached. */
  lift(): void {
    clearTimeout(this.#timer);
    this.#callerSignal?.removeEventListener("abort", this.#follow);
  }

  readonly #follow = () => this.#controller.abort(this.#callerSignal?.reason);
}
