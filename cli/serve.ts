/**
 * Serving: the command that runs if none is named.
 *
 * @module
 */

import {
  type Conn,
  type ExchangeRecord,
  type RequestStart,
  RequestTooLargeError,
  serve,
  type ServeOptions,
  type Server,
  type TimeoutError,
} from "../server.ts";
import { type Answer, answerOf } from "./answers.ts";
import type { serveFlags } from "./commands.ts";
import { type CommandLine, type Flags, UsageError } from "./flags.ts";
import { Log } from "./log.ts";
import { checkPlace, nameOfPlace, type Place, placeOf } from "./place.ts";
import { heedSignals } from "./signals.ts";
import { messageOf } from "./wording.ts";

type ServeFlags = Flags<typeof serveFlags>;

/**
 * Serves until it is told to stop, then serves the backlog.
 *
 * @param line The command line.
 * @returns The exit status.
 * @throws {UsageError} If it makes no sense.
 * @throws {Error} If the server cannot run.
 */
export async function serveUntilStopped(
  line: CommandLine<typeof serveFlags>,
): Promise<number> {
  const { flags } = line;
  checkPlace(flags);
  const log = openLog(flags);
  const uncaught = catchUncaught();
  const serving = async () => {
    const answer = await answerOf(line, log);
    const place = await placeOf(flags, answer.options);
    return await run(flags, answer, place, log, uncaught.promise);
  };
  try {
    return await Promise.race([serving(), uncaught.promise]);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    log.trace(error instanceof Error ? error.cause ?? error : error);
    if (flags["log-format"] !== "json") throw error;
    log.fault(error);
    return 1;
  } finally {
    uncaught.stopCatching();
  }
}

/**
 * Catches what a module leaves uncaught. Deno would otherwise end the process
 * with a stack trace.
 */
function catchUncaught() {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    reject(event.error);
  };
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    reject(event.reason);
  };
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  return {
    /** Rejects with what was not caught. */
    promise,
    stopCatching(): void {
      removeEventListener("error", onError);
      removeEventListener("unhandledrejection", onRejection);
    },
  };
}

function openLog(flags: ServeFlags): Log {
  const { quiet, "log-level": level } = flags;
  if (quiet && level !== undefined) {
    throw new UsageError(
      "--quiet and --log-level exclude each other, give only one of them",
    );
  }
  return new Log(
    flags["log-format"] ?? "text",
    quiet ? "warn" : level ?? "info",
  );
}

async function run(
  flags: ServeFlags,
  { options, handler, settled }: Answer,
  place: Place,
  log: Log,
  uncaught: Promise<never>,
): Promise<number> {
  const { count = Infinity } = flags;
  const controller = new AbortController();
  uncaught.catch((error) => controller.abort(error));
  let turns = 0;
  const logged = new LoggedExchanges();
  const callbacks = {
    allow(addr: Deno.Addr): boolean {
      // Clients that wait in the backlog behind the last one.
      if (turns === count) return false;
      log.accept(addr);
      if (++turns === count) server.shutdown();
      return options.allow ? options.allow(addr as never) : true;
    },
    onRefuse: options.onRefuse ??
      ((error: RequestTooLargeError | TimeoutError) =>
        `halfclose: ${refusalOf(error)}\n`),
    onRequest(start: RequestStart): void {
      log.request(start);
      options.onRequest?.(start as never);
    },
    onExchange(record: ExchangeRecord): void {
      if (record.id > count) return;
      logged.add(record.id);
      log.exchange(record);
      options.onExchange?.(record as never);
    },
    onAcceptError(error: Error): void {
      log.fault(error, "cannot accept for now: ");
      options.onAcceptError?.(error);
    },
    onError(error: unknown, conn: Conn) {
      // An error before the record is logged with the exchange.
      if (!logged.has(conn.id)) log.trace(error, conn.id);
      else log.fault(error, `after request ${conn.id}: `, conn.id);
      return options.onError?.(error, conn);
    },
  };
  const merged = {
    ...options,
    ...limitsOf(flags),
    ...untilOf(flags),
    // A request that is read ahead is kept, whatever its handler prefers.
    ...(flags["read-ahead"] && {
      readAhead: flags["read-ahead"],
      streaming: false,
    }),
    ...place,
    ...callbacks,
    signal: AbortSignal.any(
      [controller.signal, options.signal].filter((signal) =>
        signal !== undefined
      ),
    ),
  };
  const server = listening(
    merged,
    () => serve(merged as ServeOptions, handler),
  );
  using signals = heedSignals({
    onFirst: () => server.shutdown(),
    onNext: (signal) =>
      controller.abort(new Error(`Stopped by a second ${signal}`)),
  });
  // Only now: a reader of this line may send a signal at once.
  log.listening(server.addr);
  await server.finished;
  // Wait for clients that are still being sent a refusal.
  await server.shutdown();
  await settled?.();
  log.stopped(logged.size);
  return signals.status;
}

/** The numbers of the exchanges that were logged. They come nearly in order. */
class LoggedExchanges {
  /** All up to this one, */
  #all = 0;
  /** and some after it. */
  readonly #others = new Set<number>();

  add(id: number): void {
    this.#others.add(id);
    while (this.#others.delete(this.#all + 1)) this.#all++;
  }

  has(id: number): boolean {
    return id <= this.#all || this.#others.has(id);
  }

  get size(): number {
    return this.#all + this.#others.size;
  }
}

/** Starts the server. Adds the address to an error that lacks it. */
function listening(place: Place, start: () => Server): Server {
  try {
    return start();
  } catch (error) {
    const hasAddress = error instanceof Deno.errors.AddrInUse ||
      error instanceof Deno.errors.NotCapable ||
      messageOf(error).startsWith("Cannot listen");
    if (hasAddress) throw error;
    const reason = messageOf(error);
    throw new Error(`Cannot listen on ${nameOfPlace(place)}: ${reason}`, {
      cause: error,
    });
  }
}

/** The limits that flags set. */
function limitsOf(flags: ServeFlags): Partial<ServeOptions> {
  const limits = {
    maxRequestBytes: flags["max-request-bytes"],
    deadline: flags.deadline,
    idleTimeout: flags["idle-timeout"],
    lingerTimeout: flags["linger-timeout"],
  };
  const given = Object.entries(limits).filter(([, value]) =>
    value !== undefined
  );
  return Object.fromEntries(given);
}

/** What ends a request, if flags say so. */
function untilOf(
  { until, "until-idle": idle }: ServeFlags,
): Pick<ServeOptions, "until"> {
  if (until !== undefined && idle !== undefined) {
    throw new UsageError(
      "--until and --until-idle exclude each other, give only one of them",
    );
  }
  if (until !== undefined) return { until };
  return idle === undefined ? {} : { until: { idle } };
}

/** What to tell a client that is refused. */
function refusalOf(error: RequestTooLargeError | TimeoutError): string {
  if (error instanceof RequestTooLargeError) {
    return `request refused, it is larger than the ${error.maxRequestBytes} bytes allowed`;
  }
  return error.option === "idleTimeout"
    ? `request refused, nothing came or went for ${error.timeout} ms`
    : `request refused, it took longer than the ${error.timeout} ms allowed`;
}
