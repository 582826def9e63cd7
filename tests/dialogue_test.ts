// Dialogues: exchanges that talk while they read, by line and by length.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  type Conn,
  IncompleteReadError,
  RequestTooLargeError,
} from "../mod.ts";
import { areSame, encode, pattern } from "./bytes.ts";
import { Random } from "./harness/random.ts";
import { RudeClient } from "./rude_client.ts";
import { ask, begin, connect, readText, send, writeAll } from "./sockets.ts";
import { listenLocally, serveLocally, turnOfIo } from "./support.ts";
import { cert, connectTls, key } from "./tls.ts";

const streaming = true;
const decoder = new TextDecoder();

/** A piece as text, to compare. */
function text(piece: Uint8Array | null): string | null {
  return piece && decoder.decode(piece);
}

/** A client that reads line by line, whatever arrives together. */
class Talker {
  #rest = "";
  readonly conn: Deno.Conn;

  constructor(conn: Deno.Conn) {
    this.conn = conn;
  }

  say(text: string): Promise<void> {
    return writeAll(this.conn, encode(text));
  }

  async hear(): Promise<string> {
    const buffer = new Uint8Array(1024);
    while (!this.#rest.includes("\n")) {
      const read = await this.conn.read(buffer);
      if (read === null) break;
      this.#rest += decoder.decode(buffer.subarray(0, read));
    }
    const end = this.#rest.indexOf("\n") + 1 || this.#rest.length;
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end);
    return line;
  }
}

/** Greets, and says each line in capitals, until one is QUIT. */
async function* upperCase(conn: Conn) {
  yield "hello\n";
  for (;;) {
    const line = text(await conn.readUntil("\n"));
    if (line === null || line === "QUIT\n") return;
    yield line.toUpperCase();
  }
}

Deno.test("a dialogue greets first, and answers line by line", async () => {
  const { server, records } = serveLocally({ streaming }, upperCase);
  const client = new Talker(await connect(server.addr));
  assertEquals(await client.hear(), "hello\n");
  for (const word of ["one", "two"]) {
    await client.say(`${word}\n`);
    assertEquals(await client.hear(), `${word.toUpperCase()}\n`);
  }
  await client.say("QUIT\n");
  assertEquals(await client.hear(), "");
  client.conn.close();
  assertEquals((await records.nth(1)).outcome, "ok");
  // All at once is as good.
  assertEquals(await ask(server.addr, "a\nb\nQUIT\n"), "hello\nA\nB\n");
  await server.shutdown();
});

Deno.test("a dialogue on TLS", async () => {
  const { server } = serveLocally({ streaming, cert, key }, upperCase);
  const client = new Talker(await connectTls(server.addr.port));
  assertEquals(await client.hear(), "hello\n");
  await client.say("word\n");
  assertEquals(await client.hear(), "WORD\n");
  await client.say("QUIT\n");
  assertEquals(await client.hear(), "");
  client.conn.close();
  await server.shutdown();
});

Deno.test("a dialogue with writable, in a loop of listen()", async () => {
  const { listener, records } = listenLocally({ streaming });
  const client = new Talker(await connect(listener.addr));
  const talking = async () => {
    assertEquals(await client.hear(), "220 hi\r\n");
    await client.say("HELO me\r\n");
    assertEquals(await client.hear(), "250 HELO me\r\n");
    await client.conn.closeWrite();
    assertEquals(await client.hear(), "221 bye\r\n");
    client.conn.close();
  };
  const talked = talking();
  for await (const conn of listener) {
    const writer = conn.writable.getWriter();
    await writer.write("220 hi\r\n");
    await writer.write(`250 ${text(await conn.readUntil("\r\n"))}`);
    assertEquals(await conn.readUntil("\r\n"), null);
    await writer.write("221 bye\r\n");
    await writer.close();
    break;
  }
  await talked;
  assertEquals(records.outcomes, ["ok"]);
});

