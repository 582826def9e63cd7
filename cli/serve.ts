/**
 * Serving: the command that runs if none is named.
 *
 * @module
 */

import { causeOf, isOf } from "../shared/thrown.ts";
import {
  type Conn,
  type ExchangeRecord,
  type Handler,
  type RequestStart,
  serve,
  type ServeOptions,
  type Server,
} from "../server.ts";
import type { Answer } from "./answers/answer.ts";
import { chooseAnswer } from "./answers/choose.ts";
import type { serveFlags } from "./args/commands.ts";
import { type CommandLine, type Flags, UsageError } from "./args/flags.ts";
import { limitsOf, refusalBy, refusalOf, untilOf } from "./args/limits.ts";
import { Log } from "./log/log.ts";
import { Monitor } from "./monitor/monitor.ts";
import { type Observer, tellAll } from "./shared/observer.ts";
import {
  checkMetricsApart,
  checkPlace,
  type Place,
  placeOf,
} from "./args/place.ts";
import { Reloading } from "./lifecycle/reloading.ts";
import { ServiceManager } from "./lifecycle/service_manager.ts";
import { heedSignals } from "./lifecycle/signals.ts";
import { Stopping } from "./lifecycle/stopping.ts";
import { type Trace, traceTo } from "./trace/trace.ts";
import { catchUncaught } from "./lifecycle/uncaught.ts";
import { viewOf } from "./view/view.ts";

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
  checkLameDuck(flags);
  const log = openLog(flags);
  const view = flags.view && Deno.stdout.isTerminal() ? viewOf(log) : undefined;
  const uncaught = catchUncaught();
  let trace: Trace | undefined;
  const serving = async () => {
    if (flags.trace !== undefined) trace = await traceTo(flags.trace, log);
    const answer = await chooseAnswer(line, log);
    checkStreaming(line, answer);
    const place = await placeOf(flags, answer.options);
    if (flags.metrics) {
      checkMetricsApart(
        flags.metrics,
        { ...answer.options, ...place } as Place,
      );
    }
    await using monitor = flags.metrics &&
      await Monitor.open(flags.metrics, log);
    await using manager = await ServiceManager.find((message) =>
      log.warn(message)
    );
    const reloading = new Reloading(answer, log);
    const observers = tellAll([
      // It comes first, so that its times are right.
      ...trace ? [trace] : [],
      // Its line is there when the log tells that the server listens.
      ...monitor ? [monitor] : [],
      log,
      reloading,
      ...manager ? [manager] : [],
      ...view?.observers ?? [],
    ]);
    return await run({
      ...{ flags, answer, place, log, observers, reloading, trace },
      uncaught: uncaught.promise,
    });
  };
  try {
    return await Promise.race([serving(), uncaught.promise])
      .finally(() => view?.close())
      .finally(() => trace?.close());
  } catch (error) {
    if (isOf(error, UsageError)) throw error;
    log.trace(causeOf(error));
    throw error;
  } finally {
    uncaught.stopCatching();
  }
}

function checkLameDuck(flags: ServeFlags): void {
  if (flags["lame-duck"] === undefined || flags.metrics) return;
  throw new UsageError(
    "--lame-duck needs --metrics, too: only /healthz tells a balancer that " +
      "the server is about to stop",
  );
}

