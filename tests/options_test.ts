import { assertEquals, assertThrows } from "@std/assert";
import { listen, type ListenOptions, serve } from "../mod.ts";
import { runDeno } from "./programs.ts";
import { testOnLinux } from "./support.ts";

const wrong: [object | null, new () => Error, string][] = [
  [null as unknown as object, TypeError, "the options must be an object"],
  [[], TypeError, "the options must be an object, received []"],
  [new Map([["port", 1]]), TypeError, "the options must be an object"],
  [() => {}, TypeError, "the options must be an object"],
  [
    Promise.resolve(1),
    TypeError,
    "the options must be an object, received Promise { 1 }. Await it.",
  ],
  [{ port: new Number(1) }, TypeError, 'option "port" must be a number, recei'],
  [{ port: 1n }, TypeError, 'option "port" must be a number, received 1n'],
  [{ port: null }, TypeError, 'option "port" must be a number, received null'],
  [{ port: "80" }, TypeError, 'option "port" must be a number, received "80"'],
  [{ port: -1 }, RangeError, 'option "port" must be a whole number from 0 to'],
  [{ port: 65_536 }, RangeError, "from 0 to 65535, received 65536"],
  [{ port: 1.5 }, RangeError, 'option "port"'],
  [{ port: NaN }, RangeError, 'option "port"'],
  [{ port: Infinity }, RangeError, 'option "port"'],
  [{ hostname: 1 }, TypeError, 'option "hostname" must be a string'],
  [{ hostname: "" }, TypeError, 'option "hostname" must be a name or an add'],
  [{ hostname: "a b" }, TypeError, 'option "hostname" must be a name or an'],
  [{ hostname: new String("x") }, TypeError, '"hostname" must be a string'],
  [{ transport: "udp" }, TypeError, 'option "transport" must be "tcp" here'],
  [
    { path: "x", transport: "tcp" },
    TypeError,
    'option "transport" must be "unix" here, received "tcp"',
  ],
  [{ tcpBacklog: 0 }, RangeError, 'option "tcpBacklog"'],
  [{ reusePort: 1 }, TypeError, 'option "reusePort" must be a boolean'],
  [
    { reusePort: true },
    TypeError,
    Deno.build.os === "linux" ? "--unstable-net" : "needs Linux",
  ],
  [{ cert: "x" }, TypeError, 'option "cert" needs "key"'],
  [{ key: "x" }, TypeError, 'option "key" needs "cert"'],
  [{ path: "" }, TypeError, 'option "path" must be the path of a socket'],
  [{ path: "a\0b" }, TypeError, 'option "path" must be the path of a socket'],
  [{ path: "a/" }, TypeError, 'option "path" must be the path of a socket'],
  [{ path: 1 }, TypeError, 'option "path" must be a string'],
  [{ path: "x", port: 1 }, TypeError, '"path" and "port" exclude each other'],
  [{ path: "x", cert: "c", key: "k" }, TypeError, '"path" and "cert" exclude'],
  [{ path: "x", mode: 0o1000 }, RangeError, "from 0 to 511, received 512"],
  [{ path: "x", mode: "660" }, TypeError, 'option "mode" must be a number'],
  [{ mode: 0o600 }, TypeError, 'option "mode" needs "path"'],
  [{ listener: {} }, TypeError, 'option "listener" must be a Deno.Listener'],
  [
    { listener: { accept() {} }, path: "x" },
    TypeError,
    '"listener" and "path" exclude each other',
  ],
  [
    { listener: { accept() {} }, hostname: "x" },
    TypeError,
    '"listener" and "hostname" exclude each other',
  ],
  [{ maxRequestBytes: -1 }, RangeError, 'option "maxRequestBytes"'],
  [{ maxRequestBytes: 1.5 }, RangeError, 'option "maxRequestBytes"'],
  [{ maxRequestBytes: NaN }, RangeError, "or Infinity, received NaN"],
  [{ maxRequestBytes: "1" }, TypeError, 'option "maxRequestBytes"'],
  [{ deadline: 0 }, RangeError, 'option "deadline" must be at least 1'],
  [{ deadline: -5 }, RangeError, "received -5"],
  [{ deadline: NaN }, RangeError, 'option "deadline"'],
  [{ deadline: "1s" }, TypeError, 'option "deadline" must be a number'],
  [{ idleTimeout: 0 }, RangeError, 'option "idleTimeout" must be at least 1'],
  [{ idleTimeout: null }, TypeError, 'option "idleTimeout"'],
  [{ lingerTimeout: -1 }, RangeError, 'option "lingerTimeout"'],
  [{ streaming: "yes" }, TypeError, 'option "streaming" must be a boolean'],
  [
    { proxyProtocol: 2 },
    TypeError,
    'option "proxyProtocol" must be a boolean',
  ],
  [
    { proxyProtocol: true, cert: "x", key: "x" },
    TypeError,
    '"proxyProtocol" and "cert" exclude each other',
  ],
  [{ readAhead: -1 }, RangeError, 'option "readAhead" must be a whole number'],
  [{ readAhead: 1.5 }, RangeError, 'option "readAhead"'],
  [
    { readAhead: 1, streaming: true },
    TypeError,
    '"readAhead" and "streaming" exclude each other',
  ],
  [{ until: "" }, TypeError, 'option "until" must not be empty'],
  [{ until: new Uint8Array() }, TypeError, 'option "until" must not be empty'],
  [{ until: 10 }, TypeError, 'option "until" must be a string, a Uint8Array'],
  [{ until: null }, TypeError, 'option "until" must be a string, a Uint8Array'],
  [{ until: new Map() }, TypeError, 'option "until" must be a string'],
  [{ until: class {} }, TypeError, "or a function, received [class"],
  [{ until: {} }, TypeError, 'option "until" must be a string, a Uint8Array'],
  [
    { until: { idle: "1s" } },
    TypeError,
    'option "until.idle" must be a number, received "1s"',
  ],
  [
    { until: { idle: 0 } },
    RangeError,
    'option "until.idle" must be at least 1',
  ],
  [
    { signal: Object.create(AbortSignal.prototype) },
    TypeError,
    'option "signal" must be an AbortSignal',
  ],
  [
    { listener: { accept() {}, close() {} } },
    TypeError,
    'option "listener" must be a Deno.Listener',
  ],
  [{ signal: {} }, TypeError, 'option "signal" must be an AbortSignal'],
  [{ allow: true }, TypeError, 'option "allow" must be a function'],
  [{ onRefuse: "no" }, TypeError, 'option "onRefuse" must be a function'],
  [{ onExchange: 1 }, TypeError, 'option "onExchange" must be a function'],
  [
    { onAcceptError: 1 },
    TypeError,
    'option "onAcceptError" must be a function',
  ],
];