for (
  const [name, read] of [
    ["read()", async (conn: Conn) => {
      const buffer = new Uint8Array(100);
      return decoder.decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
    }],
    ["readable", (conn: Conn) => new Response(conn.readable).text()],
    ["text()", (conn: Conn) => conn.text()],
    ["readUntil()", async (conn: Conn) => text(await conn.readUntil("!"))],
    ["readExactly()", async (conn: Conn) => text(await conn.readExactly(6))],
  ] as const
) {
  Deno.test(`who has written first may still read, with ${name}`, async () => {
    const { server } = serveLocally({ streaming }, async function* (conn) {
      yield "hello\n";
      yield await read(conn) ?? "nothing";
    });
    const client = new Talker(await connect(server.addr));
    assertEquals(await client.hear(), "hello\n");
    await client.say("hello!");
    await client.conn.closeWrite();
    assertEquals(await client.hear(), "hello!");
    client.conn.close();
    await server.shutdown();
  });
}

Deno.test("readUntil() and readExactly() claim the request when they are called", async () => {
  const greeting = "x".repeat(1_000_000);
  const { server, records } = serveLocally(
    { streaming },
    async function* (conn) {
      const reading = conn.readUntil("\n");
      assert(conn.bodyUsed);
      // Without that claim, the request would be dropped meanwhile.
      yield greeting;
      yield await reading ?? "nothing";
    },
  );
  const client = await connect(server.addr);
  const reply = readText(client);
  await writeAll(client, encode("asked\n"));
  assertEquals((await reply).slice(greeting.length), "asked\n");
  assertEquals(records.outcomes, ["ok"]);
  await server.shutdown();
});