/** A request that is read ahead is whole before its handler is called. */
function checkStreaming(
  { flags, operands: [module] }: CommandLine<typeof serveFlags>,
  { options }: Answer,
): void {
  if (!flags["read-ahead"] || !options.streaming || module === undefined) {
    return;
  }
  throw new UsageError(
    `--read-ahead and the "streaming" of ${module} exclude each other, a streamed ` +
      "request is read by its handler",
  );
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

/** What a run of the server needs. */
interface Run {
  readonly flags: ServeFlags;
  readonly answer: Answer;
  readonly place: Place;
  readonly log: Log;
  readonly observers: Required<Observer>;
  readonly reloading: Reloading;
  readonly trace: Trace | undefined;
  /** Rejects with what a module leaves uncaught. */
  readonly uncaught: Promise<never>;
}

async function run(
  { flags, answer, place, log, observers, reloading, trace, uncaught }: Run,
): Promise<number> {
  const { count = Infinity } = flags;
  const { options, settled } = answer;
  const controller = new AbortController();
  uncaught.catch((error) => controller.abort(error));
  let turns = 0;
  let checks = 0;
  const logged = new LoggedExchanges();
  using stopping = new Stopping(flags["lame-duck"] ?? 0, {
    announce: (delay) => observers.stopping(delay),
    drain: () => server.shutdown(),
    cut: (signal) =>
      controller.abort(new Error(`Stopped by another ${signal}`)),
  });
  const callbacks = {
    allow(addr: Deno.Addr): boolean {
      // Clients that wait in the backlog behind the last one.
      if (turns === count) return false;
      // Connections are counted in the order in which they are let in.
      observers.accept(addr, ++turns);
      if (turns === count) stopping.drain();
      return options.allow ? options.allow(addr as never) : true;
    },
    onRefuse: refusalBy(flags) ?? options.onRefuse ?? refusalOf,
    onRequest(start: RequestStart): void {
      observers.request(start);
      options.onRequest?.(start as never);
    },
    onExchange(record: ExchangeRecord): void {
      if (record.id > count) return;
      logged.add(record.id);
      if (record.outcome === "health-check") checks++;
      observers.exchange(record);
      options.onExchange?.(record as never);
    },
    onAcceptError(error: Error): void {
      observers.acceptError(error);
      options.onAcceptError?.(error);
    },
    async onError(error: unknown, conn: Conn) {
      // An error before the record is logged with the exchange.
      if (!logged.has(conn.id)) log.trace(error, conn.id);
      else log.fault(error, `after request ${conn.id}: `, conn.id);
      try {
        return await options.onError?.(error, conn);
      } catch (fault) {
        log.fault(fault, `onError() threw after request ${conn.id}: `, conn.id);
      }
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
    ...(flags["proxy-protocol"] && { proxyProtocol: true }),
    ...place,
    ...callbacks,
    signal: AbortSignal.any(
      [controller.signal, options.signal].filter((signal) =>
        signal !== undefined
      ),
    ),
  };
  const watched = trace?.watching(merged as ServeOptions) ?? merged;
  const takeTurn: Handler = (conn) => {
    observers.turn(conn);
    return reloading.handler(conn, stoppableServer);
  };
  // Before it listens: from then on a signal must not lose those who connect.
  using _signals = heedSignals({
    stop: (signal, status) => stopping.heed(signal, status),
    reload: () =>
      reloading.begin({
        server,
        options: merged as ServeOptions,
        readPlace: ({ options }) => placeOf(flags, options),
      }, observers),
  });
  const server: Server = serve(watched as ServeOptions, takeTurn);
  const stoppableServer = stoppable(server, stopping);
  observers.listening(server.addr, server);
  await server.finished;
  // Wait for clients that are still being sent a refusal.
  await server.shutdown();
  await settled?.();
  await reloading.settled();
  // What a module has left uncaught is the last that is said.
  await Promise.race([uncaught, undefined]);
  observers.stopped(logged.size - checks);
  return stopping.status;
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

/** A server as its handler sees it: everybody hears of it if that stops it. */
function stoppable(server: Server, stopping: Stopping): Server {
  const shutdown = () => {
    stopping.drain();
    return server.shutdown();
  };
  return {
    addr: server.addr,
    finished: server.finished,
    get inHand() {
      return server.inHand;
    },
    get lingering() {
      return server.lingering;
    },
    shutdown,
    close: () => server.close(),
    setCertificate: (certificate) => server.setCertificate(certificate),
    ref: () => server.ref(),
    unref: () => server.unref(),
    [Symbol.asyncDispose]: shutdown,
  };
}
