// The table of faults in docs/promises.md, and how a row is held against what was
// seen: all of its columns, each time.

import { assert, assertEquals } from "@std/assert";
import { type ExchangeRecord, TimeoutError } from "../mod.ts";
import { root } from "./programs.ts";

/** What a test has seen of a fault. */
export interface Observed {
  /**
   * What the client has got: `"left"` if it was gone by then, `"nothing"` if it
   * was not told of the end either, `"response"` if the test has compared it.
   */
  client:
    | "left"
    | "nothing"
    | "reset"
    | "end"
    | "refusal"
    | "alert"
    | "response";
  /** The records of those who are at fault. */
  records: readonly Pick<ExchangeRecord, "outcome" | "phase">[];
  /**
   * What had to come before the next client was served: a limit, something that
   * the client or the handler did, or nothing.
   */
  released: TimeoutError["option"] | "event" | "at once";
  /** Whether the socket is inherited: then each cut is a reset. */
  isInherited?: boolean;
}

type Row = readonly [sees: string, record: string, held: string];

const table: ReadonlyMap<string, Row> = readTable();

/** The faults that the table names. */
export const faults: readonly string[] = [...table.keys()];

function readTable(): Map<string, Row> {
  const page = Deno.readTextFileSync(`${root}/docs/promises.md`);
  const [, rows = ""] = /^\| fault .*\n\| -.*\n((?:\|.*\n)+)/m.exec(page) ?? [];
  return new Map(
    rows.trim().split("\n").flatMap((line) => {
      const [, alike = "", sees = "", record = "", held = ""] = line.split("|")
        .map((cell) => cell.trim());
      const row = [sees, record, held] as const;
      return alike.split("; ").map((fault) => [fault, row] as const);
    }),
  );
}

/** Holds a row of the table against what was seen. */
export function checkRow(fault: string, observed: Observed): void {
  const row = table.get(fault);
  assert(row, `docs/promises.md has no row for ${fault}`);
  const [sees, record, held] = row;
  const { client, records, released, isInherited } = observed;
  const isReset = isInherited && /^(.*, then )?the end$/.test(sees);
  const seen = {
    sees: isReset
      ? ["reset"]
      : [...clients(sees), ...isInherited ? ["reset" as const] : []],
    released: releases(held),
  };
  assert(seen.sees.includes(client), `${fault}: "${sees}", but ${client}`);
  assertEquals(released, seen.released, `${fault}: "${held}"`);
  const says = records.map(({ outcome, phase }) =>
    outcome === "ok" ? "`ok`" : `\`${outcome}\` while ${phase}`
  );
  if (!record.startsWith("nothing")) assert(says.length > 0, fault);
  for (const words of says) {
    assert(
      `${record},`.match(/`.*?`[^,:]*/)?.[0] === words,
      `${fault}: ${words}`,
    );
  }
}

/** What a client may have got, in the words of the table. */
function clients(sees: string): Observed["client"][] {
  if (sees === "") return ["left"];
  if (sees === "a refusal") return ["refusal"];
  if (sees === "an alert") return ["alert"];
  if (sees === "a reset") return ["reset"];
  if (sees === "a reset, or the end") return ["reset", "end"];
  if (sees === "the end") return ["end"];
  if (sees.startsWith("the end; with")) return ["end", "response"];
  return [sees.startsWith("nothing") ? "nothing" : "response"];
}

/** What ends the time for which the server is held, in the words of the table. */
function releases(held: string): Observed["released"] {
  if (held.startsWith("no time")) return "at once";
  if (/^(a hundred times )?`idleTimeout`/.test(held)) return "idleTimeout";
  return held === "`deadline`" ? "deadline" : "event";
}

/** What ended an exchange: one of the limits, or something else. */
export function endOf(
  { error }: ExchangeRecord,
): TimeoutError["option"] | "event" {
  return error instanceof TimeoutError ? error.option : "event";
}
