// What is told of a soak at its end.

import { mebibytes, native } from "./footprint.ts";
import { kinds } from "./hostile.ts";
import { judge } from "./judge.ts";
import type { Findings } from "./run.ts";
import { doneOf, hostileOf, total } from "./tally.ts";

type Row = [name: string, value: string | number];

const MAX_FAULTS = 10;

/**
 * Says how it went.
 *
 * @param n How many exchanges there were to be.
 * @param seconds How long it took.
 * @param failure What ended it before its time.
 * @returns Whether all is well.
 */
export function report(
  findings: Findings,
  n: number,
  seconds: number,
  failure: string | undefined,
): boolean {
  const { tally } = findings;
  const amiss = failure === undefined ? judge(findings) : [failure];
  const done = doneOf(tally);
  const rows: Row[] = [
    ["exchanges", done],
    ["unfinished", n - done],
    ["lost", tally.wrong.lost],
    ["wrong bytes", tally.wrong.mangled],
    ["errors", tally.wrong.failed],
    ["well-behaved", tally.good],
    ["hostile", done - tally.good],
    ...kinds.map(({ name }): Row => [`  ${name}`, hostileOf(tally, name)])
      .filter(([, count]) => count !== 0),
    ...recordRows(findings),
    ...footprintRows(findings, seconds),
  ];
  for (const [name, value] of rows) {
    const text = typeof value === "number" ? count(value) : value;
    console.log(`${name.padEnd(30)} ${text.padStart(20)}`);
  }
  for (const fault of tally.faults.slice(0, MAX_FAULTS)) console.log(fault);
  for (const line of amiss) console.log(`amiss: ${line}`);
  return amiss.length === 0 && total(tally.wrong) === 0 && done === n;
}

function recordRows({ counts }: Findings): Row[] {
  if (!counts) return [];
  const { records, outcomes } = counts;
  const named = Object.entries(outcomes);
  return [
    ["records", records],
    ...named.map(([outcome, number]): Row => [`  ${outcome}`, number]),
  ];
}

function footprintRows(
  { first, last, measured, seconds, peak }: Findings,
  secondsInAll: number,
): Row[] {
  if (!first || !last) return [];
  const unknown = "not to be had";
  const pair = (one: string, other: string) => `${one} → ${other}`;
  const memory = (one: number, other: number) =>
    pair(mebibytes(one), mebibytes(other));
  const cpu = (last.cpu - first.cpu) / measured;
  return [
    ["exchanges/s", Math.round(measured / seconds)],
    ["server CPU per exchange", `${cpu.toFixed(1)} µs`],
    ["server heap", memory(first.heap, last.heap)],
    ["  held by V8", memory(first.held, last.held)],
    ["server memory", memory(first.rss, last.rss)],
    ["  beside V8", memory(native(first), native(last))],
    ["  peak in between", peak === undefined ? unknown : mebibytes(peak)],
    [
      "server descriptors",
      first.descriptors === undefined || last.descriptors === undefined
        ? unknown
        : pair(String(first.descriptors), String(last.descriptors)),
    ],
    ["time", `${secondsInAll.toFixed(0)} s`],
  ];
}

/** Digits in groups of three. */
export function count(number: number): string {
  return String(number).replaceAll(/\B(?=(\d{3})+$)/g, " ");
}