for (const streaming of [false, true]) {
  const how = streaming ? "streamed" : "buffered";

  Deno.test(`readUntil(), readExactly() and read() may be mixed, ${how}`, async () => {
    const { listener, records } = listenLocally({ streaming });
    const client = await send(listener.addr, "a line\n12345678rest, and more");
    for await (const conn of listener) {
      assertEquals(text(await conn.readUntil("\n")), "a line\n");
      assertEquals(text(await conn.readExactly(5)), "12345");
      assertEquals(text(await conn.readExactly(0)), "");
      const buffer = new Uint8Array(3);
      assertEquals(await conn.read(buffer), 3);
      assertEquals(text(buffer), "678");
      assertEquals(text(await conn.readUntil(encode(", "))), "rest, ");
      let rest = "";
      for (;;) {
        const read = await conn.read(buffer);
        if (read === null) break;
        rest += decoder.decode(buffer.subarray(0, read));
      }
      assertEquals(rest, "and more");
      assertEquals(await conn.readUntil("\n"), null);
      assertEquals(await conn.readExactly(1), null);
      assertEquals(text(await conn.readExactly(0)), "");
      await conn.respond("done");
      break;
    }
    assertEquals(await readText(client), "done");
    assertEquals(records.outcomes, ["ok"]);
  });

  Deno.test(`readUntil() and readExactly() give what was sent, however it comes, ${how}`, async () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = new Random(seed);
      const request = random.bytes(random.pick([0, 10, 1000, 200_000]));
      // Delimiters are frequent, so that no line is too long.
      for (let i = 0; i < request.length; i += random.int(1, 30_000)) {
        request[i] = 10;
      }
      const { listener } = listenLocally({ streaming });
      const client = await connect(listener.addr);
      const sending = async () => {
        for (let at = 0; at < request.length;) {
          const size = random.int(1, 70_000);
          await writeAll(client, request.subarray(at, at + size));
          at += size;
        }
        await client.closeWrite();
      };
      const sent = sending();
      const draw = new Random(seed + 1000);
      for await (const conn of listener) {
        let at = 0;
        while (at < request.length) {
          const rest = request.subarray(at);
          let piece: Uint8Array | null;
          let size: number;
          if (draw.chance(0.5)) {
            size = rest.indexOf(10) + 1 || rest.length;
            piece = await conn.readUntil("\n").catch(partialOf);
          } else if (draw.chance(0.7)) {
            const wanted = draw.pick([1, 100, 70_000, 150_000]);
            size = Math.min(wanted, rest.length);
            piece = await conn.readExactly(wanted).catch(partialOf);
          } else {
            const buffer = new Uint8Array(draw.int(1, 5000));
            size = await conn.read(buffer) ?? 0;
            piece = buffer.subarray(0, size);
          }
          assert(piece && areSame(piece, rest.subarray(0, size)), `${seed}`);
          at += size;
        }
        assertEquals(await conn.readUntil("\n"), null);
        await conn.respond();
        break;
      }
      await sent;
      await readText(client);
    }
  });

  Deno.test(`a request that ends within a line, or a piece, gives what came, ${how}`, async () => {
    for (
      const [read, message, expected] of [
        [
          (conn: Conn) => conn.readUntil("\r\n"),
          "5 bytes of a line",
          undefined,
        ],
        [(conn: Conn) => conn.readExactly(9), "5 bytes of 9", 9],
      ] as const
    ) {
      const faults: unknown[] = [];
      const { server, records } = serveLocally({
        streaming,
        onError: (error) => void faults.push(error),
      }, async (conn) => {
        if (conn.id > 1) return void await read(conn);
        const error = await assertRejects(
          () => read(conn),
          IncompleteReadError,
          message,
        );
        assertEquals([text(error.partial), error.expected], [
          "hello",
          expected,
        ]);
        assertEquals(await read(conn), null);
        return "answer";
      });
      assertEquals(await ask(server.addr, "hello"), "answer");
      // It is the client's fault, also where nobody catches it.
      assertEquals(await ask(server.addr, "hello"), "");
      await server.shutdown();
      assertEquals(faults, []);
      for (const { outcome, phase, error, end } of records.all) {
        assertEquals([outcome, phase, end], ["truncated", "reading", "fin"]);
        assert(error instanceof IncompleteReadError);
        assert(error instanceof Deno.errors.UnexpectedEof);
      }
    }
  });

  Deno.test(`a line may have 65 536 bytes with its delimiter, ${how}`, async () => {
    const { server, records } = serveLocally({
      streaming,
      onRefuse: (error) => error.message,
    }, async (conn) => {
      const line = await conn.readUntil("\r\n");
      return `${line?.length}`;
    });
    const fits = "x".repeat(65_534);
    assertEquals(await ask(server.addr, `${fits}\r\n`), "65536");
    const refusal = await ask(server.addr, `x${fits}\r\n`);
    assertStringIncludes(refusal, "longer than the 65536 bytes");
    const { outcome, error } = await records.nth(2);
    assert(error instanceof RequestTooLargeError);
    assertEquals([outcome, error.part], ["too-large", "line"]);
    await server.shutdown();
  });

  Deno.test(`a line that is too long can still be answered, ${how}`, async () => {
    const { server, records } = serveLocally({ streaming }, async (conn) => {
      for (let i = 0; i < 2; i++) {
        const error = await assertRejects(() => conn.readUntil("\n"));
        assert(error instanceof RequestTooLargeError);
      }
      return "500 too long\r\n";
    });
    assertEquals(
      await ask(server.addr, "x".repeat(100_000)),
      "500 too long\r\n",
    );
    assertEquals(records.outcomes, ["too-large"]);
    await server.shutdown();
  });

  Deno.test(`readExactly() has no memory for what cannot come any more, ${how}`, async () => {
    const most = Number.MAX_SAFE_INTEGER;
    const { server, records } = serveLocally(
      { streaming, until: "END" },
      async (conn) => {
        // All of it has come with the line.
        await conn.readUntil("\n");
        const rest = await conn.readExactly(most).catch(partialOf);
        assertEquals(await conn.readExactly(most), null);
        return rest;
      },
    );
    const client = await begin(server.addr, "line\nallEND");
    assertEquals(await readText(client), "allEND");
    assertEquals(records.outcomes, ["truncated"]);
    await server.shutdown();
  });

  Deno.test(`maxRequestBytes counts what comes, and not what readExactly() wants, ${how}`, async () => {
    const { server, records } = serveLocally({
      streaming,
      maxRequestBytes: 10,
      onRefuse: ({ name }) => name,
    }, async (conn) => {
      let pieces = 0;
      while (await conn.readExactly(5)) pieces++;
      return `${pieces}`;
    });
    assertEquals(await ask(server.addr, "1234567890"), "2");
    assertEquals(await ask(server.addr, "12345678"), "");
    assertEquals(await ask(server.addr, "12345678901"), "RequestTooLargeError");
    assertEquals(records.outcomes, ["ok", "truncated", "too-large"]);
    await server.shutdown();
  });

  Deno.test(`a dialogue is one way to read, which excludes the others, ${how}`, async () => {
    const { listener } = listenLocally({ streaming });
    const answers = [ask(listener.addr, "one\ntwo"), ask(listener.addr, "x\n")];
    for await (const conn of listener) {
      if (conn.id === 1) {
        await conn.readUntil("\n");
        await assertRejects(() => conn.text(), TypeError, "twice");
        const whole = () => new Response(conn.readable).text();
        await assertRejects(whole, TypeError, "has been read already");
      } else {
        const { readable } = conn;
        const line = () => conn.readUntil("\n");
        await assertRejects(line, TypeError, "`readable` has been taken");
        await new Response(readable).text();
        await assertRejects(() => conn.readExactly(1), TypeError, "twice");
      }
      await conn.respond();
      if (conn.id === 2) break;
    }
    await Promise.all(answers);
  });

  for (
    const [what, read, message] of [
      ["an empty delimiter", (conn: Conn) => conn.readUntil(""), "not empty"],
      [
        "a delimiter that is no text",
        (conn: Conn) => conn.readUntil(10 as unknown as string),
        "received 10",
      ],
      ["half a byte", (conn: Conn) => conn.readExactly(0.5), "received 0.5"],
      [
        "less than nothing",
        (conn: Conn) => conn.readExactly(-1),
        "received -1",
      ],
      ["no number", (conn: Conn) => conn.readExactly(NaN), "received NaN"],
    ] as const
  ) {
    Deno.test(`a dialogue does not read ${what}, ${how}`, async () => {
      const { listener, records } = listenLocally({ streaming });
      const client = await send(listener.addr, "hello\n");
      for await (const conn of listener) {
        // Nobody need await it.
        read(conn);
        await assertRejects(() => read(conn), Error, message);
        assertEquals(text(await conn.readUntil("\n")), "hello\n");
        await conn.respond("answer");
        break;
      }
      assertEquals(await readText(client), "answer");
      assertEquals(records.outcomes, ["failed"]);
    });
  }
}

