/**
 * What the server is doing, as the live view shows it.
 *
 * @module
 */

import type {
  Conn,
  ExchangeRecord,
  Outcome,
  RequestStart,
} from "../../server.ts";
import type { LogLine } from "../log/line_logger.ts";
import type { Observer } from "../shared/observer.ts";
import { reasonOf } from "../shared/reasons.ts";
import { nameOf, serverName } from "../shared/wording.ts";
import { Rates } from "./rates.ts";

/** Enough for any screen. */
const KEPT_EXCHANGES = 200;
const KEPT_NOTES = 100;

/** A client whose exchange is not over. */
export interface Client {
  /** The number of the connection. */
  readonly id: number;
  /** Its address. */
  readonly name: string;
  /** Its request is being read, waits for its turn, or has its turn. */
  readonly stage: "reading" | "waiting" | "handling";
  /** Since when, by the clock of the activity. */
  readonly since: number;
  /** How much of its request is read, as far as that is known. */
  readonly bytesRead?: number;
  /** Its connection, once it has its turn. */
  readonly conn?: Conn;
}

/** Something that deserves a line of its own. */
export type Note = Pick<LogLine, "time" | "level" | "message">;

/** Keeps track of the clients, and of how their exchanges end. */
export class Activity implements Observer {
  /** Whom the server serves now, by their numbers. */
  readonly clients = new Map<number, Client>();
  /** How many of these there were at most. */
  mostClients = 0;
  /** The highest number of a connection. */
  newest = 0;
  /** How many exchanges ended in which way. */
  readonly outcomes = new Map<Outcome, number>([["ok", 0]]);
  /** The last exchanges, the newest at the end. */
  readonly last: ExchangeRecord[] = [];
  /** The last notes, the newest at the end. */
  readonly notes: Note[] = [];
  /** How much happens in a second. */
  readonly rates: Rates;
  /** When it began. */
  readonly start: number;
  /** The address of the server. */
  server = "";
  /** Whether the server was told to stop. */
  isStopping = false;
  /** The time, in milliseconds. */
  readonly now: () => number;
  readonly #changed: () => void;

  /**
   * @param onChange Called whenever something has changed.
   * @param now The clock.
   */
  constructor(onChange: () => void, now = () => performance.now()) {
    this.#changed = onChange;
    this.now = now;
    this.start = now();
    this.rates = new Rates(this.start);
  }

  listening(addr: Deno.Addr): void {
    this.server = serverName(addr);
    this.#changed();
  }

  accept(addr: Deno.Addr, id: number): void {
    const since = this.now();
    this.#put({ id, name: nameOf(addr), stage: "reading", since });
    this.newest = id;
    this.mostClients = Math.max(this.mostClients, this.clients.size);
  }

  request({ id, remoteAddr, bytesRead }: RequestStart): void {
    const client = this.clients.get(id);
    // A request that begins in its turn is streamed.
    if (client?.stage !== "reading") return;
    // Behind a proxy the client is known only now.
    const name = nameOf(remoteAddr);
    const since = this.now();
    this.#put({ id, name, stage: "waiting", since, bytesRead });
  }

  turn(conn: Conn): void {
    const { id, bytesRead } = conn;
    const name = nameOf(conn.remoteAddr);
    const since = this.now();
    this.#put({ id, name, stage: "handling", since, bytesRead, conn });
  }

  exchange(record: ExchangeRecord): void {
    const { id, outcome, bytesRead, bytesWritten } = record;
    this.clients.delete(id);
    // A health check is no client that wants a reply.
    if (outcome === "health-check") return this.#changed();
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
    keep(this.last, record, KEPT_EXCHANGES);
    this.rates.add(this.now(), bytesRead, bytesWritten);
    if (outcome !== "ok") {
      const reason = "error" in record ? `: ${reasonOf(record)}` : "";
      this.note({
        time: new Date(record.startedAt + record.durationMs),
        level: "WARN",
        message: `request ${id} ${outcome}${reason}`,
      });
    }
    this.#changed();
  }

  stopping(delay: number): void {
    if (delay > 0) return;
    this.isStopping = true;
    this.#changed();
  }

  /** Something else has happened. */
  note(note: Note): void {
    keep(this.notes, note, KEPT_NOTES);
    this.#changed();
  }

  #put(client: Client): void {
    this.clients.set(client.id, client);
    this.#changed();
  }
}

/** Adds to a list of the last ones. */
function keep<One>(list: One[], one: One, most: number): void {
  list.push(one);
  if (list.length > most) list.shift();
}
