// Options are read once, by name, wherever they come from.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type Conn,
  type ExchangeRecord,
  listen,
  ReplyTooLargeError,
  request,
  type RequestOptions,
  serve,
  type ServeCallbacks,
  type TcpOptions,
  type UnixOptions,
} from "../mod.ts";
import { metrics } from "../metrics/mod.ts";
import { ask, begin, freePort, local, readText } from "./sockets.ts";
import { temporaryFolder, testUnix } from "./support.ts";
import { caCerts, cert, connectTls, key } from "./tls.ts";

/** Where options may come from. */
const sources: Record<string, <Options extends object>(o: Options) => Options> =
  {
    "an object": (options) => options,
    "a prototype": (options) => Object.create(options),
    "the getters of a class": (options) => withGetters(class {}, options),
    "no prototype": (options) => Object.assign(Object.create(null), options),
    "a frozen object": (options) => Object.freeze({ ...options }),
    "a proxy": (options) => new Proxy(options, {}),
  };

function withGetters<Options extends object>(
  Class: new () => object,
  options: Options,
): Options {
  for (const [name, value] of Object.entries(options)) {
    Object.defineProperty(Class.prototype, name, { get: () => value });
  }
  return new Class() as Options;
}

for (const [source, from] of Object.entries(sources)) {
  Deno.test(`listen() heeds options of ${source}`, async () => {
    const denied = Promise.withResolvers<ExchangeRecord>();
    const listener = listen(from<TcpOptions>({
      ...local,
      allow: () => false,
      onExchange: denied.resolve,
    }));
    assertEquals(listener.addr.hostname, local.hostname);
    const serving = (async () => {
      for await (const conn of listener) await conn.respond("let in");
    })();
    assertEquals(await ask(listener.addr, "me"), "");
    assertEquals((await denied.promise).outcome, "denied");
    await listener.shutdown();
    await serving;
  });

  Deno.test(`serve() and request() speak TLS by options of ${source}`, async () => {
    await using server = serve(
      from<TcpOptions & ServeCallbacks<Deno.NetAddr>>({
        ...local,
        cert,
        key,
      }),
      (conn) => conn.text(),
    );
    const client = await connectTls(server.addr.port);
    await client.closeWrite();
    assertEquals(await readText(client), "");
    const { port } = server.addr;
    const reply = await request(
      from<RequestOptions>({ hostname: "localhost", port, tls: true, caCerts }),
      "in secret",
    );
    assertEquals(await reply.text(), "in secret");
  });

  Deno.test(`serve() takes its handler, request() its limits, until its silence from ${source}`, async () => {
    await using server = serve(from({
      ...local,
      until: from({ idle: 1 }),
      handler: (conn: Conn) => conn.text(),
    }));
    const client = await begin(server.addr, "no end");
    assertEquals(await readText(client), "no end");
    const { port } = server.addr;
    const options = from<RequestOptions>({ port, maxReplyBytes: 3 });
    await assertRejects(
      async () => (await request(options, "four")).text(),
      ReplyTooLargeError,
    );
  });
}

testUnix("serve() listens at a path that is inherited", async (folder) => {
  const path = `${folder}/inherited.sock`;
  const options: UnixOptions = Object.create({ path, mode: 0o600 });
  await using server = serve(options, () => "hi");
  assertEquals(server.addr, { transport: "unix", path });
  assertEquals(await ask(server.addr), "hi");
});

Deno.test("serve() calls the methods of an object as methods", async () => {
  class Service {
    readonly hostname = local.hostname;
    readonly #calls: string[] = [];
    get port() {
      return this.#calls.length;
    }
    get calls() {
      return this.#calls;
    }
    get maxRequestBytes() {
      return 5;
    }
    onListen() {
      this.#calls.push("onListen");
    }
    allow() {
      this.#calls.push("allow");
      return true;
    }
    onRequest() {
      this.#calls.push("onRequest");
    }
    onRefuse() {
      this.#calls.push("onRefuse");
      return "too much";
    }
    onExchange() {
      this.#calls.push("onExchange");
    }
    onError() {
      this.#calls.push("onError");
      return "sorry";
    }
    handler(): string {
      this.#calls.push("handler");
      throw new Error("always");
    }
  }
  const service = new Service();
  const server = serve(service);
  assertEquals(await ask(server.addr, "five!"), "sorry");
  assertEquals(await ask(server.addr, "six!!!"), "too much");
  await server.shutdown();
  assertEquals(
    service.calls.join(" "),
    [
      "onListen",
      "allow onRequest handler onError onExchange",
      "allow onRefuse onExchange",
    ].join(" "),
  );
});

