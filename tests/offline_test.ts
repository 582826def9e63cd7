/**
 * The stand-ins in `offline/` and the packages they stand in for, held to one
 * table of cases for each package.
 */

import { deepStrictEqual, ok, rejects, throws } from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import * as assertStandIn from "../offline/assert.ts";
import { linksTo } from "../offline/dry_run.ts";
import { importMapFlag } from "../offline/flag.ts";
import importMap from "../offline/import_map.json" with { type: "json" };
import * as logStandIn from "../offline/log.ts";
import * as parseArgsStandIn from "../offline/parse_args.ts";

type Assert = typeof assertStandIn;
type Log = typeof logStandIn;
type ParseArgs = typeof parseArgsStandIn;

/** What a case checks: a symbol, what it does, and how to see that it does. */
interface Case<Module> {
  symbol: string;
  does: string;
  check: (module: Module) => unknown;
}

/**
 * Tests the stand-in, and the package too if the specifier leads to it. Classes
 * of packages have private fields, so that no other class is assignable to them;
 * hence the unknown type.
 */
function testBoth<Module>(
  specifier: string,
  importPackage: () => Promise<unknown>,
  standIn: Module,
  file: string,
  cases: Case<Module>[],
): void {
  for (const { symbol, does, check } of cases) {
    Deno.test(`${symbol} stand-in: ${does}`, async () => {
      await check(standIn);
    });
  }
  const url = new URL(`../offline/${file}`, import.meta.url);
  if (import.meta.resolve(specifier) === url.href) {
    Deno.test({
      name: `${specifier} agrees with its stand-in (needs the real packages)`,
      ignore: true,
      fn() {},
    });
    return;
  }
  for (const { symbol, does, check } of cases) {
    Deno.test(`${symbol} ${specifier}: ${does}`, async () => {
      await check(await importPackage() as Module);
    });
  }
}

// ---------------------------------------------------------------------------
// @std/assert
// ---------------------------------------------------------------------------

class Point {
  constructor(public x: number, public y: number) {}
}
class Vector {
  constructor(public x: number, public y: number) {}
}
class Secret {
  #value: number;
  constructor(value: number) {
    this.#value = value;
  }
  get value() {
    return this.#value;
  }
}
class NoteError extends Error {}

function cycle(value: number) {
  const object: { value: number; self?: unknown } = { value };
  object.self = object;
  return object;
}

const withoutPrototype = Object.assign(Object.create(null), { a: 1 });
const symbol = Symbol("key");
const fn = () => {};

/** What is compared, the two values, and whether they count as equal. */
const comparisons: [string, unknown, unknown, boolean][] = [
  ["equal numbers", 1, 1, true],
  ["different numbers", 1, 2, false],
  ["a number and its text", 1, "1", false],
  ["NaN and NaN", NaN, NaN, true],
  ["0 and -0", 0, -0, true],
  ["0 and -0 inside an object", { a: [0] }, { a: [-0] }, true],
  ["null and undefined", null, undefined, false],
  ["null and an object", null, {}, false],
  ["equal bigints", 10n, 10n, true],
  ["a bigint and a number", 10n, 10, false],
  ["different texts of many lines", "a\nb\nc", "a\nB\nc", false],
  ["the same function", fn, fn, true],
  ["different functions", () => {}, () => {}, false],
  ["equal objects", { a: 1, b: { c: [2] } }, { b: { c: [2] }, a: 1 }, true],
  ["objects with a deep difference", { a: { b: 1 } }, { a: { b: 2 } }, false],
  ["an object with one property more", { a: 1 }, { a: 1, b: 2 }, false],
  ["an undefined and a missing property", { a: undefined }, {}, false],
  [
    "undefined under different names",
    { a: undefined },
    { b: undefined },
    false,
  ],
  ["equal properties under a symbol", { [symbol]: 1 }, { [symbol]: 1 }, true],
  ["different ones under a symbol", { [symbol]: 1 }, { [symbol]: 2 }, false],
  ["an object without prototype", withoutPrototype, { a: 1 }, true],
  ["one without prototype, inside", [withoutPrototype], [{ a: 1 }], true],
  ["equal arrays", [1, [2, 3]], [1, [2, 3]], true],
  ["arrays in another order", [1, 2], [2, 1], false],
  ["arrays of different lengths", [1], [1, 2], false],
  ["a hole and undefined in an array", Array(1), [undefined], false],
  ["an array and an object", [1], { 0: 1 }, false],
  ["equal cycles", cycle(1), cycle(1), true],
  ["different cycles", cycle(1), cycle(2), false],
  ["equal instances", new Point(1, 2), new Point(1, 2), true],
  ["different instances", new Point(1, 2), new Point(1, 3), false],
  ["instances of two classes", new Point(1, 2), new Vector(1, 2), false],
  ["an instance and an object", new Point(1, 2), { x: 1, y: 2 }, false],
  ["equal values of a getter", new Secret(1), new Secret(1), true],
  ["different values of a getter", new Secret(1), new Secret(2), false],
  ["equal bytes", Uint8Array.of(1, 2), Uint8Array.of(1, 2), true],
  ["different bytes", Uint8Array.of(1, 2), Uint8Array.of(1, 3), false],
  ["bytes of different lengths", new Uint8Array(1), new Uint8Array(2), false],
  ["bytes in views of two types", new Uint8Array(1), new Int8Array(1), false],
  ["bytes and an array", Uint8Array.of(1), [1], false],
  [
    "bytes at another offset of a buffer",
    Uint8Array.of(0, 1, 2).subarray(1),
    Uint8Array.of(1, 2),
    true,
  ],
  ["equal buffers", Uint8Array.of(1).buffer, Uint8Array.of(1).buffer, true],
  [
    "different buffers",
    Uint8Array.of(1).buffer,
    Uint8Array.of(2).buffer,
    false,
  ],
  ["equal maps", new Map([["a", [1]]]), new Map([["a", [1]]]), true],
  ["maps of different values", new Map([["a", 1]]), new Map([["a", 2]]), false],
  ["maps of different keys", new Map([["a", 1]]), new Map([["b", 1]]), false],
  [
    "maps of equal objects",
    new Map([[{ a: 1 }, 1]]),
    new Map([[{ a: 1 }, 1]]),
    true,
  ],
  ["sets in another order", new Set([1, 2]), new Set([2, 1]), true],
  ["different sets", new Set([1, 2]), new Set([1, 3]), false],
  ["sets of equal objects", new Set([{ a: 1 }]), new Set([{ a: 1 }]), true],
  [
    "sets of different objects",
    new Set([{ a: 1 }]),
    new Set([{ a: 2 }]),
    false,
  ],
  ["a map and a set", new Map(), new Set(), false],
  ["equal dates", new Date(1), new Date(1), true],
  ["different dates", new Date(1), new Date(2), false],
  ["equal patterns", /a+/g, /a+/g, true],
  ["patterns with other flags", /a+/g, /a+/i, false],
  ["equal URLs", new URL("tcp://a:1"), new URL("tcp://a:1"), true],
  ["different URLs", new URL("tcp://a:1"), new URL("tcp://a:2"), false],
  ["errors with other messages", new Error("a"), new Error("b"), false],
  ["errors of two classes", new TypeError("a"), new RangeError("a"), false],
];