function partialOf(error: unknown): Uint8Array {
  assert(error instanceof IncompleteReadError);
  return error.partial;
}

Deno.test("readExactly() refuses at once what maxRequestBytes does not allow", async () => {
  const { server, records } = serveLocally({
    streaming,
    maxRequestBytes: 10,
    onRefuse: (error) => error.message,
  }, async (conn) => {
    const line = await conn.readUntil("\n");
    return await conn.readExactly(Number(text(line)));
  });
  assertEquals(await ask(server.addr, "8\n12345678"), "12345678");
  for (const size of [11, 999_999_999]) {
    const client = await begin(server.addr, `${size}\n`);
    assertStringIncludes(await readText(client), "the 10 bytes");
  }
  assertEquals(records.outcomes, ["ok", "too-large", "too-large"]);
  await server.shutdown();
});

Deno.test("a dialogue rejects while another read is pending", async () => {
  const { listener, records } = listenLocally({ streaming });
  const client = await begin(listener.addr, "half a ");
  for await (const conn of listener) {
    const first = conn.readUntil("\n");
    const buffer = new Uint8Array(9);
    for (
      const second of [
        () => conn.readUntil("\n"),
        () => conn.readExactly(1),
        () => conn.read(buffer),
      ]
    ) await assertRejects(second, TypeError, "a read is pending");
    await writeAll(client, encode("line\n"));
    assertEquals(text(await first), "half a line\n");
    const third = conn.read(buffer);
    await assertRejects(() => conn.readExactly(1), TypeError, "is pending");
    await client.closeWrite();
    assertEquals(await third, null);
    await conn.respond("answer");
    break;
  }
  assertEquals(await readText(client), "answer");
  assertEquals(records.outcomes, ["ok"]);
});

