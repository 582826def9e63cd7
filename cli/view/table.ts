/**
 * Clients and exchanges, one below the other.
 *
 * @module
 */

import { printable } from "../../shared/printable.ts";
import type { ExchangeRecord, Outcome } from "../../server.ts";
import { nameOf } from "../shared/wording.ts";
import type { Activity, Client } from "./activity.ts";
import { shortBytes, shortTime } from "./quantities.ts";
import { cut, type Line, type Span, type Style, styled } from "./styled.ts";

/** From this width on, a table has numbers of bytes. */
const WIDE = 70;
/** An IPv4 address with its port. */
const USUAL_ADDRESS = 21;
const MIN_ADDRESS = 8;
/** An IPv6 address with its port. */
const MAX_ADDRESS = 47;
/** `too-large while reading` */
const LONG_STATE = 23;
/** `handling` */
const SHORT_STATE = 8;
/** A number with its unit, and a space before it. */
const NUMBER = 9;

/** What the lines of a table tell, from left to right. */
interface Cells {
  readonly id: number;
  readonly name: string;
  readonly bytesRead: number | undefined;
  readonly bytesWritten: number | undefined;
  readonly time: number;
  readonly state: Span;
}

/** Writes lines of clients and of exchanges, one below the other. */
export class Table {
  readonly #now: number;
  readonly #isWide: boolean;
  readonly #id: number;
  readonly #name: number;

  /**
   * @param activity What tells how wide its numbers are, and the time.
   * @param columns How wide it may be.
   */
  constructor({ now, newest }: Activity, columns: number) {
    this.#now = now();
    this.#isWide = columns >= WIDE;
    this.#id = Math.max(`${newest}`.length, 3);
    const room = columns - this.#id - 2 - NUMBER - 2;
    const [least, most, others] = this.#isWide
      ? [USUAL_ADDRESS, MAX_ADDRESS, 2 * NUMBER + LONG_STATE]
      : [MIN_ADDRESS, USUAL_ADDRESS, SHORT_STATE];
    this.#name = Math.min(Math.max(room - others, least), most);
  }

  /** A line above others, with names of the last of their numbers. */
  heading(title: string, ...names: string[]): Line {
    const numbers = this.#isWide ? 3 : 1;
    const shown = names.slice(-numbers);
    const width = this.#id + 2 + this.#name +
      (numbers - shown.length) * NUMBER;
    return [
      styled(cut(title, width).padEnd(width), "bold"),
      styled(shown.map((name) => name.padStart(NUMBER)).join(""), "dim"),
    ];
  }

  /** A client, and how long it has been at its stage. */
  client({ id, name, stage, since, bytesRead, conn }: Client): Line {
    const bytesWritten = conn?.bytesWritten;
    const state = bytesWritten ? "writing" : stage;
    return this.#line({
      ...{ id, name, time: this.#now - since, bytesWritten },
      bytesRead: conn?.bytesRead ?? bytesRead,
      state: styled(state, conn ? "green" : "cyan"),
    });
  }

  /** An exchange that is over. */
  exchange(record: ExchangeRecord): Line {
    const { id, bytesRead, bytesWritten, durationMs, outcome, phase } = record;
    const state = outcome === "ok" ? outcome : `${outcome} while ${phase}`;
    return this.#line({
      ...{ id, bytesRead, bytesWritten, time: durationMs },
      name: nameOf(record.remoteAddr),
      state: styled(state, styleOf(outcome)),
    });
  }

  #line({ id, name, bytesRead, bytesWritten, time, state }: Cells): Line {
    const bytes = (count: number | undefined) =>
      (count === undefined ? "" : shortBytes(count)).padStart(NUMBER);
    return [
      styled(`${id}`.padStart(this.#id), "dim"),
      "  ",
      cut(printable(name), this.#name).padEnd(this.#name),
      this.#isWide ? bytes(bytesRead) + bytes(bytesWritten) : "",
      shortTime(time).padStart(NUMBER),
      "  ",
      state,
    ];
  }
}

/** How an outcome looks. */
export function styleOf(outcome: Outcome): Style {
  return outcome === "ok" ? "green" : outcome === "failed" ? "red" : "yellow";
}