const equality: Case<Assert>[] = comparisons.flatMap(
  ([what, actual, expected, equal]) => {
    const passes = equal ? "assertEquals" : "assertNotEquals";
    const throws = equal ? "assertNotEquals" : "assertEquals";
    return [
      {
        symbol: `${passes}()`,
        does: `passes for ${what}`,
        check: (assert) => assert[passes](actual, expected),
      },
      {
        symbol: `${throws}()`,
        does: `throws for ${what}`,
        check: (assert) =>
          failsWith(assert, [], () => assert[throws](actual, expected)),
      },
    ];
  },
);

const passes: [string, string, (assert: Assert) => unknown][] = [
  ["assert()", "passes for a truthy value", (a) => a.assert("x")],
  ["assertFalse()", "passes for a falsy value", (a) => a.assertFalse(0)],
  ["assertExists()", "passes for a falsy value", (a) => a.assertExists("")],
  [
    "assertStrictEquals()",
    "passes for the same object",
    (a) => a.assertStrictEquals(fn, fn),
  ],
  [
    "assertStrictEquals()",
    "passes for NaN",
    (a) => a.assertStrictEquals(NaN, NaN),
  ],
  [
    "assertNotStrictEquals()",
    "passes for equal objects",
    (a) => a.assertNotStrictEquals<unknown>({}, {}),
  ],
  [
    "assertNotStrictEquals()",
    "passes for 0 and -0",
    (a) => a.assertNotStrictEquals(0, -0),
  ],
  [
    "assertInstanceOf()",
    "passes for an instance of a subclass",
    (a) => a.assertInstanceOf(new NoteError(), Error),
  ],
  ["assertMatch()", "passes for a match", (a) => a.assertMatch("abc", /b/)],
  [
    "assertStringIncludes()",
    "passes for a part",
    (a) => a.assertStringIncludes("abc", "b"),
  ],
  ["assertGreater()", "passes for more", (a) => a.assertGreater(2, 1)],
  [
    "assertGreaterOrEqual()",
    "passes for as much",
    (a) => a.assertGreaterOrEqual(1n, 1n),
  ],
  ["assertLess()", "passes for less", (a) => a.assertLess("a", "b")],
  [
    "assertLessOrEqual()",
    "passes for as much",
    (a) => a.assertLessOrEqual(1, 1),
  ],
  ["assertThrows()", "returns the error", (a) => {
    const error = new NoteError("no");
    ok(a.assertThrows(() => raise(error)) === error);
    ok(a.assertThrows(() => raise(error), NoteError) === error);
    ok(a.assertThrows(() => raise(error), Error, "n", "why") === error);
  }],
  ["assertThrows()", "returns what is not an error", (a) => {
    deepStrictEqual(a.assertThrows(() => raise("text")), "text");
  }],
  ["assertThrows()", "looks for the message without its colors", (a) => {
    a.assertThrows(
      () => raise(new Error("a \x1b[31mred\x1b[39m b")),
      Error,
      "a red b",
    );
  }],
  ["assertRejects()", "resolves to the error", async (a) => {
    const error = new NoteError("no");
    const fn = () => Promise.reject(error);
    ok(await a.assertRejects(fn) === error);
    ok(await a.assertRejects(fn, NoteError) === error);
    ok(await a.assertRejects(fn, Error, "n", "why") === error);
  }],
  ["assertRejects()", "resolves to what is not an error", async (a) => {
    deepStrictEqual(
      await a.assertRejects(() => Promise.reject("text")),
      "text",
    );
  }],
  ["AssertionError", "is an error with a name and a cause", (a) => {
    const error = new a.AssertionError("no", { cause: 1 });
    ok(error instanceof Error);
    deepStrictEqual(
      [error.name, error.message, error.cause],
      ["AssertionError", "no", 1],
    );
  }],
];