for (
  const [until, reason] of [
    [undefined, "dropped by a response"],
    // Then all of it has come, and some of it is left.
    ["over\n", "moved on"],
  ] as const
) {
  Deno.test(`a dialogue that is over gives nothing, and nobody else's bytes: ${reason}`, async () => {
    const { listener } = listenLocally({
      streaming,
      ...(until && { until }),
    });
    const one = await send(listener.addr, "one\nleft\nover\n");
    const two = await send(listener.addr, "two\nsecret\nover\n");
    let before: Conn | undefined;
    for await (const conn of listener) {
      assert(await conn.readUntil("\n"));
      if (!before) {
        before = conn;
        continue;
      }
      const { readUntil, readExactly, read } = before;
      for (
        const late of [
          () => readUntil.call(before, "\n"),
          () => readExactly.call(before, 4),
          () => read.call(before, new Uint8Array(9)),
        ]
      ) await assertRejects(late, TypeError, reason);
      await conn.respond();
      break;
    }
    await Promise.all([readText(one), readText(two)]);
  });
}

Deno.test("a dialogue may read what has come when the request is over and answered in part", async () => {
  const { server, records } = serveLocally(
    { streaming, until: "END\n" },
    async function* (conn) {
      yield text(await conn.readUntil("\n")) ?? "";
      // The rest of the request is dropped by now.
      yield "x".repeat(100_000);
      yield text(await conn.readUntil("\n")) ?? "";
    },
  );
  const reply = await readText(await begin(server.addr, "a\nb\nEND\nmore\n"));
  assertEquals([reply.slice(0, 2), reply.slice(-2)], ["a\n", "b\n"]);
  assertEquals(records.outcomes, ["ok"]);
  await server.shutdown();
});

Deno.test("onRequest() is told how a dialogue begins", async () => {
  const heads: (string | null)[] = [];
  const { server } = serveLocally({
    streaming,
    onRequest: ({ head }) => void heads.push(text(head)),
  }, upperCase);
  assertEquals(await ask(server.addr, "a\nQUIT\n"), "hello\nA\n");
  assertEquals(heads, ["a\nQUIT\n"]);
  await server.shutdown();
});

// Who is due, and who leaves

Deno.test("a dialogue: a client that is silent when it is due is idle", async () => {
  let isOver = false;
  const { server, records } = serveLocally(
    { streaming, idleTimeout: 50, deadline: Infinity },
    async function* (conn) {
      try {
        yield* upperCase(conn);
      } finally {
        isOver = true;
      }
    },
  );
  const client = new Talker(await connect(server.addr));
  await client.say("one\n");
  assertEquals(await client.hear(), "hello\n");
  assertEquals(await client.hear(), "ONE\n");
  assertEquals(await client.hear(), "");
  client.conn.close();
  const { outcome, phase } = await records.nth(1);
  assertEquals([outcome, phase], ["idle", "writing"]);
  await server.shutdown();
  assert(isOver);
});

Deno.test("a dialogue: a handler that takes its time is not idle", async () => {
  const { server, records } = serveLocally(
    { streaming, idleTimeout: 50, deadline: Infinity },
    async function* (conn) {
      yield "hello\n";
      await conn.readUntil("\n");
      await new Promise((resolve) => setTimeout(resolve, 200));
      yield "answer\n";
    },
  );
  assertEquals(await ask(server.addr, "asked\n"), "hello\nanswer\n");
  assertEquals(records.outcomes, ["ok"]);
  await server.shutdown();
});

