// The text format of Prometheus, read strictly: whatever is not allowed throws.

import { assert, assertEquals } from "@std/assert";

/** A number as it is read. */
interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** All numbers of a name. */
interface Family {
  name: string;
  type: string;
  samples: Sample[];
}

const label = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\n"])*)"/;
const sample = new RegExp(
  `^([a-zA-Z_:][\\w:]*)(?:\\{(${label.source}(?:,${label.source})*)\\})? ` +
    String.raw`([-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?|[-+]Inf|NaN)$`,
);

/** What was exposed, by name. */
export class Exposition {
  readonly #families = new Map<string, Family>();

  constructor(text: string) {
    assert(text.endsWith("\n"), "the last line ends");
    const lines = text.slice(0, -1).split("\n");
    let family: Family | undefined;
    let name = "";
    for (const line of lines) {
      const [, kind, subject = "", rest = ""] =
        /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (\S.*)$/.exec(line) ?? [];
      if (kind === "HELP") {
        name = subject;
      } else if (kind === "TYPE") {
        assertEquals(subject, name, "HELP comes before TYPE");
        assert(!this.#families.has(name), `${name} is there twice`);
        assert(["counter", "gauge", "histogram"].includes(rest), line);
        family = { name, type: rest, samples: [] };
        this.#families.set(name, family);
      } else {
        assert(family, `no family before ${line}`);
        family.samples.push(parseSample(line));
      }
    }
    for (const family of this.#families.values()) checkFamily(family);
  }

  /** The names of all families. */
  get names(): string[] {
    return [...this.#families.keys()];
  }

  /** The value of one number. */
  value(name: string, labels: Record<string, string> = {}): number {
    const key = JSON.stringify([name, labels]);
    const found = this.#samples.find((one) => keyOf(one) === key);
    assert(found, `there is no ${key}`);
    return found.value;
  }

  /** The values of a family by its one label, without zeros. */
  by(name: string): Record<string, number> {
    const samples = this.#families.get(name)?.samples ?? [];
    return Object.fromEntries(
      samples.map(({ labels, value }) => [Object.values(labels)[0], value])
        .filter(([label, value]) => label !== undefined && value !== 0),
    );
  }

  get #samples(): Sample[] {
    return [...this.#families.values()].flatMap(({ samples }) => samples);
  }
}

function parseSample(line: string): Sample {
  const match = sample.exec(line);
  assert(match, `not in the format: ${line}`);
  const pairs = (match[2] ?? "").matchAll(new RegExp(label, "g"));
  const labels = Array.from(
    pairs,
    ([, key = "", value = ""]): [string, string] => [key, value],
  );
  assertEquals(new Set(labels.map(([key]) => key)).size, labels.length, line);
  return {
    name: match[1] ?? "",
    labels: Object.fromEntries(labels),
    value: numberOf(match.at(-1) ?? ""),
  };
}

function numberOf(text: string): number {
  return Number(text.replace("Inf", "Infinity"));
}

function keyOf({ name, labels }: Sample): string {
  return JSON.stringify([name, labels]);
}

function checkFamily({ name, type, samples }: Family): void {
  assert(samples.length > 0, `${name} has numbers`);
  assertEquals(new Set(samples.map(keyOf)).size, samples.length, name);
  if (type === "histogram") return checkHistogram(name, samples);
  for (const sample of samples) assertEquals(sample.name, name);
  if (type === "gauge") return;
  assert(name.endsWith("_total"), name);
  for (const { value } of samples) assert(value >= 0, name);
}

function checkHistogram(name: string, samples: Sample[]): void {
  const buckets = samples.slice(0, -2);
  const [sum, count] = samples.slice(-2);
  assertEquals(sum?.name, `${name}_sum`);
  assertEquals(count?.name, `${name}_count`);
  assertEquals([sum?.labels, count?.labels], [{}, {}]);
  let bound = -Infinity;
  let before = 0;
  for (const { name: bucket, labels, value } of buckets) {
    assertEquals([bucket, Object.keys(labels)], [`${name}_bucket`, ["le"]]);
    const next = numberOf(labels["le"] ?? "");
    assert(next > bound, `${name}: buckets ascend`);
    assert(value >= before, `${name}: buckets contain those before`);
    bound = next;
    before = value;
  }
  assertEquals([bound, before], [Infinity, count?.value]);
}
