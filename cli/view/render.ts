/**
 * What the live view shows.
 *
 * @module
 */

import { printable } from "../../shared/printable.ts";
import type { Activity, Client, Note } from "./activity.ts";
import { shortBytes, shortNumber, shortTime } from "./quantities.ts";
import { RATE_SECONDS } from "./rates.ts";
import {
  type Line,
  paint,
  type Span,
  type Style,
  styled,
  widthOf,
} from "./styled.ts";
import { styleOf, Table } from "./table.ts";

/** The size of a terminal, and whether it may have colours. */
export interface Canvas {
  /** Its width. */
  readonly columns: number;
  /** Its height. */
  readonly rows: number;
  /** Whether colours are wanted. */
  readonly colors: boolean;
}

/** Below this height, only what matters most is shown. */
const FEW_ROWS = 6;
/** From this height on, there are empty lines between the parts. */
const MANY_ROWS = 16;
/** More of a message never fits. */
const MAX_MESSAGE = 1000;

const bars = "▁▂▃▄▅▆▇█";

/** The lines of a screen: at most as many as it has rows, none too wide. */
export function render(activity: Activity, canvas: Canvas): string[] {
  const { columns, rows, colors } = canvas;
  return linesOf(activity, columns, rows).slice(0, rows)
    .map((line) => paint(line, columns, colors));
}

function linesOf(activity: Activity, columns: number, rows: number): Line[] {
  const table = new Table(activity, columns);
  const head = header(activity, columns);
  const rates = ratesOf(activity, columns);
  const outcomes = outcomesOf(activity);
  const clients = inOrder(activity);
  // As many as ever, so that what is below stays where it is.
  const height = Math.min(activity.mostClients, Math.floor(rows / 8)) || 1;
  const inHand = clients.slice(0, height).map((client) => table.client(client));
  if (inHand.length === 0) inHand.push(nobody(activity));
  if (rows < FEW_ROWS) return [...inHand, rates, outcomes, head];

  const gap: Line[] = rows < MANY_ROWS ? [] : [[]];
  const top: Line[] = [
    ...[head, ...gap, rates, outcomes, ...gap],
    table.heading(inHandTitle(clients), "for"),
    ...filled(inHand, height),
    ...gap,
  ];
  const notes = activity.notes.slice(-Math.floor(rows / 6)).map(noteRow);
  const bottom = notes.length === 0
    ? []
    : [...gap, [styled("Notes", "bold")], ...notes];
  const room = rows - top.length - bottom.length - 1;
  if (room < 1) return [...top, ...bottom];
  const last = activity.last.slice(-room).reverse();
  return [
    ...top,
    table.heading("Last exchanges", "in", "out", "took"),
    ...filled(last.map((record) => table.exchange(record)), room),
    ...bottom,
  ];
}

function filled(lines: Line[], height: number): Line[] {
  return Array.from({ length: height }, (_, i) => lines[i] ?? []);
}

function header(activity: Activity, columns: number): Line {
  const { server, isStopping, start, now } = activity;
  const left: Line = [styled("halfclose", "bold"), ` on ${printable(server)}`];
  const right: Span = isStopping
    ? styled("stopping: serves who is connected", "yellow")
    : styled(`up ${shortTime(now() - start)}`, "dim");
  const gap = columns - widthOf(left) - right.text.length;
  return [...left, " ".repeat(Math.max(gap, 2)), right];
}

function ratesOf({ rates, now }: Activity, columns: number): Line {
  const { exchanges, bytesIn, bytesOut } = rates.perSecond(now());
  const text = [
    `${shortNumber(exchanges)} exchanges/s`.padEnd(18),
    `${shortBytes(bytesIn)}/s in`.padEnd(15),
    `${shortBytes(bytesOut)}/s out`.padEnd(16),
  ].join("");
  const room = columns - text.length - 1;
  return room < RATE_SECONDS
    ? [text.trimEnd()]
    : [text, styled(sparkline(rates.history(now(), room)), "cyan")];
}

function sparkline(counts: number[]): string {
  const most = Math.max(...counts, 1);
  return counts.map((count) => {
    // Nothing is the lowest bar, and anything is higher.
    return bars[Math.ceil(count / most * (bars.length - 1))];
  }).join("");
}

function outcomesOf({ outcomes }: Activity): Line {
  const counts = Array.from(outcomes);
  const sum = counts.reduce((sum, [, count]) => sum + count, 0);
  const all = sum === 1 ? "1 exchange: " : `${sum} exchanges: `;
  return [
    all,
    ...counts.flatMap(([outcome, count], i) => {
      const text = `${count} ${outcome}`;
      return [i > 0 ? ", " : "", styled(text, styleOf(outcome))];
    }),
  ];
}

/** Who has its turn comes first, then who waits for it. */
function inOrder({ clients }: Activity): Client[] {
  const groups = Object.groupBy(clients.values(), ({ stage }) => stage);
  const { handling = [], waiting = [], reading = [] } = groups;
  // Their requests were complete in this order.
  waiting.sort((one, other) => one.since - other.since);
  return [...handling, ...waiting, ...reading];
}

function inHandTitle(clients: Client[]): string {
  const counts = (["handling", "waiting", "reading"] as const)
    .map((
      stage,
    ) => [clients.filter((one) => one.stage === stage).length, stage])
    .filter(([count]) => count !== 0)
    .map(([count, stage]) => `${count} ${stage}`);
  return counts.length === 0 ? "In hand" : `In hand: ${counts.join(", ")}`;
}

function nobody({ isStopping }: Activity): Line {
  const why = isStopping ? "" : ", waiting for a client";
  return [styled(`  -  nobody${why}`, "dim")];
}

function noteRow({ time, level, message }: Note): Line {
  return [
    styled(time.toISOString().slice(11, 19), "dim"),
    " ",
    styled(level.padEnd(5), levelStyles[level]),
    " ",
    printable(message.slice(0, MAX_MESSAGE)),
  ];
}

const levelStyles: Partial<Record<string, Style>> = {
  WARN: "yellow",
  ERROR: "red",
};
