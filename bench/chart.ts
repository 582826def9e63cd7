// Results as a picture: bars in SVG, drawn by hand, for light and dark pages.

import { contenders } from "./contenders.ts";
import type { CaseResults, Report } from "./results.ts";
import { figure } from "./tables.ts";

const WIDTH = 900;
const COLUMNS = 2;
const GAP = 32;
const PANEL = (WIDTH - GAP * (COLUMNS + 1)) / COLUMNS;
const LABEL = 140;
const VALUE = 60;
const ROW = 20;
const BAR = 13;
const HEAD = 30;
const FOOT = 44;

const style = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 13px }
  .note { fill: #59636e; font-size: 11px }
  .end { text-anchor: end }
  rect { fill: #b3bcc6 }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    rect { fill: #59636e }
    .ours { fill: #4493f8 }
  }
`;

/** Draws a panel for each case, two side by side. */
export function chart(report: Report): string {
  const parts: string[] = [];
  let y = GAP / 2;
  for (let i = 0; i < report.cases.length; i += COLUMNS) {
    const row = report.cases.slice(i, i + COLUMNS);
    row.forEach((one, column) => {
      parts.push(panel(one, GAP + column * (PANEL + GAP), y));
    });
    const rows = Math.max(...row.map(({ results }) => results.length));
    y += HEAD + rows * ROW + GAP / 2;
  }
  parts.push(
    text(GAP, y + 12, footnote(report), "note"),
    text(GAP, y + 28, "Longer bars are better, those of µs excepted.", "note"),
  );
  const height = y + FOOT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
    `width="${WIDTH}" height="${height}" role="img">`,
    "<title>halfclose and others, side by side</title>",
    `<style>${style}</style>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function panel({ title, unit, results }: CaseResults, x: number, top: number) {
  const most = Math.max(...results.map(({ value }) => value));
  const parts = [text(x, top + 14, `${title}: ${unit}`, "title")];
  results.forEach(({ contender, value }, i) => {
    const y = top + HEAD + i * ROW;
    const { title, ours } = contenders[contender];
    const width = Math.max(1, (PANEL - LABEL - VALUE) * value / most);
    parts.push(
      text(x + LABEL - 8, y + BAR - 2, title, "end"),
      `<rect${ours ? ' class="ours"' : ""} x="${x + LABEL}" y="${y}" width="${
        width.toFixed(1)
      }" ` +
        `height="${BAR}" rx="2"/>`,
      text(x + LABEL + width + 6, y + BAR - 2, figure(value)),
    );
  });
  return parts.join("\n");
}

function footnote({ rounds, system, cpus, deno }: Report): string {
  return `Medians of ${rounds} interleaved rounds, Deno ${deno}, ${system}, ` +
    `${cpus} CPUs shared by servers and clients.`;
}

function text(x: number, y: number, content: string, kind?: string): string {
  const safe = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const of = kind ? ` class="${kind}"` : "";
  return `<text${of} x="${x.toFixed(1)}" y="${y}">${safe}</text>`;
}
