/**
 * Listening: connections one at a time, for a loop.
 *
 * @module
 */

import { Backlog, type Source } from "./listening/backlog.ts";
import type { Conn } from "./conn.ts";
import {
  abortError,
  Exchange,
  type ExchangeSettings,
  MAX_TIMER_MS,
} from "./exchange.ts";
import {
  type CheckedOptions,
  checkOptions,
  type ListenerOptions,
  type ListenOptions,
  type TcpOptions,
  type UnixOptions,
} from "./listening/options.ts";
import { UnixListener } from "./listening/unix.ts";
import { Watchdog } from "./exchange/watchdog.ts";

/** The default of Linux's net.core.somaxconn, which bounds every backlog. */
const MAX_BACKLOG = 4096;
/** How long a loop that was cut short may take to notice. */
const GRACE_MS = 100;
/** How many sockets may linger at once. The oldest makes room for a new one. */
const MAX_LINGERING = 64;

/**
 * A listening socket whose connections are iterated over one by one.
 *
 * The iteration never ends, and never throws, for anything that a client does.
 * Leaving it (`break`, `return`, `throw`) closes the listener **and resets every
 * connection still in its backlog**; {@linkcode Listener.shutdown} serves them.
 */
export interface Listener<Addr extends Deno.Addr = Deno.Addr>
  extends AsyncIterable<Conn<Addr>, void, undefined>, AsyncDisposable {
  /** The address that is listened on. */
  readonly addr: Addr;
  /**
   * Starts to take connections. There can be but one iteration. It ends with an
   * error if no more connections can be accepted, or with what a callback threw.
   *
   * @returns The connections, one at a time.
   * @throws {TypeError} If it was called before.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Conn<Addr>, void, undefined>;
  /**
   * Stops without a loss: connections established by now are served, later ones
   * are refused, and then the iteration ends. One more `deadline` bounds the
   * whole; what is not served by then is closed. Without an iteration there is
   * nobody to serve, and it does as {@linkcode Listener.close} does.
   *
   * Do not await it within the iteration, which it would wait for.
   *
   * @returns Resolves when the iteration has ended and all sockets are closed.
   * Calling it again gives the same promise.
   */
  shutdown(): Promise<void>;
  /**
   * Stops at once: the backlog is reset, the exchange under way and all that
   * lingers are cut, and the iteration ends. It waits for nothing.
   */
  close(): void;
  /** Lets waiting for connections keep the process alive, as it does at first. */
  ref(): void;
  /**
   * Lets the process end while it waits for connections. On TLS Deno gives this
   * no effect.
   */
  unref(): void;
}

/**
 * Listens on a Unix socket.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * const path = await Deno.makeTempDir() + "/control.sock";
 * await using listener = listen({ path });
 * ```
 *
 * @param options Where to listen, and the limits.
 * @returns The listener, which listens already.
 */
export function listen(options: UnixOptions): Listener<Deno.UnixAddr>;
/**
 * Takes over a listener that somebody else has made.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * await using listener = listen({
 *   listener: Deno.listen({ hostname: "127.0.0.1", port: 0 }),
 * });
 * ```
 *
 * @param options The listener, and the limits.
 * @returns The listener, which listens already.
 */
export function listen<Addr extends Deno.Addr>(
  options: ListenerOptions<Addr>,
): Listener<Addr>;
/**
 * Listens, and gives the connections one at a time.
 *
 * Each request is read to its end, within the limits, before its connection is
 * given. A client that resets, stalls, sends too much or cuts TLS short is
 * recorded and never seen; so nothing that a client does ends the iteration.
 * When the next connection is asked for, the one before is closed if it is still
 * open, after a response that is under way.
 *
 * It needs the permission `--allow-net`, on a Unix socket also `--allow-read` and
 * `--allow-write`.
 *
 * @example Usage
 * ```ts
 * import { listen } from "@halfclose/server";
 *
 * const listener = listen({ hostname: "127.0.0.1", port: 0 });
 * const client = await Deno.connect({ port: listener.addr.port });
 * await client.write(new TextEncoder().encode("hello"));
 * await client.closeWrite();
 *
 * for await (const conn of listener) {
 *   const request = await conn.text(); // complete: the client has sent its FIN
 *   await conn.respond(request.toUpperCase()); // written, FIN sent, closed
 *   break;
 * }
 * client.close();
 * ```
 *
 * @param options Where to listen, and the limits.
 * @returns The listener, which listens already.
 * @throws {TypeError} If an option is of the wrong type, or two exclude each other.
 * @throws {RangeError} If a number is out of its range.
 * @throws {Deno.errors.AddrInUse} If something listens there already.
 * @throws {Deno.errors.NotCapable} If a permission is missing.
 */
