/**
 * Lines of text with colours, cut to the width of a terminal.
 *
 * @module
 */

/** Codes of ECMA-48 that begin a style. */
const styles = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  cyan: 36,
} as const;

/** How text looks. */
export type Style = keyof typeof styles;

/** A piece of a line. */
export interface Span {
  /** Its text, which has no control characters. */
  readonly text: string;
  /** How it looks, if not like any other text. */
  readonly style: Style | undefined;
}

/** A line: pieces, with or without a style. */
export type Line = readonly (Span | string)[];

/** A piece with a style. */
export function styled(text: string, style: Style | undefined): Span {
  return { text, style };
}

/** How wide a line is, in characters. */
export function widthOf(line: Line): number {
  return line.reduce((sum, span) => sum + Array.from(textOf(span)).length, 0);
}

/**
 * A line as one writes it to a terminal.
 *
 * @param line The line.
 * @param columns How wide it may be. What is longer ends with an ellipsis.
 * @param colors Whether it has colours.
 */
export function paint(line: Line, columns: number, colors: boolean): string {
  let room = columns;
  return line.map((span) => {
    const text = cut(textOf(span), room);
    room -= Array.from(text).length;
    const style = typeof span === "string" ? undefined : span.style;
    return colors && style && text
      ? `\x1b[${styles[style]}m${text}\x1b[0m`
      : text;
  }).join("");
}

/** A text of at most so many characters. */
export function cut(text: string, columns: number): string {
  if (text.length <= columns) return text;
  // A character has one or two units.
  const characters = Array.from(text.slice(0, 2 * columns + 2));
  if (characters.length <= columns) return characters.join("");
  return columns <= 0 ? "" : `${characters.slice(0, columns - 1).join("")}…`;
}

function textOf(span: Span | string): string {
  return typeof span === "string" ? span : span.text;
}