/** A call that must fail, and what its message must contain. */
const failures: [string, string, (assert: Assert) => unknown, string[]][] = [
  ["assert()", "throws for a falsy value", (a) => a.assert(""), [""]],
  ["assert()", "throws with the message", (a) => a.assert(null, "why"), [
    "why",
  ]],
  [
    "assertFalse()",
    "throws with the message",
    (a) => a.assertFalse("x", "why"),
    [
      "why",
    ],
  ],
  [
    "assertExists()",
    "throws for null",
    (a) => a.assertExists(null, "why"),
    ['Expected actual: "null" to not be null or undefined: why'],
  ],
  [
    "assertExists()",
    "throws for undefined",
    (a) => a.assertExists(undefined),
    ['Expected actual: "undefined" to not be null or undefined.'],
  ],
  [
    "assertEquals()",
    "shows what differs",
    (a) => a.assertEquals({ port: 8080, path: "a" }, { port: 8081, path: "a" }),
    ["Values are not equal.\n", "port: 8080", "port: 8081"],
  ],
  [
    "assertEquals()",
    "throws with the message",
    (a) => a.assertEquals(1, 2, "why"),
    ["Values are not equal: why\n"],
  ],
  [
    "assertNotEquals()",
    "throws with the message",
    (a) => a.assertNotEquals(77, 77, "why"),
    ["Expected actual: 77 not to be: 77: why"],
  ],
  [
    "assertStrictEquals()",
    "throws for equal objects",
    (a) => a.assertStrictEquals({ a: 1 }, { a: 1 }),
    ["not reference-equal", "a: 1"],
  ],
  [
    "assertStrictEquals()",
    "throws for 0 and -0",
    (a) => a.assertStrictEquals(0, -0, "why"),
    ["Values are not strictly equal: why\n"],
  ],
  [
    "assertNotStrictEquals()",
    "throws for the same value",
    (a) => a.assertNotStrictEquals(77, 77, "why"),
    ['Expected "actual" to not be strictly equal to: 77: why'],
  ],
  [
    "assertInstanceOf()",
    "throws for another class",
    (a) => a.assertInstanceOf(new Point(1, 2), Vector, "why"),
    ['to be an instance of "Vector" but was "Point": why'],
  ],
  [
    "assertInstanceOf()",
    "throws for null",
    (a) => a.assertInstanceOf(null, Vector),
    ['to be an instance of "Vector" but was "null".'],
  ],
  [
    "assertMatch()",
    "throws without a match",
    (a) => a.assertMatch("abc", /x/g, "why"),
    ['Expected actual: "abc" to match: "/x/g": why'],
  ],
  [
    "assertStringIncludes()",
    "throws without the part",
    (a) => a.assertStringIncludes("abc", "x"),
    ['Expected actual: "abc" to contain: "x".'],
  ],
  ["assertGreater()", "throws for as much", (a) => a.assertGreater(1, 1), [
    "Expect 1 > 1",
  ]],
  ["assertGreater()", "throws for NaN", (a) => a.assertGreater(NaN, 1, "why"), [
    "why",
  ]],
  [
    "assertGreaterOrEqual()",
    "throws for less",
    (a) => a.assertGreaterOrEqual(1, 2),
    ["Expect 1 >= 2"],
  ],
  ["assertLess()", "throws for as much", (a) => a.assertLess(1, 1), [
    "Expect 1 < 1",
  ]],
  [
    "assertLessOrEqual()",
    "throws for more",
    (a) => a.assertLessOrEqual(2, 1),
    ["Expect 2 <= 1"],
  ],
  ["fail()", "throws", (a) => a.fail(), ["Failed assertion."]],
  ["fail()", "throws with the message", (a) => a.fail("why"), [
    "Failed assertion: why",
  ]],
  ["unreachable()", "throws", (a) => a.unreachable("why"), [
    "Unreachable: why",
  ]],
  [
    "assertThrows()",
    "throws if nothing is thrown",
    (a) => a.assertThrows(fn, "why"),
    ["Expected function to throw: why"],
  ],
  [
    "assertThrows()",
    "throws for another class",
    (a) => a.assertThrows(() => raise(new TypeError()), RangeError),
    ['Expected error to be instance of "RangeError", but was "TypeError".'],
  ],
  [
    "assertThrows()",
    "throws for another message",
    (a) => a.assertThrows(() => raise(new Error("no")), Error, "yes", "why"),
    ['Expected error message to include "yes", but got "no": why'],
  ],
  [
    "assertThrows()",
    "throws for what is not an error",
    (a) => a.assertThrows(() => raise("text"), Error),
    ["A non-Error object was thrown."],
  ],
  [
    "assertRejects()",
    "rejects if the promise resolves",
    (a) => a.assertRejects(() => Promise.resolve(), Error, "", "why"),
    ["Expected function to reject: why"],
  ],
  [
    "assertRejects()",
    "rejects if the function throws",
    (a) => a.assertRejects(() => raise(new Error())),
    ["Function throws when expected to reject."],
  ],
  [
    "assertRejects()",
    "rejects without a promise",
    (a) => a.assertRejects(() => undefined as unknown as Promise<void>),
    ["Function throws when expected to reject."],
  ],
  [
    "assertRejects()",
    "rejects for another class",
    (a) => a.assertRejects(() => Promise.reject(new TypeError()), RangeError),
    ['Expected error to be instance of "RangeError", but was "TypeError".'],
  ],
  [
    "assertRejects()",
    "rejects for another message",
    (a) => a.assertRejects(() => Promise.reject(new Error("no")), Error, "yes"),
    ['Expected error message to include "yes", but got "no".'],
  ],
  [
    "assertRejects()",
    "rejects for what is not an error",
    (a) => a.assertRejects(() => Promise.reject("text"), Error),
    ["A non-Error object was rejected."],
  ],
];

function raise(error: unknown): never {
  throw error;
}

/** Checks that `fn` fails, at once or later, with the module's own error. */
async function failsWith(
  assert: Assert,
  parts: string[],
  fn: () => unknown,
): Promise<void> {
  // deno-lint-ignore require-await -- turns what `fn` throws into a rejection
  await rejects(async () => fn(), (error) => {
    ok(error instanceof assert.AssertionError, "no AssertionError");
    for (const part of parts) {
      ok(error.message.includes(part), `"${part}" missing: ${error.message}`);
    }
    return true;
  });
}

testBoth<Assert>(
  "@std/assert",
  () => import("@std/assert"),
  assertStandIn,
  "assert.ts",
  [
    ...equality,
    ...passes.map(([symbol, does, check]) => ({ symbol, does, check })),
    ...failures.map(([symbol, does, fn, parts]) => ({
      symbol,
      does,
      check: (assert: Assert) => failsWith(assert, parts, () => fn(assert)),
    })),
  ],
);

// ---------------------------------------------------------------------------
// @std/cli/parse-args
// ---------------------------------------------------------------------------

type Options = parseArgsStandIn.ParseOptions;

