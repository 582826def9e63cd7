/**
 * Text from outside, made fit for a terminal.
 *
 * @module
 */

/**
 * What could move a terminal's cursor, begin a new line, change the order of what
 * is written, or stand there unseen: control and format characters, which include
 * those for the direction of text, the separators of lines, and whatever else is
 * shown as nothing (`Default_Ignorable_Code_Point`).
 */
const unfit = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{DI}]/gu;

/** Most text is nothing but printable ASCII, and this test is much the fastest. */
const plain = /^[ -~]*$/;

const escapes: Partial<Record<string, string>> = {
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/**
 * Text on one line, in which everything can be seen.
 *
 * @param text The text.
 * @returns The text, with escapes as in JavaScript for what is unfit.
 */
export function printable(text: string): string {
  return escaped(text, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    if (code.length > 4) return `\\u{${code}}`;
    return escapes[character] ??
      (code.length > 2
        ? `\\u${code.padStart(4, "0")}`
        : `\\x${code.padStart(2, "0")}`);
  });
}

/**
 * What JSON means.
 *
 * @param json The JSON, from outside.
 * @returns The value.
 * @throws {SyntaxError} If it is not JSON. Its message quotes some of the JSON, and
 * is safe to write to a terminal.
 */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new SyntaxError(printable((error as SyntaxError).message));
  }
}

/**
 * A value as JSON on one line, in which everything can be seen.
 *
 * @param value The value.
 * @returns JSON that means the same.
 */
export function printableJson(value: unknown): string {
  return escaped(
    JSON.stringify(value),
    (character) =>
      Array.from(
        { length: character.length },
        (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
      ).join(""),
  );
}

function escaped(text: string, escape: (character: string) => string): string {
  return plain.test(text) ? text : text.replaceAll(unfit, escape);
}