Deno.test("a dialogue: a client that does not read holds the handler back, and is idle", async () => {
  let yielded = 0;
  let isOver = false;
  const { server, records } = serveLocally(
    { streaming, idleTimeout: 100, deadline: Infinity },
    async function* (conn) {
      try {
        await conn.readUntil("\n");
        for (; yielded < 1000; yielded++) yield pattern(1_000_000);
      } finally {
        isOver = true;
      }
    },
  );
  const client = await begin(server.addr, "asked\n");
  assertEquals((await records.nth(1)).outcome, "idle");
  assert(yielded < 100, `${yielded}`);
  client.close();
  await server.shutdown();
  assert(isOver);
});

Deno.test("a dialogue: a handler that does not read holds the client back", async () => {
  const seen = Promise.withResolvers<void>();
  let whileWaiting = Infinity;
  const { server } = serveLocally(
    { streaming, maxRequestBytes: Infinity },
    async (conn) => {
      await conn.readUntil("\n");
      await seen.promise;
      whileWaiting = conn.bytesRead;
      let size = 0;
      for (;;) {
        const piece = await conn.readExactly(1_000_000);
        if (!piece) return `${size}`;
        size += piece.length;
      }
    },
  );
  const client = await begin(server.addr, "asked\n");
  const large = new Uint8Array(64_000_000);
  let isSent = false;
  const sent = writeAll(client, large).then(() => isSent = true);
  await turnOfIo();
  assert(!isSent);
  seen.resolve();
  await sent;
  await client.closeWrite();
  assertEquals(await readText(client), `${large.length}`);
  assert(whileWaiting <= 65_536, `${whileWaiting}`);
  await server.shutdown();
});

for (const leaves of ["resets", "leaves"] as const) {
  Deno.test(`a dialogue: a client that ${leaves} in the middle ends the generator`, async () => {
    const ended = Promise.withResolvers<void>();
    const faults: unknown[] = [];
    const { server, records } = serveLocally({
      streaming,
      deadline: Infinity,
      idleTimeout: Infinity,
      onError: (error) => void faults.push(error),
    }, async function* (conn) {
      if (conn.id > 1) return yield* upperCase(conn);
      try {
        yield* upperCase(conn);
      } finally {
        ended.resolve();
      }
    });
    const client = await RudeClient.connect(server.addr);
    await client.write("half a line");
    await client.received();
    if (leaves === "resets") await client.reset();
    else {
      await client.closeWrite();
      await client.reset();
    }
    await ended.promise;
    assertEquals(await ask(server.addr, "next\n"), "hello\nNEXT\n");
    const { outcome } = await records.nth(1);
    assert(
      outcome === "reset" || (leaves === "leaves" && outcome === "truncated"),
      outcome,
    );
    assertEquals(faults, []);
    await server.shutdown();
  });
}

Deno.test("a dialogue: the deadline covers all of it", async () => {
  let isOver = false;
  const { server, records } = serveLocally(
    { streaming, deadline: 100 },
    async function* (conn) {
      try {
        yield* upperCase(conn);
      } finally {
        isOver = true;
      }
    },
  );
  const client = new Talker(await connect(server.addr));
  for (let line = ""; (line = await client.hear()) !== "";) {
    await client.say(line).catch(() => {});
  }
  client.conn.close();
  assertEquals((await records.nth(1)).outcome, "deadline");
  await server.shutdown();
  assert(isOver);
});

Deno.test("a dialogue holds the server: the next client is greeted when it is over", async () => {
  const { server } = serveLocally({ streaming }, upperCase);
  const one = new Talker(await connect(server.addr));
  assertEquals(await one.hear(), "hello\n");
  const two = new Talker(await connect(server.addr));
  let isGreeted = false;
  const greeting = two.hear().then((line) => {
    isGreeted = true;
    return line;
  });
  await one.say("word\n");
  assertEquals(await one.hear(), "WORD\n");
  assert(!isGreeted);
  await one.say("QUIT\n");
  assertEquals(await one.hear(), "");
  assertEquals(await greeting, "hello\n");
  await two.say("QUIT\n");
  assertEquals(await two.hear(), "");
  for (const { conn } of [one, two]) conn.close();
  await server.shutdown();
});
