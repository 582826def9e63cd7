// Results as tables: Markdown, so that they read well here and there.

import { contenders } from "./contenders.ts";
import type { CaseResults, Report, Result } from "./results.ts";

/** The table of one case. */
export function caseTable(
  { title, unit, baseline, results, failures }: CaseResults,
) {
  const lines = table([
    [
      title,
      unit,
      `${contenders[baseline].title} = 1`,
      "listen() to it",
      "server CPU",
      "server share",
      "load share",
      "peak memory",
    ],
    ...results.map((result) => [
      contenders[result.contender].title,
      figure(result.value),
      ratio(result.toBaseline),
      ratio(result.listenToIt),
      cpu(result),
      percent(result.serverShare),
      percent(result.loadShare),
      mebibytes(result.peak),
    ]),
  ]);
  for (const { contender, message } of failures) {
    lines.push(`${contenders[contender].title} failed: ${message}`);
  }
  return lines.join("\n");
}

/** All cases, in one table for those that the same contenders were in. */
export function summaryTables({ cases }: Report): string {
  const groups = Map.groupBy(
    cases,
    ({ results }) => results.map(({ contender }) => contender).join(),
  );
  return Array.from(groups.values(), (group) =>
    table([
      [
        "",
        ...group[0]?.results.map((one) => contenders[one.contender].title) ??
          [],
      ],
      ...group.map(({ title, unit, results }) => [
        `${title}: ${unit}`,
        ...results.map(({ value }) => figure(value)),
      ]),
    ]).join("\n")).join("\n\n");
}

/** A number with three digits that count, or all before the point. */
export function figure(value: number): string {
  if (value < 100) return value.toPrecision(3);
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, " ");
}

function cpu({ cpuPerExchange }: Result): string {
  if (cpuPerExchange === undefined) return "–";
  return cpuPerExchange < 0.01
    ? `${figure(cpuPerExchange * 1e6)} µs`
    : `${figure(cpuPerExchange * 1e3)} ms`;
}

export function ratio(value: number | undefined): string {
  return value === undefined ? "–" : value.toFixed(2);
}

function percent(share: number | undefined): string {
  return share === undefined ? "–" : `${Math.round(share * 100)} %`;
}

function mebibytes(bytes: number | undefined): string {
  return bytes === undefined ? "–" : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** The first row is the heading; its first column is text, the others figures. */
export function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(3, ...rows.map((row) => row[i]?.length ?? 0))
  );
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  const [heading = "", ...body] = rows.map((row) =>
    line(
      widths.map((width, i) =>
        i === 0 ? (row[i] ?? "").padEnd(width) : (row[i] ?? "").padStart(width)
      ),
    )
  );
  const rule = line(
    widths.map((width, i) =>
      i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
    ),
  );
  return [heading, rule, ...body];
}
