// What the compiler has to say of uses of the API: checked, never run.

import { metrics } from "../metrics/mod.ts";
import {
  type HandlerModule,
  listen,
  type ListenOptions,
  type Reply,
  request,
  serve,
  type ServeOptions,
  type TcpOptions,
  TimeoutError,
  type UnixOptions,
} from "../mod.ts";

export function addressesAreKnown(): void {
  listen().addr.port satisfies number;
  listen({ port: 0 }).addr.hostname satisfies string;
  listen({ path: "x" }).addr.path satisfies string;
  listen({ listener: Deno.listen({ port: 0 }) }).addr.port satisfies number;
  const options = { path: "x", deadline: 5 };
  listen(options).addr.path satisfies string;
  listen({ allow: ({ hostname }) => hostname === "127.0.0.1" });
  serve((conn) => conn.remoteAddr.hostname);
  serve({ path: "x" }, (conn) => conn.remoteAddr.path);
  serve({ path: "x", handler: (conn) => conn.localAddr.path });
  serve({ onExchange: ({ remoteAddr }) => remoteAddr.port }, () => {});
}

export function metricsSuitEveryKindOfAddress(): void {
  const { callbacks, text } = metrics();
  const tcp = serve(
    { ...callbacks, port: 0 },
    ({ remoteAddr }) => `${remoteAddr.port satisfies number}`,
  );
  tcp.addr.port satisfies number;
  listen({ ...callbacks, path: "x" }).addr.path satisfies string;
  text(tcp) satisfies string;
}

export function proxiesHaveClientsOnTcp(): void {
  serve({ proxyProtocol: true }, ({ remoteAddr }) => remoteAddr.hostname);
  serve({ path: "x", proxyProtocol: true }, ({ remoteAddr, peerAddr }) => {
    peerAddr satisfies Deno.NetAddr | Deno.UnixAddr;
    return remoteAddr.transport === "tcp" ? remoteAddr.hostname : "";
  });
  serve({ path: "x", proxyProtocol: false }, ({ peerAddr }) => peerAddr.path);
  serve({ path: "x", proxyProtocol: true }, (conn) => {
    // @ts-expect-error A client on TCP has none.
    return conn.remoteAddr.path;
  });
  const listener = Deno.listen({ transport: "unix", path: "x" });
  serve({ listener, proxyProtocol: true }, ({ remoteAddr }) => {
    // @ts-expect-error Nor has it one where the listener was there before.
    return remoteAddr.path;
  });
  listen({
    listener,
    proxyProtocol: true,
    // @ts-expect-error Nor do callbacks see one.
    onExchange: ({ remoteAddr }) => remoteAddr.path,
  });
  serve({ listener, proxyProtocol: false }, ({ peerAddr }) => peerAddr.path);
  serve(
    { listener: Deno.listen({ port: 0 }), proxyProtocol: true },
    ({ remoteAddr }) => remoteAddr.hostname,
  ).addr.port satisfies number;
}

export function optionsAreOfOneType(
  listening: ListenOptions,
  tcp: TcpOptions,
  unix: UnixOptions,
): void {
  listen(tcp).addr.port satisfies number;
  listen(unix).addr.path satisfies string;
  listen(listening).addr satisfies Deno.NetAddr | Deno.UnixAddr;
  ({ port: 0, onExchange: ({ id }) => id }) satisfies ListenOptions;
  ({
    path: "x",
    onExchange: ({ remoteAddr }) => remoteAddr.transport,
  }) satisfies ListenOptions;
  // @ts-expect-error It listens here or there.
  ({ path: "x", port: 0 }) satisfies ListenOptions;
  // @ts-expect-error Only a Unix socket has a mode.
  ({ port: 0, mode: 0o600 }) satisfies ListenOptions;
}

export function placesExcludeEachOther(): void {
  // @ts-expect-error A Unix socket has no port.
  listen({ path: "x", port: 0 });
  // @ts-expect-error A listener that is there has its port.
  listen({ listener: Deno.listen({ port: 0 }), port: 0 });
  // @ts-expect-error It listens here or there.
  serve({ listener: Deno.listen({ port: 0 }), path: "x" }, () => {});
}

export function optionsMayComeFromElsewhere(
  listening: ListenOptions,
  serving: ServeOptions,
): void {
  listen(listening);
  serve(listening, () => "x");
  serve(serving, () => "x");
  serve({ ...serving, handler: () => "x" });
}

