import { assertEquals } from "@std/assert";
import { Delimiter, DelimiterSearch } from "../exchange/delimiter.ts";
import { Random } from "./harness/random.ts";

/** Where a delimiter ends in a text that arrives in chunks. */
function endOf(delimiter: Uint8Array, chunks: Uint8Array[]): number {
  const search = new DelimiterSearch(new Delimiter(delimiter));
  let before = 0;
  for (const chunk of chunks) {
    const end = search.endIn(chunk);
    if (end !== undefined) return before + end;
    before += chunk.length;
  }
  return -1;
}

const encode = (text: string) => new TextEncoder().encode(text);

for (
  const [delimiter, chunks, end] of [
    ["\n", ["hello\nworld\n"], 6],
    ["\n", ["hello"], -1],
    ["\n", ["", "hel", "lo\n"], 6],
    ["\r\n\r\n", ["GET /\r\n\r", "\n"], 9],
    ["\r\n\r\n", ["\r\n\r\r\n\r\n!"], 7],
    ["\r\n\r\n", ["\r", "\n", "\r", "\n"], 4],
    ["aab", ["aaaaab"], 6],
    ["aab", ["a", "a", "a", "b"], 4],
    ["abab", ["abaabab"], 7],
    ["end", ["the END, the end"], 16],
  ] as const
) {
  const name = `DelimiterSearch finds ${JSON.stringify(delimiter)} in ` +
    JSON.stringify(chunks);
  Deno.test(name, () => {
    assertEquals(endOf(encode(delimiter), chunks.map(encode)), end);
  });
}

Deno.test("DelimiterSearch finds what indexOf() finds, however chunks fall", () => {
  for (let seed = 0; seed < 5000; seed++) {
    const random = new Random(seed);
    const letters = (size: number) =>
      Array.from({ length: size }, () => random.pick(["a", "b"])).join("");
    const delimiter = letters(random.int(1, 6));
    const text = letters(random.int(0, 60));
    const chunks: string[] = [];
    for (let at = 0; at < text.length;) {
      const size = random.int(0, 9);
      chunks.push(text.slice(at, at + size));
      at += size;
    }
    const at = text.indexOf(delimiter);
    assertEquals(
      endOf(encode(delimiter), chunks.map(encode)),
      at < 0 ? -1 : at + delimiter.length,
      `seed ${seed}: ${delimiter} in ${chunks}`,
    );
  }
});
