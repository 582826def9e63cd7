/**
 * All exchanges of one listener: those under way and those that linger.
 *
 * @module
 */

import { Exchange } from "../conn.ts";
import { Delimiter, DelimiterSearch } from "../exchange/delimiter.ts";
import { LengthSearch } from "../exchange/length.ts";
import { ReadBuffers } from "../exchange/read_buffers.ts";
import type { ExchangeSettings } from "../exchange/settings.ts";
import { bytesOf } from "../shared/body.ts";
import { removeFrom } from "../shared/removal.ts";
import type { Socket } from "../shared/socket.ts";
import { Watchdog } from "../exchange/watchdog.ts";
import { LingeringSet } from "./lingering_set.ts";
import type { CheckedOptions } from "./checked_options.ts";

/** Begins exchanges, enforces their limits, and records how they ended. */
export class Exchanges<Addr extends Deno.Addr> {
  /** Those whose exchange is over. */
  readonly lingering = new LingeringSet();
  readonly #options: CheckedOptions;
  readonly #settings: ExchangeSettings;
  // No Set: its former tables keep what was in them, until V8 collects all.
  readonly #running: Exchange<Addr>[] = [];
  readonly #watchdog: Watchdog;
  #begun = 0;
  /** The one about which `allow` is being asked. */
  #undecided: Exchange<Addr> | undefined;
  #stopped: { reason: unknown } | undefined;

  /**
   * @param options The limits and the callbacks.
   * @param addr The address of the listener.
   */
  constructor(options: CheckedOptions, addr: Deno.Addr) {
    const { path, deadline, idleTimeout, onRefuse } = options;
    const { startSearch, silence } = requestEndOf(options.until);
    this.#options = options;
    this.#settings = {
      ...options,
      // A Unix connection knows only the path that Deno has bound.
      localAddr: path === undefined ? undefined : addr,
      startSearch,
      silence,
      outlivesCuts: onRefuse !== undefined,
      buffers: new ReadBuffers(),
    };
    const shortestLimit = Math.min(deadline, idleTimeout, silence);
    this.#watchdog = new Watchdog(this.#running, shortestLimit);
  }

  /** Whether `stop()` was called. */
  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /** How many are under way. */
  get inHand(): number {
    return this.#running.length;
  }

  /** Begins an exchange. After `stop()` it is aborted at once. */
  begin(socket: Socket): Exchange<Addr> {
    const exchange = new Exchange<Addr>(++this.#begun, socket, this.#settings);
    this.#running.push(exchange);
    if (this.#stopped) {
      exchange.abort(this.#stopped.reason);
    } else this.#watchdog.wake();
    return exchange;
  }

  /**
   * Closes and records one.
   *
   * @throws {unknown} What a callback threw.
   */
  async leave(exchange: Exchange<Addr>): Promise<void> {
    if (!exchange.state.isClosed) await exchange.close();
    this.record(exchange);
  }

  /**
   * Moves on from an exchange that is closed or lingers, and records it.
   *
   * @throws {unknown} What a callback threw.
   */
  record(exchange: Exchange<Addr>): void {
    exchange.leave();
    removeFrom(this.#running, exchange);
    if (exchange.lingering) this.lingering.add(exchange);
    this.#options.onExchange?.(exchange.record());
    if (exchange.state.callbackFault) throw exchange.state.callbackFault.error;
  }

  /** Aborts the exchanges under way, and all that begin later. */
  stop(reason: unknown): void {
    this.#stopped ??= { reason };
    // Whoever is told of an abort may end an exchange at once.
    for (const exchange of [...this.#running]) {
      if (exchange !== this.#undecided) exchange.abort(reason);
    }
    this.#watchdog.stop();
  }

  ref(): void {
    this.#watchdog.ref();
  }

  unref(): void {
    this.#watchdog.unref();
  }

  /**
   * Whether the peer of one is let in. If not, it is cut. Nobody is asked about
   * one that has come too late.
   *
   * @throws {unknown} What the callback threw.
   */
  letsIn(exchange: Exchange<Addr>): boolean {
    if (this.isStopped) return false;
    this.#undecided = exchange;
    try {
      if (!this.#allows(exchange)) exchange.state.abort("denied", undefined);
    } catch (error) {
      exchange.state.fail(error);
      throw error;
    } finally {
      this.#undecided = undefined;
      // The callback may have stopped us.
      if (this.#stopped) exchange.abort(this.#stopped.reason);
    }
    return !exchange.state.cut;
  }

  #allows(exchange: Exchange<Addr>): boolean {
    const { allow } = this.#options;
    return !allow || allow(exchange.peerAddr, exchange.id) === true;
  }
}

/** What ends a request besides the FIN. */
function requestEndOf(
  until: CheckedOptions["until"],
): Pick<ExchangeSettings, "startSearch" | "silence"> {
  if (typeof until === "function") {
    return { startSearch: () => new LengthSearch(until), silence: Infinity };
  }
  if (typeof until === "object" && "idle" in until) {
    return { startSearch: undefined, silence: until.idle };
  }
  const bytes = bytesOf(until);
  const delimiter = bytes && new Delimiter(bytes);
  return {
    startSearch: delimiter && (() => new DelimiterSearch(delimiter)),
    silence: Infinity,
  };
}
