import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import net from "node:net";
import tls from "node:tls";
import {
  type Handler,
  ReplyTooLargeError,
  request,
  type RequestBody,
  type RequestOptions,
  serve,
} from "../mod.ts";
import { encode, pattern } from "./bytes.ts";
import { Peer } from "./peer.ts";
import { spawn } from "./programs.ts";
import { connect, local } from "./sockets.ts";
import {
  serveLocally,
  type ServeTcpOptions,
  temporaryFolder,
  testOnLinux,
  testUnix,
  turnOfIo,
} from "./support.ts";
import { caCerts, cert, forged, key } from "./tls.ts";

const ignore = Deno.build.os === "windows";
const linuxOnly = Deno.build.os !== "linux";
const large = pattern(8 * 1024 ** 2);

/** Text in chunks that come one by one, and whether the stream was cancelled. */
function stalling(first = "first") {
  const cancelled = Promise.withResolvers<unknown>();
  const body = new ReadableStream<string>({
    start: (controller) => controller.enqueue(first),
    cancel: cancelled.resolve,
  });
  return { body, cancelled: cancelled.promise };
}

/** A server of each transport, and what a client has to say to reach it. */
async function withEach(
  t: Deno.TestContext,
  options: ServeTcpOptions,
  handler: Handler,
  act: (where: RequestOptions) => Promise<void>,
): Promise<void> {
  await t.step("TCP", async () => {
    await using server = serve({ ...local, ...options }, handler);
    await act(server.addr);
  });
  await t.step("TLS", async () => {
    const server = serve({ ...local, ...options, cert, key }, handler);
    await act(overTls(server.addr.port));
    await server.shutdown();
  });
  await t.step({
    name: "Unix",
    ignore,
    async fn() {
      await using folder = await temporaryFolder();
      const { maxRequestBytes = 16_777_216, streaming = false } = options;
      const path = `${folder.path}/test.sock`;
      const server = serve({ path, maxRequestBytes, streaming }, handler);
      await act(server.addr);
      await server.shutdown();
    },
  });
}

/** Where a server of ours is that speaks TLS. */
function overTls(port: number) {
  return { hostname: "localhost", port, tls: true, caCerts } as const;
}

// What can be asked

const wrong: [unknown, new () => Error, string][] = [
  [null, TypeError, "the options must be an object, received null"],
  [{}, TypeError, 'no place to connect to. Give a "port" or the "path"'],
  [{ hostname: "localhost" }, TypeError, "no place to connect to"],
  [{ port: "80" }, TypeError, 'option "port" must be a number, received "80"'],
  [{ port: 0 }, RangeError, 'option "port" must be a whole number from 1 to'],
  [[], TypeError, "the options must be an object, received []"],
  [new Map([["port", 80]]), TypeError, "the options must be an object"],
  [new URL("http://localhost:80"), TypeError, 'option "port" must be a numb'],
  [{ port: 1, hostname: "" }, TypeError, 'option "hostname" must be a name'],
  [
    { port: 1, tls: true, caCerts: new Array(1) },
    TypeError,
    'option "caCerts" must be an array of strings',
  ],
  [
    { port: 1, tls: true, alpnProtocols: [""] },
    TypeError,
    'option "alpnProtocols" must be names of 1 to 255 bytes',
  ],
  [
    { port: 1, tls: true, alpnProtocols: ["x".repeat(256)] },
    TypeError,
    'option "alpnProtocols" must be names of 1 to 255 bytes',
  ],
  [{ port: 65_536 }, RangeError, "from 1 to 65535, received 65536"],
  [{ port: NaN }, RangeError, "received NaN"],
  [{ port: 1, hostname: 1 }, TypeError, 'option "hostname" must be a string'],
  [{ port: 1, hostname: "" }, TypeError, "must be a name or an address"],
  [{ port: 1, transport: "udp" }, TypeError, '"transport" must be "tcp" here'],
  [
    { path: "x", transport: "tcp" },
    TypeError,
    '"transport" must be "unix" here',
  ],
  [{ path: "x", port: 1 }, TypeError, '"path" and "port" exclude each other'],
  [{ path: "x", tls: true }, TypeError, '"path" and "tls" exclude each other'],
  [{ path: "" }, TypeError, 'option "path" must be the path of a socket'],
  [{ path: "a\0b" }, TypeError, 'option "path" must be the path of a socket'],
  [{ path: 1 }, TypeError, 'option "path" must be a string'],
  [{ port: 1, tls: "yes" }, TypeError, 'option "tls" must be a boolean'],
  [{ port: 1, caCerts }, TypeError, 'option "caCerts" needs "tls: true"'],
  [{ port: 1, tls: true, caCerts: "x" }, TypeError, "an array of strings"],
  [{ port: 1, tls: true, caCerts: ["x"] }, TypeError, "holds no certificate"],
  [{ port: 1, tls: true, cert }, TypeError, 'option "cert" needs "key"'],
  [{ port: 1, tls: true, key }, TypeError, 'option "key" needs "cert"'],
  [{ port: 1, timeout: 0 }, RangeError, 'option "timeout" must be at least 1'],
  [{ port: 1, timeout: NaN }, RangeError, "received NaN"],
  [{ port: 1, timeout: "1s" }, TypeError, '"timeout" must be a number'],
  [{ port: 1, maxReplyBytes: -1 }, RangeError, '"maxReplyBytes"'],
  [{ port: 1, maxReplyBytes: 1.5 }, RangeError, "or Infinity, received 1.5"],
  [{ port: 1, signal: {} }, TypeError, '"signal" must be an AbortSignal'],
  [
    { port: 1, autoSelectFamily: 1 },
    TypeError,
    '"autoSelectFamily" must be a boolean',
  ],
];

