// What clients have done, and what went wrong with it.

import type { Wrong } from "./behaved.ts";

/** What some clients have done so far. */
export interface Tally {
  /** Whether that is all. */
  done: boolean;
  /** Clients that behaved, and have sent all they had to. */
  sent: number;
  /** Clients that behaved, and have been answered whole. */
  good: number;
  /** The others, by the names of their kinds. */
  hostile: Record<string, number>;
  wrong: Record<Wrong, number>;
  /** The first few things that went wrong. */
  faults: string[];
}

export function emptyTally(): Tally {
  return {
    done: false,
    sent: 0,
    good: 0,
    hostile: {},
    wrong: { failed: 0, lost: 0, mangled: 0 },
    faults: [],
  };
}

/** What all of them have done together. */
export function sumUp(tallies: Iterable<Tally>): Tally {
  const sum = emptyTally();
  for (const { sent, good, hostile, wrong, faults } of tallies) {
    sum.sent += sent;
    sum.good += good;
    for (const [name, count] of Object.entries(hostile)) {
      sum.hostile[name] = hostileOf(sum, name) + count;
    }
    for (const kind of ["failed", "lost", "mangled"] as const) {
      sum.wrong[kind] += wrong[kind];
    }
    sum.faults.push(...faults);
  }
  return sum;
}

/** How many of a kind there were. */
export function hostileOf({ hostile }: Tally, name: string): number {
  return hostile[name] ?? 0;
}

/** How many exchanges came to their end. */
export function doneOf({ good, hostile }: Tally): number {
  return good + total(hostile);
}

export function total(counts: Record<string, number>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