/** What is parsed: the arguments, the options, and what must come out. */
const parsed: [string, string[], Options, Record<string, unknown>][] = [
  ["returns nothing for nothing", [], {}, { _: [] }],

  // Long flags
  ["takes the next argument", ["--host", "a"], {}, { host: "a", _: [] }],
  ["takes the text after =", ["--host=a"], {}, { host: "a", _: [] }],
  ["splits at the first =", ["--host=a=b"], {}, { host: "a=b", _: [] }],
  ["takes nothing after =", ["--host="], {}, { host: "", _: [] }],
  ["sets a flag without a value", ["--tls"], {}, { tls: true, _: [] }],
  [
    "leaves a flag that follows a flag",
    ["--tls", "--host", "a"],
    {},
    { tls: true, host: "a", _: [] },
  ],
  [
    "leaves a short flag that follows a flag",
    ["--tls", "-v"],
    {},
    { tls: true, v: true, _: [] },
  ],
  [
    "leaves a negative number that follows a flag",
    ["--port", "-5"],
    { string: "port" },
    { port: "", 5: true, _: [] },
  ],
  [
    "takes a negative number after =",
    ["--port=-5"],
    {},
    { port: -5, _: [] },
  ],
  ["leaves a lone dash", ["--file", "-"], {}, { file: true, _: ["-"] }],
  ["leaves an empty argument", ["--host", ""], {}, { host: true, _: [""] }],
  [
    "lets the last of repeated flags win",
    ["--port", "1", "--port=2"],
    {},
    { port: 2, _: [] },
  ],

  // Numbers
  ["turns numbers into numbers", ["--port", "80"], {}, { port: 80, _: [] }],
  [
    "turns other notations into numbers",
    ["--a=0x10", "--b=1e3", "--c=1.5", "--d=Infinity", "--e= "],
    {},
    { a: 16, b: 1000, c: 1.5, d: "Infinity", e: " ", _: [] },
  ],

  // Strings
  [
    "keeps the digits of a string flag",
    ["--port", "080"],
    { string: ["port"] },
    { port: "080", _: [] },
  ],
  [
    "gives a string flag without a value an empty one",
    ["--port"],
    { string: ["port"] },
    { port: "", _: [] },
  ],
  [
    "gives a string flag before a flag an empty value",
    ["--host", "--port=80"],
    { string: ["host", "port"] },
    { host: "", port: "80", _: [] },
  ],
  [
    "lets a string flag take true",
    ["--host", "true"],
    { string: "host" },
    { host: "true", _: [] },
  ],
  ["leaves out a missing string flag", [], { string: ["host"] }, { _: [] }],

  // Booleans
  [
    "takes no value for a boolean flag",
    ["--tls", "a"],
    { boolean: ["tls"] },
    { tls: true, _: ["a"] },
  ],
  [
    "gives a missing boolean flag false",
    [],
    { boolean: ["tls", "help"] },
    { tls: false, help: false, _: [] },
  ],
  [
    "takes true and false after a boolean flag",
    ["--tls", "false", "--help", "true"],
    { boolean: ["tls", "help"] },
    { tls: false, help: true, _: [] },
  ],
  [
    "takes what is not false after = for true",
    ["--a=true", "--b=false", "--c=no", "--d="],
    { boolean: ["a", "b", "c", "d"] },
    { a: true, b: false, c: true, d: true, _: [] },
  ],
  [
    "takes every long flag as boolean",
    ["--tls", "a", "--port=80", "-p", "b"],
    { boolean: true },
    { tls: true, port: 80, p: "b", _: ["a"] },
  ],

  // Short flags
  ["takes the next argument, short", ["-p", "80"], {}, { p: 80, _: [] }],
  ["takes an attached number", ["-p80"], {}, { p: 80, _: [] }],
  ["takes the text after =, short", ["-p=80"], {}, { p: 80, _: [] }],
  ["takes nothing after =, short", ["-p="], {}, { p: "", _: [] }],
  ["takes an attached path", ["-f./a"], {}, { f: "./a", _: [] }],
  [
    "keeps the digits of a short string flag",
    ["-p080"],
    { string: "p" },
    { p: "080", _: [] },
  ],
  ["splits a group", ["-hV"], {}, { h: true, V: true, _: [] }],
  [
    "gives the last of a group the next argument",
    ["-vp", "80"],
    {},
    { v: true, p: 80, _: [] },
  ],
  [
    "takes no value for a short boolean flag",
    ["-v", "a"],
    { boolean: "v" },
    { v: true, _: ["a"] },
  ],
  [
    "takes false after a short boolean flag",
    ["-v", "false"],
    { boolean: "v" },
    { v: false, _: [] },
  ],
  ["takes a lone dash, short", ["-f", "-"], {}, { f: "-", _: [] }],
  ["leaves a flag after a short one", ["-f", "-v"], {}, {
    f: true,
    v: true,
    _: [],
  }],
  ["takes a dash at the end of a group", ["-f-"], {}, { f: "-", _: [] }],

  // Aliases
  [
    "sets the alias of a flag",
    ["--port", "80"],
    { alias: { port: "p" } },
    { port: 80, p: 80, _: [] },
  ],
  [
    "sets the flag of an alias",
    ["-p", "80"],
    { alias: { port: "p" } },
    { port: 80, p: 80, _: [] },
  ],
  [
    "sets all aliases",
    ["-?"],
    { alias: { help: ["h", "?"] }, boolean: ["help"] },
    { help: true, h: true, "?": true, _: [] },
  ],
  [
    "takes no value for an alias of a boolean flag",
    ["-h", "a"],
    { alias: { help: "h" }, boolean: ["help"] },
    { help: true, h: true, _: ["a"] },
  ],
  [
    "takes no value for a flag with a boolean alias",
    ["--help", "a"],
    { alias: { help: "h" }, boolean: ["h"] },
    { help: true, h: true, _: ["a"] },
  ],
  [
    "keeps the digits of an alias of a string flag",
    ["-p80"],
    { alias: { p: "port" }, string: ["port"] },
    { port: "80", p: "80", _: [] },
  ],

  // Defaults
  [
    "uses a default",
    [],
    { default: { port: 8080 }, string: ["port"] },
    { port: 8080, _: [] },
  ],
  [
    "prefers what is given to a default",
    ["--port=1"],
    { default: { port: "8080" }, string: ["port"] },
    { port: "1", _: [] },
  ],
  [
    "sets aliases to a default",
    [],
    { default: { port: 8080 }, alias: { port: "p" } },
    { port: 8080, p: 8080, _: [] },
  ],
  [
    "uses the default of a boolean flag",
    [],
    { default: { tls: true }, boolean: ["tls"] },
    { tls: true, _: [] },
  ],
  [
    "uses undefined as a default",
    [],
    { default: { tls: undefined }, boolean: ["tls"] },
    { tls: undefined, _: [] },
  ],

  // Collections
  [
    "collects repeated flags",
    ["--host", "a", "--host=b"],
    { collect: ["host"], string: ["host"] },
    { host: ["a", "b"], _: [] },
  ],
  [
    "collects a single flag",
    ["--host=1"],
    { collect: ["host"] },
    { host: [1], _: [] },
  ],
  [
    "collects nothing",
    [],
    { collect: ["a", "b", "c"], string: ["a"], boolean: ["b"] },
    { a: [], b: [], _: [] },
  ],
  [
    "collects across aliases",
    ["-H", "a", "--host", "b"],
    { collect: ["host"], string: ["host"], alias: { host: "H" } },
    { host: ["a", "b"], H: ["a", "b"], _: [] },
  ],
  [
    "collects instead of a default",
    ["--host=a"],
    { collect: "host", default: { host: ["z"] } },
    { host: ["a"], _: [] },
  ],

  // Negation
  [
    "negates a flag",
    ["--no-color"],
    { negatable: ["color"] },
    { color: false, _: [] },
  ],
  [
    "negates a flag that is true by default",
    ["--no-color", "a"],
    { boolean: ["color"], negatable: ["color"], default: { color: true } },
    { color: false, _: ["a"] },
  ],
  [
    "negates aliases too",
    ["--no-color"],
    { boolean: "color", negatable: "color", alias: { color: "c" } },
    { color: false, c: false, _: [] },
  ],
  [
    "keeps the no- of a flag that is not negatable",
    ["--no-color"],
    { boolean: ["color"] },
    { color: false, "no-color": true, _: [] },
  ],
  [
    "drops the no- of a flag with a value",
    ["--no-color=1"],
    {},
    { color: 1, _: [] },
  ],

  // Positional arguments
  [
    "gathers positional arguments",
    ["a", "--tls", "b", "1", "-"],
    { boolean: ["tls"] },
    { tls: true, _: ["a", "b", 1, "-"] },
  ],
  [
    "keeps the digits of positional arguments",
    ["080"],
    { string: ["_"] },
    { _: ["080"] },
  ],
  [
    "adds what follows -- as it is",
    ["a", "--", "--tls", "80"],
    {},
    { _: ["a", "--tls", "80"] },
  ],
  [
    "keeps what follows -- apart",
    ["a", "--", "--tls", "--", "80"],
    { "--": true },
    { _: ["a"], "--": ["--tls", "--", "80"] },
  ],
  ["keeps nothing after -- apart", ["a"], { "--": true }, {
    _: ["a"],
    "--": [],
  }],
  [
    "gives a flag before -- no value",
    ["--host", "--", "a"],
    { string: ["host"] },
    { host: "", _: ["a"] },
  ],
  [
    "stops early",
    ["--tls", "1", "--port", "2", "--", "3"],
    { boolean: ["tls"], stopEarly: true },
    { tls: true, _: [1, "--port", "2", "3"] },
  ],
];

