/**
 * Serving: the command that runs if none is named.
 *
 * @module
 */

import { causeOf, isOf } from "../shared/thrown.ts";
import {
  type Conn,
  type ExchangeRecord,
  type RequestStart,
  serve,
  type ServeOptions,
} from "../server.ts";
import type { Answer } from "./answers/answer.ts";
import { chooseAnswer } from "./answers/choose.ts";
import { checkFlags, checkStreaming } from "./args/checks.ts";
import type { ServeFlags, serveFlags } from "./args/flags.ts";
import { type CommandLine, UsageError } from "./args/parsing.ts";
import { failureFor, limitsOf, refusalOf } from "./args/limits.ts";
import { withPassedSocket } from "./args/passed_socket.ts";
import {
  checkAllow,
  checkMetricsApart,
  type Place,
  placeOf,
  transportOf,
} from "./args/place.ts";
import { Reloading } from "./lifecycle/reloading.ts";
import { ServiceManager } from "./lifecycle/service_manager.ts";
import { heedSignals } from "./lifecycle/signals.ts";
import { Stopping } from "./lifecycle/stopping.ts";
import { catchUncaught } from "./lifecycle/uncaught.ts";
import { Log } from "./log/log.ts";
import { Monitor } from "./monitor/monitor.ts";
import { type Observer, type Observers, tellAll } from "./shared/observer.ts";
import { requestName } from "./shared/wording.ts";
import { type Trace, traceTo } from "./trace/trace.ts";
import { type View, viewOf } from "./view/view.ts";

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
  checkFlags(flags);
  const level = flags.quiet ? "warn" : flags["log-level"] ?? "info";
  const log = new Log(flags["log-format"] ?? "text", level);
  using uncaught = catchUncaught();
  try {
    await using trace = flags.trace === undefined
      ? undefined
      : await traceTo(flags.trace, log);
    await using view = flags.view && Deno.stdout.isTerminal()
      ? viewOf(log)
      : undefined;
    return await Promise.race([
      serveTelling({ log, trace, view, uncaught: uncaught.promise }, line),
      uncaught.promise,
    ]);
  } catch (error) {
    if (!isOf(error, UsageError)) log.trace(causeOf(error));
    throw error;
  }
}

/** Who is told in any case, and what ends the server in any case. */
interface Surroundings {
  readonly log: Log;
  readonly trace: Trace | undefined;
  readonly view: View | undefined;
  /** Rejects with what a module leaves uncaught. */
  readonly uncaught: Promise<never>;
}

/** Prepares all that is needed, and runs the server. */
async function serveTelling(
  { log, trace, view, uncaught }: Surroundings,
  line: CommandLine<typeof serveFlags>,
): Promise<number> {
  const { operands: [module] } = line;
  const flags = withPassedSocket(line.flags, (message) => log.warn(message));
  checkFlags(flags);
  const answer = await chooseAnswer({ ...line, flags }, log);
  checkStreaming(flags, module, answer.options);
  const readPlace = (options: Answer["options"]) => placeOf(flags, options);
  const place = await readPlace(answer.options);
  const where = { ...answer.options, ...place } as Place;
  if (flags.metrics) checkMetricsApart(flags.metrics, where);
  checkAllow(flags.allow, transportOf(where));
  await using monitor = flags.metrics && await Monitor.open(flags.metrics, log);
  await using manager = await ServiceManager.find(log);
  const reloading = new Reloading(answer, place, readPlace, log);
  const tally = new Tally();
  const observers = tellAll([
    // It comes first, so that its times are right.
    ...trace ? [trace] : [],
    // Its line is there when the log tells that the server listens.
    ...monitor ? [monitor] : [],
    ...[log, tally, reloading],
    ...manager ? [manager] : [],
    ...view?.observers ?? [],
  ]);
  using stopping = new Stopping(flags["lame-duck"] ?? 0, observers);
  uncaught.catch((error) => stopping.cut(error));
  const options = {
    ...answer.options,
    ...limitsOf(flags),
    ...place,
    ...callbacksOf(answer.options, flags, log, observers, stopping, tally),
    signal: anyOf(answer.options.signal, stopping.signal),
  } as ServeOptions;
  // Before it listens: from then on a signal must not lose those who connect.
  using _signals = heedSignals({
    stop: (signal, status) => stopping.heed(signal, status),
    reload: () => reloading.begin(observers),
  });
  const server = serve(trace?.watching(options) ?? options, (conn, server) => {
    observers.turn(conn);
    return reloading.handler(conn, server);
  });
  try {
    checkAllow(flags.allow, server.addr.transport);
  } catch (error) {
    server.close();
    throw error;
  }
  const stopped = stopping.follow(server);
  observers.listening(server.addr, server);
  await stopped;
  await answer.settled?.();
  await reloading.settled();
  // What a module has left uncaught is the last that is said.
  await Promise.race([uncaught, undefined]);
  observers.stopped(tally.served);
  return stopping.status;
}

/** Callbacks that tell the observers, and then those of a module. */
function callbacksOf(
  own: Answer["options"],
  flags: ServeFlags,
  log: Log,
  observers: Observers,
  stopping: Stopping,
  tally: Tally,
) {
  const { count = Infinity } = flags;
  // A connection that an inherited socket has given by then cannot be put back.
  const last = flags.fd === undefined ? count : Infinity;
  return {
    onRefuse: refusalOf(flags, own.onRefuse),
    allow(addr: Deno.Addr, id: number): boolean {
      // Clients that wait in the backlog behind the last one.
      if (id > last) return false;
      observers.accept(addr, id);
      if (id === count) stopping.drain();
      if (flags.allow && !flags.allow.has(addr)) return false;
      return own.allow ? own.allow(addr as never, id) : true;
    },
    ...(observers.request || own.onRequest) && {
      onRequest(start: RequestStart): void {
        observers.request?.(start);
        return own.onRequest?.(start as never);
      },
    },
    onExchange(record: ExchangeRecord): void {
      if (record.id > last) return;
      observers.exchange(record);
      return own.onExchange?.(record as never);
    },
    onAcceptError(error: Error): void {
      observers.acceptError(error);
      return own.onAcceptError?.(error);
    },
    async onError(error: unknown, conn: Conn) {
      const { id } = conn;
      // An error before the record is logged with the exchange.
      if (tally.underWay.has(id)) log.trace(error, id);
      else log.fault(error, `after ${requestName(conn)}: `, id);
      try {
        return await own.onError?.(error, conn as never) ??
          failureFor(flags);
      } catch (fault) {
        const context = `onError() threw after ${requestName(conn)}: `;
        log.fault(fault, context, id);
        return failureFor(flags);
      }
    },
  };
}

/** Knows which exchanges are under way, and counts those that were served. */
class Tally implements Observer {
  readonly underWay = new Set<number>();
  served = 0;

  accept(_addr: Deno.Addr, id: number): void {
    this.underWay.add(id);
  }

  exchange({ id, outcome }: ExchangeRecord): void {
    this.underWay.delete(id);
    if (outcome !== "health-check") this.served++;
  }
}

function anyOf(...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}