/** Options that count how often each of them is read. */
function counted<Options extends object>(options: Options) {
  const reads = new Map<PropertyKey, number>();
  const proxy = new Proxy(options, {
    get(target, name) {
      reads.set(name, (reads.get(name) ?? 0) + 1);
      return Reflect.get(target, name);
    },
  });
  const check = (...names: string[]) => {
    for (const name of names) assertEquals(reads.get(name), 1, name);
    for (const [name, count] of reads) assertEquals(count, 1, String(name));
  };
  return { proxy, check };
}

Deno.test("serve() and setCertificate() read each option once", async () => {
  const until = counted({ idle: 5 });
  const options = counted({
    ...local,
    cert,
    key,
    deadline: 9_000,
    lingerTimeout: 0,
    until: until.proxy,
    signal: new AbortController().signal,
    allow: () => true,
    onExchange: () => {},
    onError: () => {},
    handler: (conn: Conn) => conn.text(),
  });
  await using server = serve(options.proxy);
  const client = await connectTls(server.addr.port);
  await client.closeWrite();
  await readText(client);
  const certificate = counted({ cert, key });
  await assertRejects(
    () => server.setCertificate(certificate.proxy),
    TypeError,
    "reusePort",
  );
  options.check("hostname", "port", "cert", "deadline", "allow", "handler");
  until.check("idle");
  certificate.check("cert", "key");
});

Deno.test("listen() reads each option once", async () => {
  const options = counted<TcpOptions>({ ...local, readAhead: 1 });
  await listen(options.proxy).shutdown();
  options.check("hostname", "port", "readAhead", "onExchange", "listener");
});

Deno.test("request() and metrics() read each option once", async () => {
  await using server = serve(local, () => "hi");
  const { port } = server.addr;
  const options = counted<RequestOptions>({ port, timeout: 9_000 });
  assertEquals(await (await request(options.proxy)).text(), "hi");
  options.check("port", "timeout", "tls", "signal", "path", "transport");
  const buckets = counted({ buckets: [1, 2] });
  metrics(buckets.proxy);
  buckets.check("buckets");
});

Deno.test("serve(), request() and metrics() keep copies of what may change", async () => {
  const until = new TextEncoder().encode("\n");
  await using server = serve({ ...local, until }, (conn) => conn.text());
  until[0] = 0;
  const client = await begin(server.addr, "a line\nand more");
  assertEquals(await readText(client), "a line\n");
  const buckets = [1, 2];
  const numbers = metrics({ buckets });
  buckets[0] = 7;
  const text = numbers.text();
  assert(text.includes('le="1"') && !text.includes('le="7"'), text);
});

Deno.test("serve(), listen(), request() and metrics() throw what a getter throws, and bind nothing", async () => {
  const fault = new Error("not today");
  const port = freePort();
  const options = {
    hostname: local.hostname,
    port,
    get signal(): AbortSignal {
      throw fault;
    },
  };
  const until = {
    get idle(): number {
      throw fault;
    },
  };
  for (
    const call of [
      () => listen(options),
      () => serve(options, () => {}),
      () => serve({ ...local, port, until }, () => {}),
      () =>
        metrics({
          get buckets(): number[] {
            throw fault;
          },
        }),
    ]
  ) {
    assertStrictEquals(assertThrows(call), fault);
  }
  assertStrictEquals(await assertRejects(() => request(options)), fault);
  Deno.listen({ hostname: local.hostname, port }).close();
});

const unknown: [call: (options: object) => unknown, object, string][] = [
  [listen, { prot: 1 }, 'Cannot listen: there is no option "prot". Did you'],
  [listen, { prot: undefined }, 'no option "prot". Did you mean "port"?'],
  [listen, { idletimeout: 1 }, 'Did you mean "idleTimeout"?'],
  [listen, { PORT: 1 }, 'no option "PORT". Did you mean "port"?'],
  [listen, { host: "::1" }, 'no option "host". Did you mean "hostname"?'],
  [listen, { backlog: 5 }, 'no option "backlog". Did you mean "tcpBacklog"?'],
  [listen, { keyFile: "a" }, 'no option "keyFile". Did you mean "key"?'],
  [
    listen,
    { timeout: 5 },
    'no option "timeout". Did you mean "idleTimeout" or "deadline"?',
  ],
  [
    listen,
    Object.create({ prot: 1 }),
    'no option "prot". Did you mean "port"?',
  ],
  [listen, { onListen() {} }, 'there is no option "onListen"'],
  [listen, { until: { idel: 1 } }, '"until.idel". Did you mean "until.idle"?'],
  [serveNothing, { alow: () => false }, 'Cannot serve: there is no option "al'],
  [serveNothing, { colour: "red" }, 'there is no option "colour"'],
  [
    serveNothing,
    new (class {
      served = 0;
    })(),
    'no option "served". Name it #served if it is a member of your own',
  ],
  [
    serveNothing,
    new (class {
      prot = 0;
    })(),
    'no option "prot". Did you mean "port"?',
  ],
  [metrics, { bucket: [1] }, 'Cannot count: there is no option "bucket". Did'],
];