/** Arguments, options, the calls of `unknown`, and what must come out. */
const unknowns: [
  string,
  string[],
  Options,
  unknown[][],
  Record<string, unknown>,
][] = [
  [
    "gets the argument, the name and the value of a flag",
    ["--port", "80", "--host=a", "-v", "-p80"],
    {},
    [
      ["--port", "port", "80"],
      ["--host=a", "host", "a"],
      ["-v", "v", true],
      ["-p80", "p", "80"],
    ],
    { _: [] },
  ],
  [
    "gets each flag of a group",
    ["-hV"],
    { boolean: ["h"] },
    [["-hV", "V", true]],
    { h: true, _: [] },
  ],
  ["gets a positional argument alone", ["a", "1"], {}, [["a"], ["1"]], {
    _: [],
  }],
  [
    "gets no flag that is named",
    ["--a", "--b=1", "--c=1", "-d", "--e"],
    { boolean: ["a"], string: ["b"], collect: ["c"], alias: { d: "e" } },
    [],
    { a: true, b: "1", c: [1], d: true, e: true, _: [] },
  ],
  [
    "gets a flag that is only negatable or has a default",
    ["--no-a", "--b=1"],
    { negatable: ["a"], default: { b: 2 } },
    [["--no-a", "a", false], ["--b=1", "b", "1"]],
    { b: 2, _: [] },
  ],
  [
    "gets no long flag without = if all of them are boolean",
    ["--a", "--b=1", "-c"],
    { boolean: true },
    [["--b=1", "b", "1"], ["-c", "c", true]],
    { a: true, _: [] },
  ],
  [
    "gets nothing after --",
    ["--", "--a", "b"],
    { "--": true },
    [],
    { _: [], "--": ["--a", "b"] },
  ],
];