for (const [options, ErrorClass, message] of wrong) {
  Deno.test(`request() refuses ${Deno.inspect(options, { depth: 1, strAbbreviateSize: 20 })}`, async () => {
    // It would be refused by the port as well, with another error.
    await assertRejects(
      () => request(options as RequestOptions),
      ErrorClass,
      message,
    );
  });
}

Deno.test("request() refuses a body that is none before it connects", async () => {
  const bodies: [unknown, string][] = [
    [5, "Cannot send 5 as a body"],
    [{}, "Cannot send an Object as a body"],
    [Promise.resolve(""), "Await it first."],
    [new Response(""), "Send `response.body`"],
  ];
  for (const [body, message] of bodies) {
    await assertRejects(
      () => request({ port: 1 }, body as RequestBody),
      TypeError,
      message,
    );
  }
});

Deno.test("request() takes all kinds of bodies", async (t) => {
  await using server = serve(local, (conn) => conn.bytes());
  const bodies: [string, () => RequestBody, string][] = [
    ["nothing", () => undefined, ""],
    ["null", () => null, ""],
    ["text", () => "häß", "häß"],
    ["empty text", () => "", ""],
    ["bytes", () => encode("bytes"), "bytes"],
    ["a buffer", () => encode("buffer").buffer, "buffer"],
    ["a view", () => new DataView(encode("view").buffer, 1, 2), "ie"],
    ["a Blob", () => new Blob(["a", "blob"]), "ablob"],
    ["a stream", () => ReadableStream.from(["a", "stream"]), "astream"],
    ["an iterable", () => ["an", "", encode("array")], "anarray"],
    ["an async iterable", () =>
      (async function* () {
        yield "one";
        yield await Promise.resolve("two");
      })(), "onetwo"],
  ];
  for (const [name, body, expected] of bodies) {
    await t.step(name, async () => {
      const reply = await request(server.addr, body());
      assertEquals(await reply.text(), expected);
      assert(await reply.sent);
    });
  }
});

// Both ways

Deno.test("request() brings 8 MiB there and back", async (t) => {
  await withEach(t, {}, (conn) => conn.bytes(), async (where) => {
    const reply = await request(where, large);
    assertEquals(await reply.bytes(), large);
    assert(await reply.sent);
  });
});

testUnix(
  "request() rejects where a connection takes nothing",
  async (folder) => {
    const server = serve({ path: `${folder}/test.sock` }, () => {});
    const { connect } = Deno;
    try {
      Deno.connect = (async (options: Deno.UnixConnectOptions) => {
        const socket = await connect(options);
        socket.write = () => Promise.resolve(0);
        return socket;
      }) as typeof connect;
      await assertRejects(
        () => request(server.addr, "request"),
        TypeError,
        "detached",
      );
    } finally {
      Deno.connect = connect;
    }
    await server.shutdown();
  },
);

Deno.test("request() reads while it still writes", async (t) => {
  const handler: Handler = (conn) => conn.readable;
  await withEach(t, { streaming: true }, handler, async (where) => {
    const pieces = function* () {
      for (let i = 0; i < 8; i++) yield large.subarray(i << 20, (i + 1) << 20);
    };
    const reply = await request(where, pieces());
    assertEquals(await reply.bytes(), large);
    assert(await reply.sent);
  });
});

