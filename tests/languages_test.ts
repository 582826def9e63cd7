// The clients in other languages that each machine with the programs of `.ci/run`
// has. `deno task interop` tries the others.

import { assertEquals } from "@std/assert";
import {
  asyncioTls,
  atHand,
  further,
  linesOfPage,
  onPaper,
  testLanguage,
  testTls,
} from "./languages/languages.ts";

Deno.test("docs/clients.md has a line for each language", () => {
  const tried = [...atHand, ...further].map(({ name }) => name);
  assertEquals(
    new Set(linesOfPage().keys()),
    new Set([...tried, ...onPaper]),
  );
});

atHand.forEach(testLanguage);
testTls(asyncioTls);