const parseCases: Case<ParseArgs>[] = [
  ...parsed.map(([does, args, options, expected]) => ({
    symbol: "parseArgs()",
    does,
    check: ({ parseArgs }: ParseArgs) => {
      deepStrictEqual(parseArgs(args, options), expected);
    },
  })),
  ...unknowns.map(([does, args, options, calls, expected]) => ({
    symbol: "parseArgs() unknown",
    does,
    check: ({ parseArgs }: ParseArgs) => {
      const seen: unknown[][] = [];
      const unknown = (...call: unknown[]) => {
        seen.push(call);
        return false;
      };
      deepStrictEqual(parseArgs(args, { ...options, unknown }), expected);
      deepStrictEqual(seen, calls);
    },
  })),
  {
    symbol: "parseArgs() unknown",
    does: "keeps what it does not refuse",
    check: ({ parseArgs }) => {
      const unknown = () => undefined;
      deepStrictEqual(parseArgs(["--a=1", "b"], { unknown }), {
        a: 1,
        _: ["b"],
      });
    },
  },
  {
    symbol: "parseArgs()",
    does: "leaves its arguments and options alone",
    check: ({ parseArgs }) => {
      const args = Object.freeze(["-p", "80", "a", "--", "b"]);
      const options = Object.freeze({ string: Object.freeze(["p"]) });
      deepStrictEqual(parseArgs(args, options), { p: "80", _: ["a", "b"] });
    },
  },
];

testBoth<ParseArgs>(
  "@std/cli/parse-args",
  () => import("@std/cli/parse-args"),
  parseArgsStandIn,
  "parse_args.ts",
  parseCases,
);

Deno.test("parseArgs() has the types of its options", async () => {
  // Whichever package this is, the type checker holds it to these types.
  const { parseArgs } = await import("@std/cli/parse-args");
  const args = parseArgs(["-h", "--port=80", "-H", "a", "b", "--", "c"], {
    "--": true,
    alias: { help: "h", host: ["H", "address"], port: "p" },
    boolean: ["help", "color"],
    collect: ["host"],
    default: { color: true, port: "8080", retries: 3 },
    negatable: ["color"],
    string: ["host", "port", "unix"],
  });
  const help: boolean = args.help || args.h;
  const color: boolean = args.color;
  const port: string = args.port;
  const hosts: string[] = args.host;
  const unix: string | undefined = args.unix;
  const retries: unknown = args.retries;
  const rest: (string | number)[] = args._;
  const afterDashes: string[] = args["--"];
  deepStrictEqual(
    { help, color, port, hosts, unix, retries, rest, afterDashes },
    {
      help: true,
      color: true,
      port: "80",
      hosts: ["a"],
      unix: undefined,
      retries: 3,
      rest: ["b"],
      afterDashes: ["c"],
    },
  );
});

// ---------------------------------------------------------------------------
// @std/log
// ---------------------------------------------------------------------------

/** Makes a logger that logs to an array. */
function recorder(
  log: Log,
  loggerLevel: logStandIn.LevelName,
  handlerLevel: logStandIn.LevelName = "NOTSET",
  formatter?: logStandIn.FormatterFunction,
) {
  const lines: string[] = [];
  class Recorder extends log.BaseHandler {
    log(msg: string) {
      lines.push(msg);
    }
  }
  const handler = new Recorder(handlerLevel, formatter ? { formatter } : {});
  const logger = new log.Logger("name", loggerLevel, { handlers: [handler] });
  return { handler, lines, logger };
}

/** Makes handlers that tell when they are set up and destroyed. */
function listener(log: Log) {
  const calls: string[] = [];
  class Handler extends log.BaseHandler {
    log() {}
    override setup() {
      calls.push("setup");
    }
    override destroy() {
      calls.push("destroy");
    }
  }
  return { calls, Handler };
}

/** Changes a level in both ways, and returns all that it is meanwhile. */
function changeLevels(
  log: Log,
  what: { level: logStandIn.LogLevel; levelName: logStandIn.LevelName },
): unknown[] {
  const levels: unknown[] = [what.level, what.levelName];
  what.level = log.LogLevels.WARN;
  levels.push(what.level, what.levelName);
  what.levelName = "INFO";
  levels.push(what.level, what.levelName);
  return levels;
}

/** Returns what `fn` prints. */
function printed(fn: () => void): unknown[][] {
  const { log } = console;
  const calls: unknown[][] = [];
  console.log = (...args) => {
    calls.push(args);
  };
  try {
    fn();
  } finally {
    console.log = log;
  }
  return calls;
}

/** Logs once with each method and returns what arrives. */
function logAll(
  log: Log,
  loggerLevel: logStandIn.LevelName,
  handlerLevel?: logStandIn.LevelName,
) {
  const { lines, logger } = recorder(log, loggerLevel, handlerLevel);
  logger.debug("a");
  logger.info("b");
  logger.warn("c");
  logger.error("d");
  logger.critical("e");
  return lines;
}

function colored(text: string, open: string, close: string): string {
  return Deno.noColor ? text : `${open}${text}${close}`;
}

const all = ["DEBUG a", "INFO b", "WARN c", "ERROR d", "CRITICAL e"];
const failure = new Error("no");

/** What is logged, and what `Logger` makes of it. */
const messages: [string, unknown, string][] = [
  ["a text", "a", "a"],
  ["a number", 1.5, "1.5"],
  ["a bigint", 1n, "1"],
  ["a boolean", false, "false"],
  ["null", null, "null"],
  ["undefined", undefined, "undefined"],
  ["a symbol", Symbol("a"), "Symbol(a)"],
  [
    "an object",
    { a: 1, b: "c", d: { e: null } },
    '{"a":1,"b":"c","d":{"e":null}}',
  ],
  ["an array", [1, "a"], '{"0":1,"1":"a"}'],
  ["an error", failure, `${failure.stack}`],
  ["an object with an error", { failure }, `{"failure":${failure.stack}}`],
  ["an object with a function", { fn }, '{"fn":undefined}'],
];

