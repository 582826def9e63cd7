/**
 * The text that Prometheus reads, version 0.0.4 of its format.
 *
 * @module
 */

/** One number of a family. */
export interface Sample {
  /** What the name of the family is followed by, such as `_sum`. */
  readonly suffix?: string;
  /** What tells it from others. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The numbers of a family: one, several, or none at the moment. */
export type Value = number | readonly Sample[] | undefined;

/**
 * Writes families as text. Those whose numbers add up have `_total` in their names.
 *
 * @param help What each family is, by its name.
 * @param values The numbers of each.
 */
export function expose<Name extends string>(
  help: Readonly<Record<Name, string>>,
  values: Readonly<Record<Name, Value>>,
): string {
  return (Object.keys(help) as Name[])
    .map((name) => exposeFamily(name, help[name], values[name])).join("");
}

function exposeFamily(name: string, help: string, value: Value): string {
  if (value === undefined) return "";
  const samples = typeof value === "number" ? [{ value }] : value;
  const isHistogram = samples.some(({ suffix }) => suffix !== undefined);
  const isCounter = name.endsWith("_total");
  const type = isHistogram ? "histogram" : isCounter ? "counter" : "gauge";
  const lines = samples.map(({ suffix = "", labels = {}, value }) =>
    `${name}${suffix}${exposeLabels(labels)} ${exposeNumber(value)}\n`
  );
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n` +
    lines.join("");
}

function exposeLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${escaped(value).replaceAll('"', '\\"')}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** A number, also as the label `le` has it. */
export function exposeNumber(value: number): string {
  return value === Infinity ? "+Inf" : `${value}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
