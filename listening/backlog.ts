/**
 * Where connections come from: the kernel's queue of established ones.
 *
 * @module
 */

const MIN_BACKOFF_MS = 5;
const MAX_BACKOFF_MS = 1000;
/** A connection to ourselves that takes longer than this may never come by. */
const STALLED_MS = 1000;
/** How long no connection must come where there is no better sign. */
const QUIET_MS = 10;
/** How often in a row, as the first may have been over before it began. */
const QUIET_PERIODS = 2;

/** Errors that the peer of a connection causes, or its network: see accept(2). */
const peerCodes: ReadonlySet<string> = new Set([
  "EAGAIN",
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENONET",
  "ENOPROTOOPT",
  "ENOTCONN",
  "EOPNOTSUPP",
  "EPERM",
  "EPROTO",
  "ETIMEDOUT",
]);

/** Errors of a machine short of something that it may have again soon. */
const transientCodes: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ENOSR",
]);

/** What connections come from: as much of a `Deno.Listener` as is needed. */
export type Source = Pick<
  Deno.Listener,
  "addr" | "accept" | "close" | "ref" | "unref"
>;

/** What a {@linkcode Backlog} has to know of its listener. */
export interface BacklogOptions {
  /** Whether a connection to its address comes to this listener for sure. */
  readonly exclusive: boolean;
  /** How many connections the kernel may hold for it, or more. */
  readonly capacity: number;
  /** Told of accepts that fail and are tried again. */
  readonly onAcceptError: ((error: Error) => void) | undefined;
}

/** The connections of a `Deno.Listener`, in the order of their arrival. */
export class Backlog {
  readonly #listener: Source;
  readonly #options: BacklogOptions;
  /**
   * The one accept under way, as a second one would be refused as `Busy`. It
   * stays here until its connection is taken, so that it cannot get lost between
   * those who wait for it.
   */
  #accepting: Promise<Deno.Conn | undefined> | undefined;
  #backoff: Pause | undefined;
  #closed = false;

  /** Once draining: what has been accepted and waits for its turn. */
  readonly #queue: Deno.Conn[] = [];
  #draining: Promise<void> | undefined;
  #drained = false;
  #failure: { error: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

  /** @param listener Where to accept from. It is closed in the end. */
  constructor(listener: Source, options: BacklogOptions) {
    this.#listener = listener;
    this.#options = options;
  }