export function listen(options?: TcpOptions): Listener<Deno.NetAddr>;
/**
 * Listens wherever the options say.
 *
 * @example Usage
 * ```ts
 * import { listen, type ListenOptions } from "@halfclose/server";
 *
 * const options: ListenOptions = { hostname: "127.0.0.1", port: 0 };
 * await using listener = listen(options);
 * ```
 *
 * @param options Where to listen, and the limits.
 * @returns The listener, which listens already.
 */
export function listen(options?: ListenOptions): Listener;
export function listen(options: ListenOptions = {}): Listener {
  return new IterativeListener(checkOptions(options));
}

/** What {@linkcode listen} gives, and what {@linkcode serve} runs on. */
export class IterativeListener implements Listener {
  readonly #options: CheckedOptions;
  readonly #listener: Source;
  readonly #backlog: Backlog;
  readonly #watchdog: Watchdog;
  readonly #settings: ExchangeSettings;
  /** The exchange that has its turn. */
  #exchange: Exchange<Deno.Addr> | undefined;
  #exchanges = 0;
  readonly #lingering = new Set<Exchange<Deno.Addr>>();
  #iterator: AsyncGenerator<Exchange<Deno.Addr>, void, undefined> | undefined;
  #running = false;
  #inLoopBody = false;
  #closed: { reason: unknown } | undefined;
  #stopping: Promise<void> | undefined;
  readonly #ended = Promise.withResolvers<void>();
  /** What a callback threw where it could not be thrown on. */
  #callbackFault: { error: unknown } | undefined;