Deno.test("listen() and serve() tell a misspelt member of a class, and leave others alone", async () => {
  class Getter {
    get prot(): number {
      throw new Error("it is never called");
    }
  }
  class Method {
    onExchnage() {}
  }
  class Derived extends Getter {
    port = 0;
    hostname = local.hostname;
  }
  const prot =
    'no option "prot". Did you mean "port"? Otherwise name it #prot if';
  assertThrows(() => listen(new Getter() as never), TypeError, prot);
  assertThrows(
    () => serve(new Method() as never, () => {}),
    TypeError,
    'no option "onExchnage". Did you mean "onExchange"?',
  );
  const prots: unique symbol = Symbol("prot");
  class Service {
    hostname = local.hostname;
    port = 0;
    [prots] = 1;
    // Near to an option that is a number, to one that is given, and to none.
    node() {}
    ports() {}
    colour() {}
    get size() {
      return 0;
    }
    handle(conn: Conn) {
      return conn.text();
    }
  }
  const service = new Service();
  await using server = serve(service, (conn) => service.handle(conn));
  assertEquals(await (await request(server.addr, "hello")).text(), "hello");
  await using other = listen(new Derived());
  assertEquals(other.addr.hostname, local.hostname);
  assertThrows(
    () => serve(service as never),
    TypeError,
    'no option "handle". Did you mean "handler"?',
  );
});

function serveNothing(options: object): void {
  serve(options, () => {});
}

for (const [call, options, message] of unknown) {
  Deno.test(`${call.name}() knows no option ${Object.keys(options)}: ${message}`, () => {
    assertThrows(() => call(options), TypeError, message);
  });
}

Deno.test("request() and setCertificate() know no option of another name", async () => {
  await assertRejects(
    () => request({ port: 1, timout: 5 } as RequestOptions),
    TypeError,
    'Cannot request: there is no option "timout". Did you mean "timeout"?',
  );
  await using server = serve({ ...local, cert, key }, () => {});
  await assertRejects(
    () => server.setCertificate({ cert, key, ca: "" } as never),
    TypeError,
    'Cannot set the certificate: there is no option "ca"',
  );
});

Deno.test("listen() and request() take the address of a server", async () => {
  const former = serve(local, () => {});
  const { addr } = former;
  await former.shutdown();
  await using server = serve(addr, (conn) => conn.text());
  assertEquals(server.addr.port, addr.port);
  assertEquals(await (await request(server.addr, "hello")).text(), "hello");
});

testUnix(
  "listen() and request() take the address of a Unix socket",
  async (folder) => {
    const path = `${folder}/again.sock`;
    const former = serve({ path }, () => {});
    const { addr } = former;
    await former.shutdown();
    await using server = serve(addr, (conn) => conn.text());
    assertEquals(await (await request(server.addr, "hello")).text(), "hello");
  },
);

for (const readAhead of [0, 2]) {
  Deno.test(`listen() and serve() tell of a listener that is closed, reading ${readAhead} ahead`, async () => {
    const message = 'Cannot listen: option "listener" is closed';
    const open = [
      () => Deno.listen(local),
      () => Deno.listenTls({ ...local, cert, key }),
    ];
    for (const listener of open.map((open) => open())) {
      listener.close();
      const { finished } = serve({ listener, readAhead }, () => {});
      await assertRejects(() => finished, TypeError, message);
      const connections = listen({ listener, readAhead });
      await assertRejects(
        () => connections[Symbol.asyncIterator]().next(),
        TypeError,
        message,
      );
    }
  });
}

Deno.test("serve() ends quietly when its listener is closed later on", async () => {
  const listener = Deno.listen(local);
  const server = serve({ listener }, () => "served");
  assertEquals(await ask(listener.addr as Deno.NetAddr), "served");
  listener.close();
  await server.finished;
});

Deno.test("serve() takes a module as options", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/options.ts`;
  await Deno.writeTextFile(
    file,
    'export const hostname = "127.0.0.1", port = 0, handler = () => "hi";',
  );
  await using server = serve(await import(`file://${file}`));
  assertEquals(await ask(server.addr as Deno.NetAddr), "hi");
});