  /**
   * Takes the next connection.
   *
   * @returns The connection, or `undefined` when there will be no more.
   * @throws {unknown} The error of an accept that no later one will cure, or
   * what the callback threw.
   */
  async next(): Promise<Deno.Conn | undefined> {
    if (!this.#draining) {
      const conn = await this.#accept();
      // A drain that began meanwhile puts it in line with the others.
      if (!this.#draining) {
        this.#accepting = undefined;
        return conn;
      }
    }
    while (!this.#closed) {
      const conn = this.#queue.shift();
      if (conn) return conn;
      if (this.#failure) throw this.#failure.error;
      if (this.#drained) break;
      await this.#changed.promise;
    }
    return undefined;
  }

  /**
   * Accepts all that is established by now, for `next()` to hand out, and closes
   * the listener without a loss.
   *
   * @returns Resolves when the listener is closed.
   */
  drain(): Promise<void> {
    return this.#draining ??= this.#drain();
  }

  /** Closes at once: the listener, so that its queue is reset, and what waits. */
  close(): void {
    this.#closed = true;
    this.#backoff?.end();
    tryClose(this.#listener);
    for (const conn of this.#queue) tryClose(conn);
  }

  /**
   * After `close()`, what was accepted and not handed out.
   *
   * @returns Those connections, closed.
   */
  async rest(): Promise<Deno.Conn[]> {
    await this.#draining;
    return this.#queue.splice(0);
  }

  #enqueue(conns: Deno.Conn[]): void {
    if (this.#closed) { for (const conn of conns) tryClose(conn); }
    this.#queue.push(...conns);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #accept(): Promise<Deno.Conn | undefined> {
    return this.#accepting ??= this.#acceptOne();
  }

  /** Accepts, whatever peers do and however often it takes. */
  async #acceptOne(): Promise<Deno.Conn | undefined> {
    let backoff = MIN_BACKOFF_MS;
    while (!this.#closed) {
      try {
        const conn = await this.#listener.accept();
        if (!this.#closed) return conn;
        conn.close();
      } catch (error) {
        if (isClosed(error)) return undefined;
        if (isPeerFault(error)) continue;
        if (!isTransient(error)) throw error;
        this.#options.onAcceptError?.(error);
        this.#backoff = new Pause(backoff);
        await this.#backoff.ended;
        this.#backoff = undefined;
        backoff = Math.min(backoff * 2, MAX_BACKOFF_MS);
      }
    }
    return undefined;
  }

  async #drain(): Promise<void> {
    const { exclusive, capacity } = this.#options;
    const sentinel = new Sentinel(exclusive ? this.#listener.addr : null);
    let loopback: Loopback | undefined;
    const accepted: Deno.Conn[] = [];
    try {
      if (!exclusive || this.#listener.addr.transport !== "tcp") {
        await sentinel.settled;
        loopback = await Loopback.open();
      }
      let quiet = 0;
      // Under steady traffic it never gets quiet: but no more can have been
      // there than the kernel holds, and those come first. One more may have
      // been on its way to us, and the kernel itself allows for one more.
      // A sentinel on its way is waited for all the same: nobody shall serve it.
      const full = () => sentinel.state !== "sending" && count >= capacity + 2;
      let count = 0;
      while (quiet < QUIET_PERIODS && !full()) {
        const event = await this.#nextEvent(sentinel, loopback);
        if (event === "accepted") {
          const conn = await this.#accept();
          this.#accepting = undefined;
          if (!conn) break;
          accepted.push(conn);
          count++;
          quiet = 0;
        } else if (event === "quiet") quiet++;
        if (sentinel.state === "sending") continue;
        if (sentinel.state === "sent") quiet = 0;
        if (sentinel.takeOutOf(accepted)) break;
        this.#enqueue(accepted.splice(0));
      }
    } catch (error) {
      this.#failure = { error };
    }
    sentinel.close();
    loopback?.close();
    tryClose(this.#listener);
    // What was being accepted meanwhile may be a live connection.
    const last = await this.#accepting?.catch(() => undefined);
    if (last) accepted.push(last);
    // Closed meanwhile, it may have come by before we know its port.
    if (accepted.length > 0) await sentinel.settled;
    sentinel.takeOutOf(accepted);
    this.#drained = true;
    this.#enqueue(accepted);
  }

  /** Waits for a connection, for the sentinel's fate, or for a while in vain. */
  async #nextEvent(
    sentinel: Sentinel,
    loopback: Loopback | undefined,
  ): Promise<"accepted" | "settled" | "quiet" | "retried"> {
    const accepted = this.#accept().then(() => "accepted" as const);
    if (this.#backoff) {
      // Silence is no sign of an empty queue while nothing can be accepted.
      const retried = this.#backoff.ended.then(() => "retried" as const);
      return await Promise.race([accepted, retried]);
    }
    // A sentinel is sure to come by: no silence before it means anything.
    if (sentinel.state === "sent") return await accepted;
    if (sentinel.state === "unavailable" && loopback) {
      const turned = loopback.turn().then(() => "quiet" as const);
      return await Promise.race([accepted, turned]);
    }
    const sending = sentinel.state === "sending";
    const pause = new Pause(sending ? STALLED_MS : QUIET_MS);
    try {
      return await Promise.race([
        accepted,
        pause.ended.then(() => "quiet" as const),
        ...(sending ? [sentinel.settled.then(() => "settled" as const)] : []),
      ]);
    } finally {
      pause.end();
    }
  }
}

/** A wait that can be cut short. I/O has had its turn when it ends by itself. */
class Pause {
  readonly ended: Promise<void>;
  readonly #end: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #breath: ReturnType<typeof setImmediate>;

  constructor(milliseconds: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    // A timer set by a timer may run before I/O does.
    this.#breath = setImmediate(() => {
      this.#timer = setTimeout(resolve, milliseconds);
    });
  }

  end(): void {
    clearImmediate(this.#breath);
    clearTimeout(this.#timer);
    this.#end();
  }
}

/**
 * A connection of our own to our own listener. The queue is first in, first out:
 * when the sentinel comes by, all that was established before it has come.
 */
class Sentinel {
  state: "sending" | "sent" | "unavailable" = "sending";
  /** Resolves when the state is known. */
  readonly settled: Promise<void>;
  #conn: Deno.Conn | undefined;
  #closed = false;

  constructor(addr: Deno.Addr | null) {
    this.settled = this.#send(addr);
  }

  async #send(addr: Deno.Addr | null): Promise<void> {
    try {
      this.#conn = await connectTo(addr);
    } catch {
      // No descriptor, no route or a full queue: quiet has to do.
    }
    this.state = this.#conn ? "sent" : "unavailable";
    if (this.#closed) this.#conn?.close();
  }

  /** Removes and closes the sentinel's other end. Returns whether it was there. */
  takeOutOf(conns: Deno.Conn[]): boolean {
    const own = this.#conn?.localAddr as Deno.NetAddr | undefined;
    const at = conns.findIndex(({ remoteAddr }) =>
      own !== undefined && remoteAddr.transport === "tcp" &&
      remoteAddr.port === own.port && remoteAddr.hostname === own.hostname
    );
    if (at < 0) return false;
    for (const conn of conns.splice(at, 1)) conn.close();
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn?.close();
  }
}

/**
 * A connection with ourselves, on a port of its own, to tell that I/O has had its
 * turn. Timers cannot tell: any number of them may fire before I/O does. But a
 * byte that is sent now arrives no sooner than what has been waiting for longer.
 */
class Loopback {
  readonly #near: Deno.Conn;
  readonly #far: Deno.Conn;
  #turning: Promise<void> = Promise.resolve();
  /** A turn that has yet to begin, good for all who ask until it does. */
  #next: Promise<void> | undefined;

  private constructor(near: Deno.Conn, far: Deno.Conn) {
    this.#near = near;
    this.#far = far;
  }

  /** Gives `undefined` where permissions or descriptors do not suffice. */
  static async open(): Promise<Loopback | undefined> {
    const hostname = "127.0.0.1";
    const opened: (Deno.Listener | Deno.Conn)[] = [];
    try {
      if (!await isGranted(hostname)) return undefined;
      const listener = Deno.listen({ hostname, port: 0 });
      opened.push(listener);
      const { port } = listener.addr;
      const near = await Deno.connect({ hostname, port });
      opened.push(near);
      const far = await listener.accept();
      opened.push(far);
      if (far.remoteAddr.port !== near.localAddr.port) return undefined;
      opened.splice(1);
      return new Loopback(near, far);
    } catch {
      return undefined;
    } finally {
      for (const resource of opened) tryClose(resource);
    }
  }

  /** Resolves when whatever I/O has been waiting by now was seen. */
  turn(): Promise<void> {
    return this.#next ??= this.#turning.then(() => {
      this.#next = undefined;
      return this.#turning = this.#sendByte();
    });
  }

  async #sendByte(): Promise<void> {
    const byte = new Uint8Array(1);
    try {
      await Promise.all([this.#far.read(byte), this.#near.write(byte)]);
    } catch {
      // Closed meanwhile: nobody waits for it any more.
    }
  }

  close(): void {
    tryClose(this.#near);
    tryClose(this.#far);
  }
}

/** Connects to an address that is listened on, if that needs no further leave. */
async function connectTo(
  addr: Deno.Addr | null,
): Promise<Deno.Conn | undefined> {
  if (addr?.transport !== "tcp") return undefined;
  const { hostname, port } = addr;
  const loopback: Record<string, string> = {
    "0.0.0.0": "127.0.0.1",
    "::": "::1",
  };
  // Not every system connects to an unspecified address, but a permission may
  // be limited to it.
  for (const target of [loopback[hostname] ?? hostname, hostname]) {
    const host = target.includes(":") ? `[${target}]` : target;
    if (await isGranted(`${host}:${port}`)) {
      return await Deno.connect({ hostname: target, port });
    }
  }
  return undefined;
}

/** Asking for a permission would hold up a server that is about to end. */
async function isGranted(host: string): Promise<boolean> {
  const { state } = await Deno.permissions.query({ name: "net", host });
  return state === "granted";
}

function tryClose(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Somebody else has closed it: all the same.
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.Interrupted;
}

function isPeerFault(error: unknown): boolean {
  return error instanceof Deno.errors.InvalidData || // a Unix path not in UTF-8
    peerCodes.has(codeOf(error));
}

function isTransient(error: unknown): error is Error {
  return transientCodes.has(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
