// What is amiss with a soak that has come to its end.

import { type Footprint, mebibytes, native } from "./footprint.ts";
import { type Kind, kinds } from "./hostile.ts";
import type { Findings } from "./run.ts";
import { hostileOf, total } from "./tally.ts";

/**
 * By how many bytes live objects may seem to grow, as compiled code and inline
 * caches come late: 3 bytes for each of a million exchanges are too many.
 */
const HEAP_TOLERANCE = 2 * 1024 ** 2;
/**
 * By how many bytes the process may beside what V8 holds for objects: its
 * allocator does not give all back. V8 itself enlarges its young generation at
 * some time or other, by more than this, and whatever it holds.
 */
const NATIVE_TOLERANCE = 16 * 1024 ** 2;

/** Says what is amiss, beside what the clients tell: nothing, if all is well. */
export function judge(findings: Findings): string[] {
  const { first, last } = findings;
  return [
    ...judgeRecords(findings),
    ...(first && last
      ? judgeGrowth(first, last)
      : ["the server was not measured"]),
  ];
}

/** One record for each connection, and each as its client would have it. */
function judgeRecords({ tally, own, held, counts }: Findings): string[] {
  if (!counts) return ["the server kept no count"];
  const { accepted, records, misnumbered, outcomes } = counts;
  const amiss: string[] = [];
  if (records !== accepted) {
    amiss.push(`${records} records of ${accepted} connections`);
  }
  if (misnumbered > 0) amiss.push(`${misnumbered} records out of order`);
  const behaved = tally.good + own;
  const wrong = total(tally.wrong);
  const check = (what: string, is: number, least: number, most: number) => {
    if (is < least || is > most + held + wrong) {
      amiss.push(`${is} ${what}, expected from ${least} to ${most}`);
    }
  };
  const sum = (of: readonly Kind[]) =>
    of.reduce((sum, { name }) => sum + hostileOf(tally, name), 0);
  const seen = kinds.filter(({ unseen }) => !unseen);
  check("records", records, behaved + sum(seen), behaved + sum(kinds));
  const known = new Set(["ok", ...kinds.flatMap(({ outcomes }) => outcomes)]);
  for (const [outcome, number] of Object.entries(outcomes)) {
    if (!known.has(outcome)) amiss.push(`${number} records say "${outcome}"`);
  }
  for (const outcome of known) {
    const always = seen.filter(({ outcomes }) =>
      outcomes.every((one) => one === outcome)
    );
    const perhaps = kinds.filter(({ outcomes }) =>
      outcomes.some((one) => one === outcome)
    );
    const others = outcome === "ok" ? behaved : 0;
    check(
      `records that say "${outcome}"`,
      (outcomes as Record<string, number>)[outcome] ?? 0,
      others + sum(always),
      others + sum(perhaps),
    );
  }
  return amiss;
}

/** Nothing may be kept of exchanges that are over. */
function judgeGrowth(first: Footprint, last: Footprint): string[] {
  const amiss: string[] = [];
  const check = (what: string, grown: number, tolerance: number) => {
    if (grown <= tolerance) return;
    amiss.push(
      `the server's ${what} grew by ${mebibytes(grown)}, more than the ` +
        `${mebibytes(tolerance)} tolerated`,
    );
  };
  check("heap", last.heap - first.heap, HEAP_TOLERANCE);
  check("memory beside V8", native(last) - native(first), NATIVE_TOLERANCE);
  // Where they are not told, the table says so.
  const [before = NaN, after = NaN] = [first.descriptors, last.descriptors];
  if (after > before) {
    amiss.push(`the server had ${before} descriptors open, then ${after}`);
  }
  return amiss;
}