Deno.test("request() resolves as soon as the reply begins", async () => {
  const { server } = serveLocally({ streaming: true }, (conn) => conn.readable);
  const begun = Promise.withResolvers<void>();
  const reply = await request(
    server.addr,
    (async function* () {
      yield "first";
      await begun.promise;
      yield ", second";
    })(),
  );
  begun.resolve();
  assertEquals(await reply.text(), "first, second");
  await server.shutdown();
});

Deno.test("request() ends TLS on its side with a close_notify", async () => {
  const { server, records } = serveLocally({ cert, key });
  const reply = await request(overTls(server.addr.port), "hello");
  assertEquals(await reply.text(), "hello");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

Deno.test("request() shows its own certificate where it is asked for", async () => {
  const subject = Promise.withResolvers<string | undefined>();
  const options = { cert, key, ca: caCerts, requestCert: true };
  const context = tls.createSecureContext(options);
  await using peer = await Peer.of((socket) => {
    const secure = new tls.TLSSocket(socket, {
      isServer: true,
      secureContext: context,
      requestCert: true,
      rejectUnauthorized: false,
    });
    secure.on("error", () => {});
    secure.once("secure", () => {
      const certificate = secure.getPeerCertificate();
      subject.resolve(certificate?.raw ? "shown" : "none");
      secure.end("seen");
    });
  });
  const reply = await request({ ...overTls(peer.port), cert, key });
  assertEquals(await reply.text(), "seen");
  assertEquals(await subject.promise, "shown");
});

Deno.test({
  name: "request() takes another name's certificate only if told to",
  // Others have but one loopback address.
  ignore: linuxOnly,
  async fn() {
    const { server } = serveLocally({ hostname: "0.0.0.0", cert, key });
    // It is made out to "localhost" and "127.0.0.1".
    const { port } = server.addr;
    const options = { port, tls: true, caCerts } as const;
    await assertRejects(
      () => request({ ...options, hostname: "127.0.0.2" }),
      Deno.errors.InvalidData,
      "not valid for name",
    );
    const reply = await request({
      ...options,
      hostname: "127.0.0.2",
      unsafelyDisableHostnameVerification: true,
    }, "hello");
    assertEquals(await reply.text(), "hello");
    await server.shutdown();
  },
});

/** A server of `node:tls`, which also shows certificates that Deno takes for none. */
function tlsPeer(options: tls.SecureContextOptions): Promise<Peer> {
  const secureContext = tls.createSecureContext(options);
  return Peer.of((socket) => {
    const secure = new tls.TLSSocket(socket, { isServer: true, secureContext });
    secure.on("error", () => {});
    secure.resume();
  });
}

for (const unsafelyDisableHostnameVerification of [false, true]) {
  const names = unsafelyDisableHostnameVerification ? "any name" : "its name";
  Deno.test(`request() takes no certificate that its authority has not signed (for ${names})`, async () => {
    await using peer = await tlsPeer(forged);
    await assertRejects(
      () =>
        request({ ...overTls(peer.port), unsafelyDisableHostnameVerification }),
      Deno.errors.InvalidData,
      "not signed by an authority that is trusted",
    );
  });
}

Deno.test("request() refuses a certificate of its own that cannot be used", async () => {
  const wrong = [
    { cert, key: forged.key, message: "`key` is not the key of `cert`" },
    { cert: "x", key, message: "cannot be read as PEM" },
    { cert, key: "x", message: "cannot be read as PEM" },
  ];
  for (const { message, ...pair } of wrong) {
    await assertRejects(
      () => request({ ...overTls(1), ...pair }),
      Deno.errors.InvalidData,
      message,
    );
  }
});

Deno.test("request() keeps backpressure on the body", async () => {
  let chunks = 0;
  await using peer = await Peer.of((socket) => {
    socket.pause();
    socket.end("enough", () => socket.destroy());
  });
  const reply = await request(
    { port: peer.port },
    (function* () {
      for (; chunks < 1024; chunks++) yield new Uint8Array(65_536);
    })(),
  );
  assertEquals(await reply.text(), "enough");
  assertFalse(await reply.sent);
  assertLess(chunks, 1024);
});

Deno.test("Reply keeps backpressure on the server", async (t) => {
  const size = 256 * 1024 ** 2;
  let sent = 0;
  const handler: Handler = async function* () {
    const chunk = new Uint8Array(1024 ** 2);
    for (sent = 0; sent < size; sent += chunk.length) yield chunk;
  };
  for (const isTls of [false, true]) {
    await t.step(isTls ? "TLS" : "TCP", async () => {
      const { server, records } = serveLocally(
        isTls ? { cert, key } : {},
        handler,
      );
      const where = isTls ? overTls(server.addr.port) : server.addr;
      const reply = await request({ ...where, maxReplyBytes: Infinity });
      const reader = reply.readable.getReader();
      await reader.read();
      let before;
      do {
        before = sent;
        await turnOfIo();
      } while (sent > before);
      await reader.cancel();
      const record = await records.nth(1);
      assertEquals(record.outcome, "reset");
      assertLess(record.bytesWritten, size);
      await server.shutdown();
    });
  }
});

// The reply

Deno.test("Reply is read as a Fetch body is", async () => {
  await using server = serve(local, (conn) => conn.bytes());
  const ask = () => request(server.addr, '\ufeff{"a":1}');
  assertEquals(await (await ask()).text(), '{"a":1}');
  assertEquals(await (await ask()).json(), { a: 1 });
  assertEquals(await (await ask()).bytes(), encode('\ufeff{"a":1}'));
  const buffer = await (await ask()).arrayBuffer();
  assertEquals(new Uint8Array(buffer), encode('\ufeff{"a":1}'));
  const streamed = await Array.fromAsync((await ask()).readable);
  assertEquals(streamed, [encode('\ufeff{"a":1}')]);
  const broken = await request(server.addr, "{");
  await assertRejects(() => broken.json(), SyntaxError);
});

Deno.test("Reply cannot be read twice", async () => {
  await using server = serve(local, (conn) => conn.bytes());
  const reply = await request(server.addr, "once");
  assertFalse(reply.bodyUsed);
  assertEquals(await reply.text(), "once");
  assert(reply.bodyUsed);
  await assertRejects(() => reply.text(), TypeError, "twice");
  const locked = await request(server.addr, "locked");
  const reader = locked.readable.getReader();
  await assertRejects(() => locked.bytes(), TypeError, "twice");
  await reader.cancel();
});

Deno.test("Reply.readable takes buffers of its reader", async () => {
  await using server = serve(local, (conn) => conn.bytes());
  for (const text of ["abcdef", ""]) {
    const reply = await request(server.addr, text);
    const reader = reply.readable.getReader({ mode: "byob" });
    let got = "";
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(4));
      if (done) break;
      got += new TextDecoder().decode(value);
    }
    assertEquals(got, text);
  }
});