export function callbacksKnowTheAddress(): void {
  const onExchange = () => {};
  listen({ path: "x", allow: ({ path }) => path !== "" });
  listen({ path: "x", onExchange: ({ localAddr }) => localAddr.path });
  listen({ onRequest: ({ remoteAddr }) => remoteAddr.port, onExchange });
  listen({
    listener: Deno.listen({ transport: "unix", path: "x" }),
    allow: ({ path }) => path !== "",
  }).addr.path satisfies string;
  serve({ path: "x", onListen: ({ path }) => path }, ({ localAddr }) => {
    localAddr.path satisfies string;
  });
  serve(
    {
      listener: Deno.listen({ port: 0 }),
      onError: (_, { remoteAddr }) => remoteAddr.hostname,
    },
    async ({ remoteAddr }) => await Promise.resolve(remoteAddr.hostname),
  ).addr.port satisfies number;
  serve({
    port: 0,
    onExchange: ({ remoteAddr }) => remoteAddr.port,
    handler: ({ remoteAddr }) => remoteAddr.hostname,
  }).addr.port satisfies number;
  // @ts-expect-error On TCP there is no path.
  listen({ allow: ({ path }) => path !== "" });
  // @ts-expect-error Nor has its address one.
  serve({ port: 0 }, () => "x").addr.path;
  // @ts-expect-error A Unix socket has no port.
  serve({ path: "x" }, () => "x").addr.port;
}

export function optionsMustExist(): void {
  // @ts-expect-error It is mistyped.
  listen({ prot: 80 });
  // @ts-expect-error Only a Unix socket has one.
  listen({ mode: 0o600 });
}

export function modulesMayBeOfTwoKinds(): void {
  (async (conn) => await conn.bytes()) satisfies HandlerModule;
  ({
    port: 9000,
    onExchange: ({ id }) => console.log(id),
    handler: async (conn, server) => {
      if (await conn.text() === "stop") server.shutdown();
      return "ok";
    },
  }) satisfies HandlerModule;
  // @ts-expect-error There is no such option.
  ({ prot: 9000, handler: () => "x" }) satisfies HandlerModule;
}

export function handlersMayBeOfManyKinds(): void {
  serve(async (conn) => await conn.bytes());
  serve(async (conn) => {
    await conn.respond("x");
  });
  serve((conn) => (conn.id > 1 ? "x" : undefined));
  serve(function* () {
    yield "x";
  });
  serve(async function* (conn) {
    yield* conn.readable;
  });
  // @ts-expect-error A number is no body.
  serve(() => 42);
}

export function serverIsAnHttpServer(): Deno.HttpServer<Deno.NetAddr> {
  return serve(() => "x");
}

export function requestsGoToOnePlace(): void {
  request({ port: 1 }) satisfies Promise<Reply>;
  request(listen({ port: 0 }).addr);
  request({ ...listen({ path: "x" }).addr, timeout: 5 }, "body");
  request({ port: 1, tls: true, caCerts: [] });
  // @ts-expect-error It goes here or there.
  request({ path: "x", port: 1 });
  // @ts-expect-error Where to is missing.
  request({ hostname: "localhost" });
  // @ts-expect-error Without TLS they would be of no use.
  request({ port: 1, caCerts: [] });
}

export function handlersMayReturnWhatRespondResolvesTo(): void {
  serve((conn) => conn.respond("x"));
  serve({ path: "x", onError: (_, conn) => conn.respond("sorry") }, () => {});
  // @ts-expect-error A number is no response.
  serve(() => 5);
}

export function timeoutsAreThoseOfThePlatform(): void {
  const error = new TimeoutError("timeout", 5);
  error satisfies DOMException;
  error.option satisfies "deadline" | "idleTimeout" | "timeout";
}

export function placesMayBeChosenLater(
  place: { port: number } | { path: string },
  proxyProtocol: boolean,
): void {
  listen({ ...place, proxyProtocol, onExchange: ({ outcome }) => outcome });
  serve(
    { ...place, onExchange: ({ remoteAddr }) => remoteAddr.transport },
    ({ remoteAddr }) => remoteAddr.transport,
  ).addr satisfies Deno.NetAddr | Deno.UnixAddr;
  // @ts-expect-error Nobody answers.
  serve({ port: 0 });
}