/** What is done, and what must come out. */
const logged: [string, string, (log: Log) => unknown, unknown][] = [
  [
    "LogLevels",
    "has the levels",
    (log) => JSON.stringify(log.LogLevels),
    '{"NOTSET":0,"DEBUG":10,"INFO":20,"WARN":30,"ERROR":40,"CRITICAL":50}',
  ],
  [
    "LogLevelNames",
    "goes from low to high",
    (log) => JSON.stringify(log.LogLevelNames),
    '["NOTSET","DEBUG","INFO","WARN","ERROR","CRITICAL"]',
  ],
  [
    "getLevelByName()",
    "finds a level",
    (log) => log.getLevelByName("WARN"),
    30,
  ],
  ["getLevelName()", "finds a name", (log) => log.getLevelName(40), "ERROR"],

  ["Logger", "logs everything at NOTSET", (log) => logAll(log, "NOTSET"), all],
  [
    "Logger",
    "leaves out lower levels",
    (log) => logAll(log, "WARN"),
    all.slice(2),
  ],
  [
    "BaseHandler",
    "leaves out lower levels",
    (log) => logAll(log, "DEBUG", "ERROR"),
    all.slice(3),
  ],
  ...messages.map(([what, value, text]): typeof logged[number] => [
    "Logger",
    `formats ${what}`,
    (log) => {
      const { lines, logger } = recorder(
        log,
        "INFO",
        "INFO",
        (record) => record.msg,
      );
      ok(Object.is(logger.info(value), value), "returns another value");
      logger.info(() => value);
      return lines;
    },
    [text, text],
  ]),
  ["Logger", "calls a lazy message and returns its value", (log) => {
    const { lines, logger } = recorder(log, "INFO");
    return [logger.info(() => 42), lines];
  }, [42, ["INFO 42"]]],
  ["Logger", "does not call a lazy message below its level", (log) => {
    const { lines, logger } = recorder(log, "INFO");
    return [logger.debug(() => fail()), lines];
  }, [undefined, []]],
  ["Logger", "calls a lazy message below the handler's level", (log) => {
    const { lines, logger } = recorder(log, "DEBUG", "INFO");
    return [logger.debug(() => 42), lines];
  }, [42, []]],
  ["Logger", "returns a message below its level", (log) => {
    const { logger } = recorder(log, "INFO");
    return logger.debug("a", 1);
  }, "a"],
  ["Logger", "passes further arguments on", (log) => {
    const seen: unknown[] = [];
    const { logger } = recorder(log, "INFO", "INFO", (record) => {
      seen.push(...record.args);
      return record.msg;
    });
    logger.info("a", 1, { b: 2 });
    return seen;
  }, [1, { b: 2 }]],
  ["Logger", "logs to every handler", (log) => {
    const [one, two] = [recorder(log, "INFO"), recorder(log, "INFO")];
    one.logger.handlers.push(two.handler);
    one.logger.info("a");
    return [one.lines, two.lines];
  }, [["INFO a"], ["INFO a"]]],
  ["Logger", "has a name and no handlers at first", (log) => {
    const logger = new log.Logger("name", "INFO");
    return [logger.loggerName, logger.handlers];
  }, ["name", []]],
  ["Logger", "can change its level", (log) => {
    const { lines, logger } = recorder(log, "ERROR");
    const levels = changeLevels(log, logger);
    logger.info("a");
    return [levels, lines];
  }, [[40, "ERROR", 30, "WARN", 20, "INFO"], ["INFO a"]]],
  ["BaseHandler", "can change its level", (log) => {
    const { handler, lines, logger } = recorder(log, "DEBUG", "ERROR");
    const levels = changeLevels(log, handler);
    logger.info("a");
    return [levels, lines];
  }, [[40, "ERROR", 30, "WARN", 20, "INFO"], ["INFO a"]]],
  ["BaseHandler", "formats with its formatter", (log) => {
    const { lines, logger } = recorder(
      log,
      "INFO",
      "INFO",
      ({ args, level, levelName, loggerName, msg }) =>
        [level, levelName, loggerName, msg, ...args].join(" "),
    );
    logger.warn("a", "b", 1);
    return lines;
  }, ["30 WARN name a b 1"]],
  ["BaseHandler", "is set up, destroyed and disposed of", (log) => {
    const { calls, Handler } = listener(log);
    {
      using handler = new Handler("INFO");
      handler.setup();
    }
    return calls;
  }, ["setup", "destroy"]],
  ["LogRecord", "holds a message", (log) => {
    const args = [1];
    const before = Date.now();
    const record = new log.LogRecord({
      msg: "a",
      args,
      level: log.LogLevels.WARN,
      loggerName: "name",
    });
    args.push(2);
    record.args.push(3);
    record.datetime.setTime(0);
    const time = record.datetime.getTime();
    ok(before <= time && time <= Date.now(), "not logged now");
    const { level, levelName, loggerName, msg } = record;
    return { args: record.args, level, levelName, loggerName, msg };
  }, { args: [1], level: 30, levelName: "WARN", loggerName: "name", msg: "a" }],

  ["ConsoleHandler", "prints in the color of the level", (log) => {
    const handlers = [new log.ConsoleHandler("NOTSET")];
    const logger = new log.Logger("name", "NOTSET", { handlers });
    return printed(() => {
      logger.debug("a");
      logger.info("b");
      logger.warn("c");
      logger.error("d");
      logger.critical("e");
    });
  }, [
    ["DEBUG a"],
    [colored("INFO b", "\x1b[34m", "\x1b[39m")],
    [colored("WARN c", "\x1b[33m", "\x1b[39m")],
    [colored("ERROR d", "\x1b[31m", "\x1b[39m")],
    [colored("CRITICAL e", "\x1b[1m\x1b[31m", "\x1b[39m\x1b[22m")],
  ]],
  ["ConsoleHandler", "prints without colors", (log) => {
    const handler = new log.ConsoleHandler("INFO", {
      formatter: ({ msg }) => `<${msg}>`,
      useColors: false,
    });
    const logger = new log.Logger("name", "DEBUG", { handlers: [handler] });
    return printed(() => {
      logger.debug("a");
      logger.error("b");
    });
  }, [["<b>"]]],

  ["setup()", "makes loggers with handlers", (log) => {
    const { handler, lines } = recorder(log, "NOTSET");
    log.setup({
      handlers: { one: handler },
      loggers: {
        default: { level: "WARN", handlers: ["one"] },
        tasks: { handlers: ["one", "missing"] },
      },
    });
    log.getLogger().info("a");
    log.getLogger().warn("b");
    log.getLogger("tasks").debug("c");
    log.getLogger("tasks").info("d");
    const names = [log.getLogger(), log.getLogger("tasks")].map((logger) =>
      logger.loggerName
    );
    log.setup({});
    log.getLogger("tasks").info("e");
    return [lines, names];
  }, [["WARN b", "INFO d"], ["default", "tasks"]]],
  ["setup()", "sets handlers up and destroys the former ones", (log) => {
    const { calls, Handler } = listener(log);
    log.setup({ handlers: { one: new Handler("INFO") } });
    log.setup({});
    log.setup({});
    return calls;
  }, ["setup", "destroy"]],
  ["getLogger()", "logs to the console by default", (log) => {
    const name = log.getLogger().loggerName;
    const lines = printed(() => {
      log.getLogger().debug("a");
      log.getLogger().info("b");
    });
    return [name, lines];
  }, ["default", [[colored("INFO b", "\x1b[34m", "\x1b[39m")]]]],
  ["getLogger()", "makes a silent logger for an unknown name", (log) => {
    const logger = log.getLogger("unknown");
    ok(log.getLogger("unknown") === logger, "another one each time");
    const lines = printed(() => logger.critical("a"));
    return [logger.loggerName, logger.levelName, logger.handlers, lines];
  }, ["unknown", "NOTSET", [], []]],
];

