/**
 * Who is told what the server does.
 *
 * @module
 */

import type {
  Conn,
  ExchangeRecord,
  RequestStart,
  Server,
} from "../../server.ts";

/** What can be read anew while the server runs. */
export type Renewable = "module" | "certificate";

/** Is told what happens, in order. It must not throw. */
export interface Observer {
  /** The server listens. */
  listening?(addr: Deno.Addr, server: Server): void;
  /**
   * A connection, whose number is `id`, is let in, or not: `allow` decides after
   * this.
   */
  accept?(addr: Deno.Addr, id: number): void;
  /** A request, or its first bytes, has arrived. */
  request?(start: RequestStart): void;
  /** The turn of an exchange has begun. */
  turn?(conn: Conn): void;
  /** An exchange is over. */
  exchange?(record: ExchangeRecord): void;
  /** No connection can be accepted for now. */
  acceptError?(error: Error): void;
  /** What can be read anew is being read anew. */
  reloading?(): void;
  /** That is over. */
  reloaded?(renewed: readonly Renewable[]): void;
  /** The server was told to stop: it will drain in `delay` ms, or drains now. */
  stopping?(delay: number): void;
  /** The server has stopped. */
  stopped?(exchanges: number): void;
}

/** Who is told all, but of requests only if anybody wants to know. */
export type Observers =
  & Required<Omit<Observer, "request">>
  & Pick<Observer, "request">;

/** Tells several observers, one after the other. */
export function tellAll(observers: readonly Observer[]): Observers {
  // To tell of a request, its first bytes must be copied.
  const hearsRequests = observers.some(({ request }) => request);
  return {
    listening: (addr, server) =>
      observers.forEach((one) => one.listening?.(addr, server)),
    accept: (addr, id) => observers.forEach((one) => one.accept?.(addr, id)),
    ...hearsRequests && {
      request: (start) => observers.forEach((one) => one.request?.(start)),
    },
    turn: (conn) => observers.forEach((one) => one.turn?.(conn)),
    exchange: (record) => observers.forEach((one) => one.exchange?.(record)),
    acceptError: (error) =>
      observers.forEach((one) => one.acceptError?.(error)),
    reloading: () => observers.forEach((one) => one.reloading?.()),
    reloaded: (renewed) => observers.forEach((one) => one.reloaded?.(renewed)),
    stopping: (delay) => observers.forEach((one) => one.stopping?.(delay)),
    stopped: (count) => observers.forEach((one) => one.stopped?.(count)),
  };
}