for (const [options, ErrorClass, message] of wrong) {
  Deno.test(`listen() refuses ${Deno.inspect(options, { depth: 1 })}`, () => {
    assertThrows(() => listen(options as ListenOptions), ErrorClass, message);
  });
}

for (const name of ["onListen", "onError"]) {
  Deno.test(`serve() refuses a wrong ${name}`, () => {
    assertThrows(
      () => serve({ [name]: 1 }, () => {}),
      TypeError,
      `option "${name}" must be a function`,
    );
  });
}

const noHandler: [unknown, unknown, string][] = [
  [{}, undefined, "a handler is needed that takes a connection"],
  [{}, null, "a handler is needed that takes a connection, received null"],
  [() => {}, { port: 1 }, "the options must be an object, received [Function"],
  [() => {}, () => {}, "the options must be an object, received [Function"],
  [{}, class Service {}, "takes a connection, received [class Service]"],
  [class One {}, undefined, '"handler" must be a function, received [class'],
  [{ handler: class {} }, undefined, 'option "handler" must be a function'],
  [{ handler: 1 }, undefined, 'option "handler" must be a function'],
  [{ handler: 1 }, () => {}, 'option "handler" must be a function, received 1'],
];

for (const [options, handler, message] of noHandler) {
  Deno.test(`serve() refuses ${Deno.inspect(options)} with ${Deno.inspect(handler)}`, () => {
    assertThrows(
      () => serve(options as ListenOptions, handler as () => void),
      TypeError,
      message,
    );
  });
}

Deno.test("listen() takes the edges of its ranges", async () => {
  const listener = listen({
    hostname: "127.0.0.1",
    port: 0,
    tcpBacklog: 1,
    reusePort: false,
    maxRequestBytes: 0,
    deadline: 1,
    idleTimeout: 1,
    lingerTimeout: 0,
    streaming: false,
  });
  await listener.shutdown();
});

Deno.test("listen() binds nothing if an option is wrong", () => {
  const { port } = listenOnce();
  assertThrows(
    () => listen({ hostname: "127.0.0.1", port, deadline: 0 }),
    RangeError,
  );
  // Still free.
  Deno.listen({ hostname: "127.0.0.1", port }).close();
});

function listenOnce(): Deno.NetAddr {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr;
}

testOnLinux("listen() takes reusePort where Deno does", async () => {
  const flags = ["--no-config", "--unstable-net", "-N"];
  const file = new URL("testdata/reuse_port.ts", import.meta.url).href;
  const { code, stdout } = await runDeno("run", ...flags, file);
  assertEquals(stdout, "all served\n");
  assertEquals(code, 0);
});