Deno.test("Reply may be empty", async () => {
  await using server = serve(local, () => {});
  const reply = await request(server.addr, "for nothing");
  assertEquals(await reply.text(), "");
});

Deno.test("request() limits the reply by maxReplyBytes", async () => {
  const { server } = serveLocally();
  const body = pattern(300_000);
  const limited = (maxReplyBytes: number) =>
    request({ ...server.addr, maxReplyBytes }, body);
  assertEquals(await (await limited(300_000)).bytes(), body);
  const error = await assertRejects(
    async () => await (await limited(299_999)).bytes(),
    ReplyTooLargeError,
    "larger than the 299999 bytes allowed",
  );
  assertEquals(error.maxReplyBytes, 299_999);
  await assertRejects(() => limited(0), ReplyTooLargeError);
  await server.shutdown();
});

// Servers that answer before they have read

Deno.test("request() gives a reply that came before the request was taken", async () => {
  // The FIN comes first, and then a reset for what was not read.
  await using peer = await Peer.of((socket) => {
    socket.pause();
    socket.end("no, thanks", () => socket.destroy());
  });
  const reply = await request({ port: peer.port }, large);
  assertEquals(await reply.text(), "no, thanks");
  assertFalse(await reply.sent);
});

Deno.test("request() gives the refusal of a halfclose server", async (t) => {
  const told = "halfclose: too large";
  await t.step("TCP", async () => {
    const { server } = serveLocally({
      maxRequestBytes: 1000,
      onRefuse: () => told,
    });
    const reply = await request(server.addr, large);
    assertEquals(await reply.text(), told);
    await reply.sent;
    await server.shutdown();
  });
  await t.step("TLS", async () => {
    const options = { maxRequestBytes: 1000, onRefuse: () => told, cert, key };
    const { server } = serveLocally(options);
    const reply = await request(overTls(server.addr.port), large);
    assertEquals(await reply.text(), told);
    await reply.sent;
    await server.shutdown();
  });
});