  constructor(options: CheckedOptions) {
    const { signal, onRefuse } = options;
    this.#options = options;
    this.#listener = options.listener ?? bind(options);
    this.#settings = {
      ...options,
      localAddr: options.path === undefined ? undefined : this.addr,
      onRefuse: onRefuse && ((error) => {
        try {
          return onRefuse(error);
        } catch (error) {
          this.#callbackFault ??= { error };
        }
      }),
      freeBuffers: [],
    };
    const { listener, path, reusePort, tcpBacklog } = options;
    const ours = listener === undefined && path === undefined;
    this.#backlog = new Backlog(this.#listener, {
      exclusive: listener === undefined && !reusePort,
      capacity: ours ? tcpBacklog : MAX_BACKLOG,
      onAcceptError: options.onAcceptError,
    });
    this.#watchdog = new Watchdog(
      Math.min(options.deadline, options.idleTimeout),
    );
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort);
  }

  get addr(): Deno.Addr {
    return this.#listener.addr;
  }

  [Symbol.asyncIterator](): AsyncGenerator<
    Exchange<Deno.Addr>,
    void,
    undefined
  > {
    if (this.#iterator) {
      throw new TypeError(
        "Cannot iterate over a listener twice: its connections come one at a " +
          "time, listen again or handle them in the one loop",
      );
    }
    const iterator = this.#iterate();
    const { return: leave, throw: fail } = iterator;
    // Left before it was begun or while it waits, it would not notice by itself.
    iterator.return = (value) => {
      if (!this.#inLoopBody) this.close();
      return leave.call(iterator, value);
    };
    iterator.throw = (error) => {
      if (!this.#inLoopBody) this.close();
      return fail.call(iterator, error);
    };
    return this.#iterator = iterator;
  }

  shutdown(): Promise<void> {
    return this.#stopping ??= this.#shutDown();
  }

  close(): void {
    this.#abort(abortError("The server was closed"));
  }

  ref(): void {
    this.#listener.ref();
    this.#watchdog.ref();
  }

  unref(): void {
    this.#listener.unref();
    this.#watchdog.unref();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async *#iterate(): AsyncGenerator<Exchange<Deno.Addr>, void, undefined> {
    this.#running = true;
    try {
      for (;;) {
        const socket = await this.#backlog.next();
        if (!socket) return;
        const exchange = this.#begin(socket);
        try {
          if (!this.#allows(exchange)) continue;
          if (!await exchange.prepare(this.#options.streaming)) continue;
          this.#inLoopBody = true;
          yield exchange;
        } finally {
          this.#inLoopBody = false;
          if (!exchange.closed) await exchange.close();
          this.#leave(exchange);
        }
      }
    } finally {
      await this.#end();
    }
  }

  #begin(socket: Deno.Conn): Exchange<Deno.Addr> {
    const exchange = new Exchange(++this.#exchanges, socket, this.#settings);
    this.#exchange = exchange;
    this.#watchdog.watch(exchange);
    if (this.#closed) {
      exchange.cut("aborted", this.#closed.reason, "reading");
    }
    return exchange;
  }

  /** Whether the peer is let in. */
  #allows(exchange: Exchange<Deno.Addr>): boolean {
    const { allow } = this.#options;
    try {
      if (!allow || allow(exchange.remoteAddr) === true) return true;
    } catch (error) {
      exchange.fail(error);
      throw error;
    }
    exchange.cut("refused", undefined, "reading");
    return false;
  }

  #leave(exchange: Exchange<Deno.Addr>): void {
    exchange.leave();
    this.#watchdog.unwatch();
    this.#exchange = undefined;
    if (exchange.lingering) this.#letLinger(exchange, exchange.lingering);
    this.#options.onExchange?.(exchange.record());
    if (this.#callbackFault) throw this.#callbackFault.error;
  }

  #letLinger(exchange: Exchange<Deno.Addr>, lingering: Promise<void>): void {
    this.#lingering.add(exchange);
    lingering.finally(() => this.#lingering.delete(exchange));
    if (this.#lingering.size > MAX_LINGERING) {
      const [oldest] = this.#lingering;
      oldest?.stopLingering();
    }
  }

  /** Ends the iteration: nobody will be served any more. */
  async #end(): Promise<void> {
    this.#stop(abortError("The loop was left"));
    try {
      for (const socket of await this.#backlog.rest()) {
        this.#leave(this.#begin(socket));
      }
    } finally {
      this.#watchdog.stop();
      this.#ended.resolve();
      this.#lingered().then(() =>
        this.#options.signal?.removeEventListener("abort", this.#onAbort)
      );
    }
  }

  readonly #onAbort = (): void => this.#abort(this.#options.signal?.reason);

  /** Ends everything at once, also what lingers. */
  #abort(reason: unknown): void {
    this.#stop(reason);
    for (const exchange of this.#lingering) exchange.stopLingering();
  }

  #stop(reason: unknown): void {
    if (this.#closed) return;
    this.#closed = { reason };
    if (!this.#running) {
      this.#options.signal?.removeEventListener("abort", this.#onAbort);
    }
    this.#backlog.close();
    this.#exchange?.abort(reason);
    this.#watchdog.stop();
  }

  async #shutDown(): Promise<void> {
    const { deadline } = this.#options;
    if (!this.#running) this.close();
    if (!this.#closed) this.#backlog.drain();
    const late = Promise.withResolvers<void>();
    let grace: ReturnType<typeof setTimeout> | undefined;
    const timer = deadline === Infinity ? undefined : setTimeout(() => {
      this.close();
      grace = setTimeout(late.resolve, GRACE_MS);
    }, Math.min(deadline, MAX_TIMER_MS));
    if (this.#running) await Promise.race([this.#ended.promise, late.promise]);
    await this.#lingered();
    clearTimeout(timer);
    clearTimeout(grace);
  }

  async #lingered(): Promise<void> {
    await Promise.all(
      Array.from(this.#lingering, (exchange) => exchange.lingering),
    );
  }
}

function bind(options: CheckedOptions): Source {
  const { hostname, port, path, mode, cert, key } = options;
  if (path !== undefined) return new UnixListener(path, mode);
  const { reusePort, tcpBacklog } = options;
  const where = { hostname, port, reusePort, tcpBacklog };
  try {
    if (cert === undefined || key === undefined) return Deno.listen(where);
    return Deno.listenTls({ ...where, cert, key });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new Deno.errors.AddrInUse(
      `Cannot listen on ${hostname}:${port}: the address is in use, ` +
        "stop the other server or choose another port",
      { cause: error },
    );
  }
}
