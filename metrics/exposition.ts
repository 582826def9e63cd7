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

/** All numbers of one name. */
export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** A family of one number. */
export function single(
  type: "counter" | "gauge",
  name: string,
  help: string,
  value: number,
): Family {
  return { name, type, help, samples: [{ value }] };
}

/** Writes families as text. */
export function expose(families: readonly Family[]): string {
  return families.map(exposeFamily).join("");
}

function exposeFamily({ name, type, help, samples }: Family): string {
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