Deno.test("request() goes on sending after the end of the reply", async () => {
  const taken = Promise.withResolvers<number>();
  const replied = Promise.withResolvers<void>();
  await using peer = await Peer.of((socket) => {
    let bytes = 0;
    socket.end("go on");
    // Nothing is taken before the reply is at its end.
    replied.promise.then(() => {
      socket.on("data", (data) => bytes += data.length);
      socket.on("end", () => taken.resolve(bytes));
    });
  });
  const reply = await request({ port: peer.port }, large);
  assertEquals(await reply.text(), "go on");
  replied.resolve();
  await reply[Symbol.asyncDispose]();
  assert(await reply.sent);
  assertEquals(await taken.promise, large.length);
});

// Servers that fail

testOnLinux(
  "request() sends 20 MiB to a server that ends its side at once",
  async () => {
    const large = pattern(20 * 1024 ** 2);
    const listener = Deno.listen(local);
    const served = (async () => {
      using conn = await listener.accept();
      await conn.closeWrite();
      // By now the request waits for somebody to read it.
      await turnOfIo();
      const buffer = new Uint8Array(65_536);
      let bytes = 0;
      for (let read; (read = await conn.read(buffer)) !== null;) bytes += read;
      return bytes;
    })();
    const reply = await request(listener.addr as Deno.NetAddr, large);
    assertEquals(await reply.text(), "");
    assertEquals(await reply.sent, true);
    assertEquals(await served, large.length);
    listener.close();
  },
);

Deno.test("request() never takes a reset for the end of the reply", async () => {
  // The write that is under way may meet the reset before the reading does.
  await using peer = await Peer.of((socket) => {
    socket.once("data", () => {
      socket.pause();
      socket.write(pattern(5000), () => socket.resetAndDestroy());
    });
  });
  for (let i = 0; i < 100; i++) {
    await assertRejects(
      async () => await (await request({ port: peer.port }, large)).bytes(),
      Deno.errors.ConnectionReset,
      "The server reset the connection after",
    );
  }
});

Deno.test("Reply.readable gives what came before a reset", async () => {
  const reset = Promise.withResolvers<void>();
  await using peer = await Peer.of((socket) => {
    socket.write("so far");
    reset.promise.then(() => socket.resetAndDestroy());
  });
  const reply = await request({ port: peer.port }, stalling().body);
  const reader = reply.readable.getReader();
  assertEquals((await reader.read()).value, encode("so far"));
  reset.resolve();
  await assertRejects(
    () => reader.read(),
    Deno.errors.ConnectionReset,
    "after 6 bytes of its reply",
  );
});

Deno.test("request() rejects if the server resets before it replies", async () => {
  await using peer = await Peer.of((socket) => {
    socket.resume();
    socket.on("end", () => socket.resetAndDestroy());
  });
  await assertRejects(
    () => request({ port: peer.port }, "hello"),
    Deno.errors.ConnectionReset,
    "after 0 bytes",
  );
});

Deno.test("request() takes TLS without close_notify for a cut reply", async () => {
  const context = tls.createSecureContext({ cert, key });
  await using peer = await Peer.of((socket) => {
    const options = { isServer: true, secureContext: context };
    const secure = new tls.TLSSocket(socket, options);
    secure.on("error", () => {});
    secure.resume();
    secure.write("half a rep", () => socket.destroySoon());
  });
  const reply = await request(overTls(peer.port));
  await assertRejects(
    () => reply.text(),
    Deno.errors.UnexpectedEof,
    "without a close_notify after 10 bytes",
  );
});

Deno.test("request() says what is wrong with TLS", async (t) => {
  await t.step("a certificate that is not trusted", async () => {
    const { server } = serveLocally({ cert, key });
    const { port } = server.addr;
    const { body, cancelled } = stalling();
    await assertRejects(
      () => request({ hostname: "localhost", port, tls: true }, body),
      Deno.errors.InvalidData,
      `Cannot agree on TLS with localhost:${port}: invalid peer certificate`,
    );
    assertInstanceOf(await cancelled, Deno.errors.InvalidData);
    await server.shutdown();
  });
  await t.step("a server without TLS", async () => {
    await using peer = await Peer.of((socket) => socket.write("220 hello\r\n"));
    await assertRejects(
      () => request({ hostname: "localhost", port: peer.port, tls: true }),
      Deno.errors.InvalidData,
      "Cannot agree on TLS with",
    );
  });
  await t.step("a server that leaves", async () => {
    await using peer = await Peer.of((socket) => socket.destroy());
    await assertRejects(
      () => request({ hostname: "localhost", port: peer.port, tls: true }),
      Error,
      "Cannot agree on TLS with",
    );
  });
  await t.step("a host name that is none", async () => {
    await using peer = await Peer.of(() => {});
    await assertRejects(
      () => request({ hostname: "127.1", port: peer.port, tls: true }),
      Error,
      "Cannot connect to 127.1:",
    );
  });
});

