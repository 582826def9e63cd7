// Values that run code of their own, or throw, wherever they are touched.

import type { Random } from "./harness/random.ts";

/** Makes a value that is hostile in one way, by its name. */
export const hostile = {
  "a symbol": () => Symbol("thrown"),
  "nothing": () => undefined,
  "null": () => null,
  "an object without a prototype": () => Object.create(null),
  "a revoked proxy": revokedProxy,
  "a revoked proxy of a function": () => {
    const { proxy, revoke } = Proxy.revocable(() => {}, {});
    revoke();
    return proxy;
  },
  "a proxy whose traps all throw": () =>
    new Proxy({}, throwingTraps(["get", "has", "ownKeys", "getPrototypeOf"])),
  "an error whose prototype throws": () =>
    new Proxy(new Error("hidden"), throwingTraps(["getPrototypeOf"])),
  "a throwing custom inspection": () => ({
    toString: refuse,
    [Symbol.for("Deno.customInspect")]: refuse,
  }),
  "a custom inspection that returns a symbol": () => ({
    toString: refuse,
    [Symbol.for("Deno.customInspect")]: () => Symbol("shown"),
  }),
  "a toString that returns an object": () => ({ toString: () => ({}) }),
  "a throwing tag": () =>
    Object.defineProperty({}, Symbol.toStringTag, { get: refuse }),
  "an error whose message has no prototype": () =>
    withProperty("message", { value: Object.create(null) }),
  "an error whose message is a symbol": () =>
    withProperty("message", { value: Symbol("message") }),
  "an error whose message throws": () =>
    withProperty("message", { get: refuse }),
  "an error whose name throws": () => withProperty("name", { get: refuse }),
  "an error whose name is a symbol": () =>
    withProperty("name", { value: Symbol("name") }),
  "an error without a message whose name throws": () =>
    Object.defineProperty(new Error(), "name", { get: refuse }),
  "an error whose stack throws": () => withProperty("stack", { get: refuse }),
  "an error whose stack has no prototype": () =>
    withProperty("stack", { value: Object.create(null) }),
  "an error that quotes what looks like places": () =>
    new Error("see\nfile://a/b:1:1\n    at file:///%zz:1:1"),
  "an error whose stack names no file that can be": () =>
    withProperty("stack", { value: "Error: plain\n    at file://a/b:1:1" }),
  "an error whose cause throws": () => withProperty("cause", { get: refuse }),
  "an error that is its own cause": () => {
    const error = new Error("cycle");
    error.cause = error;
    return error;
  },
  "an error whose causes go very deep": () => {
    let error = new Error("deepest");
    for (let depth = 0; depth < 5_000; depth++) {
      error = new Error("deep", { cause: error });
    }
    return error;
  },
  "errors of hostile errors": () =>
    new AggregateError([revokedProxy(), Symbol("member")], ""),
  "a list that holds itself": () => {
    const list: unknown[] = [];
    list.push(list, Object.create(null));
    return list;
  },
  "a promise that never settles": () => new Promise(() => {}),
  "an object that looks like a promise": () => ({ then: refuse }),
} satisfies Record<string, () => unknown>;

/** A hostile value, perhaps inside others. */
export function anyHostile(random: Random): unknown {
  const [first, ...others] = Object.values(hostile) as (() => unknown)[];
  const make = random.pick([first ?? (() => undefined), ...others]);
  switch (random.int(0, 5)) {
    case 0:
      return new Error("outer", { cause: anyHostile(random) });
    case 1:
      return new AggregateError([anyHostile(random), make()], "several");
    case 2:
      return withProperty(random.pick(["message", "name", "stack", "cause"]), {
        value: anyHostile(random),
      });
    default:
      return make();
  }
}

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function withProperty(name: string, property: PropertyDescriptor): Error {
  return Object.defineProperty(new Error("plain"), name, property);
}

function throwingTraps(
  names: readonly (keyof ProxyHandler<object>)[],
): ProxyHandler<object> {
  return Object.fromEntries(names.map((name) => [name, refuse]));
}

function refuse(): never {
  throw Object.create(null);
}
