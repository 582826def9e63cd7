/**
 * Amounts in a few characters, for people who glance at them.
 *
 * @module
 */

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/** A number with three digits or so. */
export function shortNumber(value: number): string {
  const digits = value.toFixed(1);
  return digits.length > 4 ? value.toFixed(0) : digits;
}

/** A number of bytes, in at most eight characters. */
export function shortBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${shortNumber(value)} ${UNITS[unit]}`;
}

/** A time in milliseconds, in at most eight characters. */
export function shortTime(milliseconds: number): string {
  if (milliseconds < 999.5) return `${shortNumber(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const units: [size: number, name: string][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ];
  const whole = Math.round(seconds);
  const first = units.findIndex(([size]) => whole >= size);
  return units.slice(first, first + 2).map(([size, name], i, [larger]) => {
    const rest = i === 0 ? whole : whole % (larger?.[0] ?? 1);
    return `${Math.floor(rest / size)}${name}`;
  }).join(" ");
}