Deno.test("request() says where nobody listens", async () => {
  const listener = Deno.listen(local);
  const { port } = listener.addr;
  listener.close();
  const { body, cancelled } = stalling();
  const error = await assertRejects(
    () => request({ port }, body),
    Deno.errors.ConnectionRefused,
    `Cannot connect to 127.0.0.1:${port}: `,
  );
  assertEquals(await cancelled, error);
});

testUnix(
  "request() says which Unix socket is not there, or has no room",
  async (folder) => {
    const path = `${folder}/none.sock`;
    await assertRejects(
      () => request({ path }),
      Deno.errors.NotFound,
      `Cannot connect to ${path}: `,
    );
    if (Deno.build.os === "linux") await fillAndAsk(`${folder}/full.sock`);
  },
);

/** A Unix socket with a full backlog does not let its clients wait. */
async function fillAndAsk(path: string): Promise<void> {
  const script = "import socket, sys; s = socket.socket(socket.AF_UNIX); " +
    "s.bind(sys.argv[1]); s.listen(0); print(flush=True); sys.stdin.read()";
  const server = spawn("python3", ["-c", script, path], {
    stdin: "piped",
    stderr: "inherit",
  });
  const reader = server.stdout.getReader();
  await reader.read();
  const first = await Deno.connect({ transport: "unix", path });
  await assertRejects(
    () => request({ path }),
    Deno.errors.WouldBlock,
    `Cannot connect to ${path}: its backlog is full. Try again later.`,
  );
  first.close();
  await server.stdin.close();
  await reader.cancel();
  await server.status;
}

Deno.test({
  name: "request() leaves a missing permission to Deno to explain",
  permissions: { net: false },
  async fn() {
    await assertRejects(
      () => request({ port: 1 }),
      Deno.errors.NotCapable,
      "--allow-net",
    );
  },
});

// Bodies that fail

Deno.test("request() rejects with what its body throws", async () => {
  const { server, records } = serveLocally();
  const fault = new Error("out of paper");
  const body = async function* () {
    yield "half a requ";
    await Promise.resolve();
    throw fault;
  };
  const error = await assertRejects(() => request(server.addr, body()));
  assertEquals(error, fault);
  assertEquals((await records.nth(1)).outcome, "reset");
  await server.shutdown();
});

Deno.test("Reply rejects with what the body throws after it has begun", async () => {
  const { server } = serveLocally({ streaming: true }, (conn) => conn.readable);
  const begun = Promise.withResolvers<void>();
  const fault = new Error("out of paper");
  const reply = await request(
    server.addr,
    (async function* () {
      yield "half a requ";
      await begun.promise;
      throw fault;
    })(),
  );
  begun.resolve();
  assertEquals(await assertRejects(() => reply.text()), fault);
  assertEquals(await assertRejects(() => reply.sent), fault);
  await server.shutdown();
});

Deno.test("request() refuses chunks that are none", async () => {
  const { server } = serveLocally();
  await assertRejects(
    () => request(server.addr, ["one", 2 as unknown as string]),
    TypeError,
    "Cannot send 2 as a chunk of a body",
  );
  await server.shutdown();
});

// Time and signals

/** Where connecting takes forever: nobody accepts, and the backlog is full. */
async function fullBacklog() {
  const listener = Deno.listen({ ...local, tcpBacklog: 1 });
  const inLine = await Promise.all([
    connect(listener.addr),
    connect(listener.addr),
  ]);
  return {
    port: listener.addr.port,
    [Symbol.dispose]() {
      for (const conn of inLine) conn.close();
      listener.close();
    },
  };
}

