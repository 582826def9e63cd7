// What the server's process takes.

import { descriptors } from "../proofs/proc.ts";
import type { Measures } from "./server.ts";

/** What it takes, when nobody is connected. */
export interface Footprint extends Measures {
  /** Where the system tells. */
  descriptors: number | undefined;
}

export function footprintOf(pid: number, measures: Measures): Footprint {
  return { ...measures, descriptors: descriptors(pid) };
}

/** Memory that V8 does not hold. */
export function native({ rss, held }: Footprint): number {
  return rss - held;
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
