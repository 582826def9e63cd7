// The mutants that may live, each with its reason.

import type { Mutant } from "./copy.ts";

/** Where they stand: a file, what stands there, what takes its place, why. */
const path = `${import.meta.dirname}/survivors.txt`;

/** Reads the list, and tells of a mutant whether it may live. */
export function readSurvivors(): (mutant: Mutant) => boolean {
  const known = new Set(
    Deno.readTextFileSync(path).split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => line.split(" | ").slice(0, 3).join(" | ")),
  );
  return ({ file, original, replacement }) =>
    known.has([file, original, replacement].join(" | "));
}