for (const tls of [false, true]) {
  Deno.test({
    name: `request() calls off its connecting (${tls ? "TLS" : "TCP"})`,
    // Others connect, although nobody accepts.
    ignore: linuxOnly,
    async fn() {
      using full = await fullBacklog();
      const where = tls
        ? { port: full.port, tls } as const
        : { port: full.port };
      const error = await assertRejects(
        () => request({ ...where, timeout: 50 }),
        DOMException,
        "The request took longer than the 50 ms allowed",
      );
      assertEquals(error.name, "TimeoutError");
      const controller = new AbortController();
      const pending = request({ ...where, signal: controller.signal });
      controller.abort(new Error("changed my mind"));
      await assertRejects(() => pending, Error, "changed my mind");
    },
  });
}

Deno.test("request() calls off a TLS handshake", async () => {
  await using peer = await Peer.of((socket) => socket.resume());
  const { port } = peer;
  const error = await assertRejects(
    () => request({ hostname: "localhost", port, tls: true, timeout: 50 }),
    DOMException,
  );
  assertEquals(error.name, "TimeoutError");
});

Deno.test("request() does nothing if the signal is aborted already", async () => {
  const { server, records } = serveLocally();
  const reason = new Error("too late");
  const signal = AbortSignal.abort(reason);
  const { body, cancelled } = stalling();
  const error = await assertRejects(() =>
    request({ ...server.addr, signal }, body)
  );
  assertEquals(error, reason);
  assertEquals(await cancelled, reason);
  await server.shutdown();
  assertEquals(records.all, []);
});

Deno.test("request() times out while the server says nothing", async () => {
  const closed = Promise.withResolvers<void>();
  await using peer = await Peer.of((socket) => {
    socket.resume();
    socket.on("close", () => closed.resolve());
  });
  const { body, cancelled } = stalling();
  const error = await assertRejects(
    () => request({ port: peer.port, timeout: 50 }, body),
    DOMException,
    "longer than the 50 ms allowed",
  );
  assertEquals(error.name, "TimeoutError");
  assertEquals(await cancelled, error);
  await closed.promise;
});

Deno.test("request() can be aborted while the server says nothing", async () => {
  const controller = new AbortController();
  await using peer = await Peer.of((socket) => {
    socket.resume();
    socket.on("end", () => controller.abort());
  });
  const error = await assertRejects(
    () => request({ port: peer.port, signal: controller.signal }, "hello"),
    DOMException,
  );
  assertEquals(error.name, "AbortError");
});

Deno.test("request() can be aborted in each microtask after it has connected", async () => {
  // It never answers: a request that misses the abort hangs.
  await using peer = await Peer.of((socket) => socket.resume());
  const { connect } = net;
  try {
    for (let ticks = 0; ticks < 20; ticks++) {
      const controller = new AbortController();
      const reason = new Error(`after ${ticks} microtasks`);
      net.connect = ((options: net.NetConnectOpts) => {
        const socket = connect(options);
        return socket.once("connect", async () => {
          for (let tick = 0; tick < ticks; tick++) await undefined;
          controller.abort(reason);
        });
      }) as typeof net.connect;
      const { signal } = controller;
      const error = await assertRejects(
        () => request({ port: peer.port, signal }, "hello"),
      );
      assertEquals(error, reason);
    }
  } finally {
    net.connect = connect;
  }
});

/** What a promise rejects with, which need not be an error. */
async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  let isFulfilled = false;
  const reason = await promise.then(() => isFulfilled = true, (one) => one);
  assertFalse(isFulfilled, "it was fulfilled");
  return reason;
}

Deno.test("request() rejects with a reason that is null", async (t) => {
  await using peer = await Peer.of((socket) => socket.resume());
  const { port } = peer;
  await t.step("before it begins", async () => {
    const signal = AbortSignal.abort(null);
    assertEquals(await reasonOf(request({ port, signal })), null);
  });
  await t.step("while it connects", async () => {
    const controller = new AbortController();
    const pending = request({ port, signal: controller.signal });
    controller.abort(null);
    assertEquals(await reasonOf(pending), null);
  });
  await t.step("while it waits for the reply", async () => {
    const controller = new AbortController();
    const { body, cancelled } = stalling();
    const { signal } = controller;
    const pending = request({ port, signal }, body);
    await turnOfIo();
    controller.abort(null);
    assertEquals(await reasonOf(pending), null);
    assertEquals(await cancelled, null);
  });
  await t.step("while the reply is read", async () => {
    const { server } = serveLocally({ streaming: true }, async function* () {
      yield "half a reply";
      await new Promise((resolve) => closing = resolve);
    });
    let closing: (value?: unknown) => void = () => {};
    const controller = new AbortController();
    const { signal } = controller;
    const reply = await request({ ...server.addr, signal }, "hello");
    const text = reply.text();
    controller.abort(null);
    assertEquals(await reasonOf(text), null);
    closing();
    await server.shutdown();
  });
});