/** What must throw, and the error's class and message. */
const logFailures: [string, string, (log: Log) => unknown, Error][] = [
  [
    "getLevelByName()",
    "throws for an unknown name",
    (log) => log.getLevelByName("LOUD" as logStandIn.LevelName),
    new Error("Cannot get log level: no level named LOUD"),
  ],
  [
    "getLevelName()",
    "throws for an unknown level",
    (log) => log.getLevelName(5 as logStandIn.LogLevel),
    new Error("Cannot get log level: no name for level: 5"),
  ],
  [
    "Logger",
    "throws for an unknown level",
    (log) => {
      new log.Logger("name", "INFO").level = 5 as logStandIn.LogLevel;
    },
    new TypeError("Invalid log level: 5"),
  ],
  [
    "Logger",
    "throws for an unknown name of a level",
    (log) => new log.Logger("name", "LOUD" as logStandIn.LevelName),
    new Error("Cannot get log level: no level named LOUD"),
  ],
  [
    "BaseHandler",
    "throws for an unknown name of a level",
    (log) => new log.ConsoleHandler("LOUD" as logStandIn.LevelName),
    new Error("Cannot get log level: no level named LOUD"),
  ],
];

function fail(): never {
  throw new Error("Must not be called");
}

testBoth<Log>(
  "@std/log",
  () => import("@std/log"),
  logStandIn,
  "log.ts",
  [
    ...logged.map(([symbol, does, run, expected]) => ({
      symbol,
      does,
      check: (log: Log) => deepStrictEqual(run(log), expected),
    })),
    ...logFailures.map(([symbol, does, run, { name, message }]) => ({
      symbol,
      does,
      check: (log: Log) => throws(() => run(log), { name, message }),
    })),
  ],
);

// ---------------------------------------------------------------------------
// How the tasks get at them
// ---------------------------------------------------------------------------

Deno.test("import_map.json covers every import of deno.json", () => {
  const covered = Object.keys(importMap.imports);
  for (const name of Object.keys(config.imports)) {
    ok(
      covered.some((one) => one === name || one.startsWith(`${name}/`)),
      `${name} has no stand-in`,
    );
  }
});

Deno.test("@std/log has its parts in submodules", async () => {
  const { Logger } = await import("@std/log/logger");
  const { BaseHandler } = await import("@std/log/base-handler");
  const { LogLevels } = await import("@std/log/levels");
  const log = await import("@std/log");
  ok(Logger === log.Logger);
  ok(BaseHandler === log.BaseHandler && LogLevels === log.LogLevels);
});

const flag = "--import-map=offline/import_map.json";

Deno.test("importMapFlag() is empty if JSR has all packages", async () => {
  const asked: string[] = [];
  const fetchMeta = (name: string) => {
    asked.push(name);
    return Promise.resolve({ scope: "std", name, versions: {} });
  };
  deepStrictEqual(await importMapFlag(fetchMeta), "");
  const published = Object.entries(config.imports)
    .filter(([_name, source]) => source.startsWith("jsr:"))
    .map(([name]) => name);
  deepStrictEqual(
    new Set(asked.map((name) => `@std/${name}`)),
    new Set(published),
  );
});

Deno.test("importMapFlag() is set if JSR cannot be reached", async () => {
  const fetchMeta = () => Promise.reject(new TypeError("fetch failed"));
  deepStrictEqual(await importMapFlag(fetchMeta), flag);
});

Deno.test("importMapFlag() is set if one package is missing", async () => {
  const fetchMeta = (name: string) =>
    Promise.resolve(name === "log" ? { code: "notFound" } : { versions: {} });
  deepStrictEqual(await importMapFlag(fetchMeta), flag);
});

Deno.test("importMapFlag() is set if something else answers", async () => {
  for (const answer of [undefined, null, "login", []]) {
    deepStrictEqual(await importMapFlag(() => Promise.resolve(answer)), flag);
  }
});

Deno.test({
  name: "importMapFlag() is set without the permission to ask JSR",
  permissions: "none",
  async fn() {
    deepStrictEqual(await importMapFlag(), flag);
  },
});

Deno.test("linksTo() gives the stand-ins the names of the packages", () => {
  const links = linksTo(
    { "@std/a": "jsr:@std/a@^1.0.2", "@std/ab": "jsr:@std/ab@0.1.0" },
    { "@std/a": "./a.ts", "@std/a/part": "./part.ts", "@std/ab": "./ab.ts" },
  );
  deepStrictEqual(links, [
    {
      name: "@std/a",
      version: "1.0.2",
      exports: { ".": "./a.ts", "./part": "./part.ts" },
    },
    { name: "@std/ab", version: "0.1.0", exports: { ".": "./ab.ts" } },
  ]);
});