Deno.test("request() rejects with undefined if its body throws that", async () => {
  const { server } = serveLocally();
  for (
    const body of [
      (function* () {
        yield "half a requ";
        throw undefined;
      })(),
      new ReadableStream({ pull: (controller) => controller.error() }),
    ]
  ) {
    assertEquals(await reasonOf(request(server.addr, body)), undefined);
  }
  await server.shutdown();
});

Deno.test("request() can be aborted while it writes", async () => {
  const controller = new AbortController();
  await using peer = await Peer.of((socket) => {
    socket.once("data", () => {
      socket.pause();
      controller.abort();
    });
  });
  await assertRejects(
    () => request({ port: peer.port, signal: controller.signal }, large),
    DOMException,
    "aborted",
  );
});

Deno.test("Reply is cut short by the timeout", async () => {
  await using peer = await Peer.of((socket) => socket.write("so far"));
  const { body, cancelled } = stalling();
  const reply = await request({ port: peer.port, timeout: 300 }, body);
  const error = await assertRejects(() => reply.text(), DOMException);
  assertEquals(error.name, "TimeoutError");
  assertEquals(await cancelled, error);
});

Deno.test("Reply that nobody reads is closed by the timeout", async () => {
  const closed = Promise.withResolvers<void>();
  await using peer = await Peer.of((socket) => {
    socket.write(large);
    socket.on("close", () => closed.resolve());
  });
  await request({ port: peer.port, timeout: 300 }, stalling().body);
  await closed.promise;
});

Deno.test("Reply is cut short by the signal", async () => {
  await using peer = await Peer.of((socket) => socket.write("so far"));
  const controller = new AbortController();
  const { signal } = controller;
  const reply = await request({ port: peer.port, signal }, stalling().body);
  const reason = new Error("enough");
  const reading = assertRejects(() => reply.text());
  controller.abort(reason);
  assertEquals(await reading, reason);
  assertFalse(await reply.sent);
});

Deno.test("request() minds no signal when all is over", async () => {
  await using server = serve(local, (conn) => conn.bytes());
  const controller = new AbortController();
  const { signal } = controller;
  const reply = await request({ ...server.addr, signal }, "hello");
  const text = await reply.text();
  assert(await reply.sent);
  controller.abort();
  assertEquals(text, "hello");
  assert(await reply.sent);
});

Deno.test("request() takes Infinity, and times beyond any timer", async () => {
  await using server = serve(local, (conn) => conn.bytes());
  for (const timeout of [Infinity, 2 ** 40]) {
    const options = { ...server.addr, timeout, maxReplyBytes: Infinity };
    assertEquals(await (await request(options, "hi")).text(), "hi");
  }
});

// Letting go

Deno.test("Reply.readable closes the connection when cancelled", async () => {
  const { server, records } = serveLocally(
    { streaming: true },
    (conn) => conn.readable,
  );
  const { body, cancelled } = stalling();
  const reply = await request(server.addr, body);
  await reply.readable.cancel();
  assertInstanceOf(await cancelled, DOMException);
  assertFalse(await reply.sent);
  await records.nth(1);
  await server.shutdown();
});

Deno.test("Reply closes the connection when disposed of unread", async () => {
  const { server, records } = serveLocally(
    { streaming: true },
    (conn) => conn.readable,
  );
  const { body, cancelled } = stalling();
  {
    await using reply = await request(server.addr, body);
    assertFalse(reply.bodyUsed);
  }
  await cancelled;
  await records.nth(1);
  await server.shutdown();
});

Deno.test("Reply closes the connection when reading stops half-way", async () => {
  const { server, records } = serveLocally({}, () => large);
  const reply = await request(server.addr);
  for await (const chunk of reply.readable) {
    assertGreater(chunk.length, 0);
    break;
  }
  await records.nth(1);
  await server.shutdown();
});

Deno.test("request() says what a missing server's address looks like", async () => {
  const error = await assertRejects(() =>
    request({ hostname: "::1", port: 1, timeout: 5_000 })
  );
  assertInstanceOf(error, Error);
  assertStringIncludes(error.message, "Cannot connect to [::1]:1: ");
});
