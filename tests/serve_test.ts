import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertThrows,
} from "@std/assert";
import {
  type Conn,
  RequestTooLargeError,
  serve,
  type Server,
  TimeoutError,
} from "../mod.ts";
import { encode } from "./bytes.ts";
import { RudeClient } from "./rude_client.ts";
import {
  ask,
  connect,
  exchange,
  local,
  pause,
  readText,
  send,
  writeAll,
} from "./sockets.ts";
import { assertRefused, lineUp, serveLocally, turnOfIo } from "./support.ts";

Deno.test("serve() sends what its handler returns", async (t) => {
  await t.step("serve(options, handler)", async () => {
    await using server = serve(local, () => "hello");
    assertEquals(await ask(server.addr), "hello");
  });
  await t.step("serve({ ...options, handler })", async () => {
    await using server = serve({ ...local, handler: () => "hello" });
    assertEquals(await ask(server.addr), "hello");
  });
  await t.step("serve({ listener }, handler)", async () => {
    const listener = Deno.listen(local);
    await using server = serve(
      { listener },
      (conn) => conn.remoteAddr.hostname,
    );
    assertEquals(await ask(server.addr), "127.0.0.1");
  });
  await t.step("serve({ listener, handler })", async () => {
    const listener = Deno.listen(local);
    await using server = serve({ listener, handler: () => "hello" });
    assertEquals(await ask(server.addr), "hello");
  });
  await t.step("a promise of a body", async () => {
    await using server = serve(local, async (conn) => await conn.bytes());
    assertEquals(await ask(server.addr, "echo"), "echo");
  });
  await t.step("a stream", async () => {
    await using server = serve(local, (conn) => conn.readable);
    assertEquals(await ask(server.addr, "echo"), "echo");
  });
});

Deno.test("serve(handler) listens on 0.0.0.0:8080", async () => {
  let server: Server<Deno.NetAddr>;
  try {
    server = serve(() => "hello");
  } catch (error) {
    // Somebody else has the port: the message tells which one it is.
    assertInstanceOf(error, Deno.errors.AddrInUse);
    assert(error.message.includes("0.0.0.0:8080"));
    return;
  }
  assertEquals(server.addr.hostname, "0.0.0.0");
  assertEquals(server.addr.port, 8080);
  await server.shutdown();
});

Deno.test("serve() has the shape of Deno.HttpServer", async () => {
  const server: Deno.HttpServer<Deno.NetAddr> = serve(local, () => "hello");
  server.unref();
  server.ref();
  await server.shutdown();
  await server.finished;
});

Deno.test("serve() calls onListen() with the address", async () => {
  const seen: Deno.NetAddr[] = [];
  await using server = serve(
    { ...local, onListen: (addr) => seen.push(addr) },
    () => {},
  );
  assertEquals(seen, [server.addr]);
});

Deno.test("serve() closes again if onListen() throws", async () => {
  let port = 0;
  assertThrows(
    () =>
      serve({
        ...local,
        onListen: (addr) => {
          port = addr.port;
          throw new Error("from onListen");
        },
      }, () => {}),
    Error,
    "from onListen",
  );
  await assertRefused({ port });
});

Deno.test("serve() needs a handler", () => {
  assertThrows(
    () => serve({ ...local, handler: undefined as unknown as () => void }),
    TypeError,
    "a handler is needed",
  );
});

Deno.test("serve() just closes if there is nothing to say", async () => {
  const { server, records } = serveLocally({}, () => {});
  assertEquals(await ask(server.addr, "hello"), "");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
  assertEquals((await records.nth(1)).phase, "handling");
});

Deno.test("serve() lets its handler respond by itself", async () => {
  const { server, records } = serveLocally({}, async (conn) => {
    assertEquals(await conn.respond("by itself"), true);
  });
  assertEquals(await ask(server.addr), "by itself");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok"]);
});

/** Serves three clients, the second of which meets `handler`. */
async function withFault(
  handler: (conn: Conn<Deno.NetAddr>) => unknown,
  onError?: (error: unknown, conn: Conn<Deno.NetAddr>) => string | void,
) {
  const errors: unknown[] = [];
  const { server, records } = serveLocally({
    onError: (error, conn) => {
      errors.push(error);
      return onError?.(error, conn);
    },
  }, async (conn) => {
    const text = await conn.text();
    return text === "fault" ? await handler(conn) as string : text;
  });
  const answers: string[] = [];
  for (const text of ["before", "fault", "after"]) {
    answers.push(await ask(server.addr, text));
  }
  await server.shutdown();
  assertEquals(answers[0], "before");
  assertEquals(answers[2], "after");
  assertEquals([records.outcomes[0], records.outcomes[2]], ["ok", "ok"]);
  return { errors, answer: answers[1], record: await records.nth(2) };
}

Deno.test("serve() goes on after a handler that fails", async (t) => {
  const faults: Record<string, () => unknown> = {
    throws: () => {
      throw new Error("fault");
    },
    rejects: () => Promise.reject(new Error("fault")),
  };
  for (const [name, handler] of Object.entries(faults)) {
    await t.step(name, async () => {
      const { errors, answer, record } = await withFault(handler);
      assertEquals(errors.map(String), ["Error: fault"]);
      assertEquals(answer, "");
      assertEquals([record.outcome, record.phase], ["failed", "handling"]);
      assertEquals(record.error, errors[0]);
    });
  }
});

Deno.test("serve() sends what onError() returns", async () => {
  const { answer, record } = await withFault(() => {
    throw new Error("fault");
  }, (error) => `sorry: ${error}`);
  assertEquals(answer, "sorry: Error: fault");
  assertEquals(record.outcome, "failed");
  assertEquals(record.bytesWritten, 19);
});

Deno.test("serve() lets onError() tell a client that it has sent no JSON", async () => {
  const { server, records } = serveLocally({
    onError(error) {
      if (error instanceof SyntaxError) return "this is no JSON\n";
      throw error;
    },
  }, async (conn) => (await conn.json() as { name: string }).name);
  assertEquals(await ask(server.addr, '{"name":"Ada"}'), "Ada");
  assertEquals(await ask(server.addr, "{no"), "this is no JSON\n");
  await server.shutdown();
  assertEquals(records.outcomes, ["ok", "failed"]);
});

Deno.test("serve() lets the first answer stand", async (t) => {
  await t.step("if the handler throws after it", async () => {
    const { errors, answer, record } = await withFault(async (conn) => {
      await conn.respond("first");
      throw new Error("fault");
    }, () => "second");
    assertEquals(errors.map(String), ["Error: fault"]);
    assertEquals(answer, "first");
    assertEquals(record.outcome, "failed");
  });
  await t.step("if the handler returns a body as well", async () => {
    const { errors, answer, record } = await withFault(async (conn) => {
      await conn.respond("first");
      return "second";
    }, () => "third");
    assertInstanceOf(errors[0], TypeError);
    assertEquals(errors.length, 1);
    assertEquals(answer, "first");
    assertEquals(record.outcome, "failed");
  });
});

Deno.test("serve() takes a wrong body for a fault", async () => {
  const { errors, answer } = await withFault(() => 42, () => "sorry");
  assertInstanceOf(errors[0], TypeError);
  assertEquals(answer, "sorry");
});

Deno.test("serve() tells onError() of a body that fails", async () => {
  const { errors, answer, record } = await withFault(function* () {
    yield "start";
    throw new Error("fault");
  });
  assertEquals(errors.map(String), ["Error: fault"]);
  assertEquals(answer, "start");
  assertEquals([record.outcome, record.phase], ["failed", "writing"]);
});

Deno.test("serve() sends what onError() returns for a body that fails at once", async () => {
  const { errors, answer, record } = await withFault(
    // deno-lint-ignore require-yield -- it fails before it gives anything.
    function* () {
      throw new Error("fault");
    },
    () => "sorry",
  );
  assertEquals(errors.map(String), ["Error: fault"]);
  assertEquals(answer, "sorry");
  assertEquals([record.outcome, record.phase], ["failed", "writing"]);
});

Deno.test("serve() writes faults to the console unless told otherwise", async (t) => {
  const { error } = console;
  const written: unknown[] = [];
  console.error = (...args: unknown[]) => void written.push(...args);
  try {
    await t.step("the handler's", async () => {
      const { server } = serveLocally({}, () => {
        throw new Error("from the handler");
      });
      assertEquals(await ask(server.addr), "");
      await server.shutdown();
      assertMatch(written.join(), /^Error: from the handler\n +at /);
    });
    await t.step("onError()'s own", async () => {
      written.length = 0;
      const { server } = serveLocally({
        onError: () => {
          throw new Error("from onError");
        },
      }, () => Promise.reject(new Error("from the handler")));
      assertEquals(await ask(server.addr), "");
      await server.shutdown();
      assertMatch(
        written.join(),
        /^onError\(\) threw Error: from onError\n[^]* when it was told of Error: from the handler\n/,
      );
    });
    await t.step("a wrong body of onError()'s", async () => {
      written.length = 0;
      const { server } = serveLocally({
        onError: () => 42 as unknown as string,
      }, () => Promise.reject(new Error("from the handler")));
      assertEquals(await ask(server.addr), "");
      await server.shutdown();
      assertMatch(written.join(), /TypeError: Cannot send 42/);
    });
  } finally {
    console.error = error;
  }
});

Deno.test("serve() tells onError() of faults that its handler did not await", async (t) => {
  await t.step("a wrong body", async () => {
    const { errors, answer, record } = await withFault((conn) => {
      conn.respond(42 as unknown as string);
    }, () => "sorry");
    assertEquals(answer, "sorry");
    assertEquals(errors.length, 1);
    assertInstanceOf(errors[0], TypeError);
    assertEquals(record.outcome, "failed");
  });
  await t.step("a response left half written", async () => {
    const { errors, record } = await withFault(async (conn) => {
      await conn.writable.getWriter().write("half");
    });
    assertEquals(errors.length, 1);
    assertInstanceOf(errors[0], Error);
    assertEquals([record.outcome, record.phase], ["failed", "writing"]);
  });
});

Deno.test("serve() does not take a client's fault for the handler's", async (t) => {
  await t.step("a reset", async () => {
    const errors: unknown[] = [];
    const { server, records } = serveLocally({
      streaming: true,
      onError: (error) => void errors.push(error),
    }, (conn) => conn.text());
    const client = await RudeClient.connect(server.addr);
    await client.write("half");
    await client.reset();
    await records.nth(1);
    await server.shutdown();
    assertEquals(records.outcomes, ["reset"]);
    assertEquals(errors, []);
  });
  await t.step("too large a request", async () => {
    const errors: unknown[] = [];
    const { server, records } = serveLocally({
      streaming: true,
      maxRequestBytes: 10,
      onError: (error) => void errors.push(error),
      onRefuse: (error) => error.name,
    }, (conn) => conn.text());
    const client = await send(server.addr, "x".repeat(1000));
    assertEquals(await readText(client), "RequestTooLargeError");
    await server.shutdown();
    assertEquals(records.outcomes, ["too-large"]);
    assertInstanceOf((await records.nth(1)).error, RequestTooLargeError);
    assertEquals(errors, []);
  });
});

Deno.test("serve() abandons a handler that outlives the deadline", async () => {
  const errors: unknown[] = [];
  const reported = Promise.withResolvers<void>();
  const late = Promise.withResolvers<string>();
  const tooLate = Promise.withResolvers<string>();
  let reason: TimeoutError | undefined;
  const { server, records } = serveLocally({
    deadline: 30,
    onError: (error) => {
      errors.push(error);
      reported.resolve();
      return "for nobody";
    },
  }, async (conn) => {
    conn.signal.addEventListener("abort", () => reason = conn.signal.reason);
    const text = await conn.text();
    if (text === "late") return await late.promise;
    if (text === "too late") return await tooLate.promise;
    return text;
  });
  assertEquals(await ask(server.addr, "late"), "");
  assertEquals(reason?.option, "deadline");
  assertEquals(await ask(server.addr, "too late"), "");
  assertEquals(await ask(server.addr, "next"), "next");
  late.resolve("dropped");
  tooLate.reject(new Error("late fault"));
  await reported.promise;
  await server.shutdown();
  assertEquals(errors.map(String), ["Error: late fault"]);
  assertEquals(records.outcomes, ["deadline", "deadline", "ok"]);
});

Deno.test("serve() cancels the stream that an abandoned handler returns", async () => {
  const late = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const { server } = serveLocally({ deadline: 30 }, async () => {
    await late.promise;
    return new ReadableStream({ cancel: () => cancelled.resolve() });
  });
  await ask(server.addr);
  late.resolve();
  await cancelled.promise;
  await server.shutdown();
});

Deno.test("serve() says nothing of an abandoned handler that heeds its signal", async () => {
  const errors: unknown[] = [];
  const { server, records } = serveLocally({
    deadline: 30,
    onError: (error) => void errors.push(error),
  }, async ({ signal }) => {
    await new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason))
    );
  });
  assertEquals(await ask(server.addr), "");
  await server.shutdown();
  assertEquals(records.outcomes, ["deadline"]);
  assertEquals(errors, []);
});

Deno.test("serve() says nothing of an abandoned handler that reads its request too late", async (t) => {
  const readings = {
    "text()": (conn: Conn) => conn.text(),
    "read()": (conn: Conn) => conn.read(new Uint8Array(9)),
  };
  for (const [name, read] of Object.entries(readings)) {
    await t.step(name, async () => {
      const errors: unknown[] = [];
      const late = Promise.withResolvers<void>();
      const failed = Promise.withResolvers<unknown>();
      const { server, records } = serveLocally({
        deadline: 30,
        onError: (error) => void errors.push(error),
      }, async (conn) => {
        await late.promise;
        const reading = read(conn);
        // Nobody awaits it yet: that must not end the process.
        await turnOfIo();
        await reading.catch(failed.resolve);
        await reading;
      });
      assertEquals(await ask(server.addr, "x"), "");
      await records.nth(1);
      late.resolve();
      assertInstanceOf(await failed.promise, TimeoutError);
      await server.shutdown();
      assertEquals(errors, []);
    });
  }
});

Deno.test("serve() abandons an onError() that outlives the deadline", async () => {
  const { server, records } = serveLocally({
    deadline: 30,
    onError: () => new Promise<void>(() => {}),
  }, async (conn) => {
    if (await conn.text() === "fault") throw new Error("fault");
    return "ok";
  });
  assertEquals(await ask(server.addr, "fault"), "");
  assertEquals(await ask(server.addr, "next"), "ok");
  await server.shutdown();
  assertEquals(records.outcomes, ["failed", "ok"]);
});

Deno.test("serve() hands out one connection at a time", async () => {
  let handling = 0;
  let most = 0;
  const { server } = serveLocally({}, async (conn) => {
    most = Math.max(most, ++handling);
    await pause(1);
    handling--;
    return conn.bytes();
  });
  await (await lineUp(server.addr, 20)).served();
  await server.shutdown();
  assertEquals(most, 1);
});

Deno.test("serve() takes an empty request for a request", async () => {
  const seen: number[] = [];
  const { server, records } = serveLocally({}, async (conn) => {
    seen.push((await conn.bytes()).length);
  });
  (await connect(server.addr)).close();
  await records.nth(1);
  await server.shutdown();
  assertEquals(seen, [0]);
});

Deno.test("serve() streams a large request to a handler that counts it", async () => {
  const { server } = serveLocally(
    { streaming: true, maxRequestBytes: Infinity },
    async (conn) => {
      let size = 0;
      for await (const bytes of conn.readable) size += bytes.length;
      return `${size}`;
    },
  );
  const client = await connect(server.addr);
  const chunk = new Uint8Array(1_048_576);
  for (let i = 0; i < 64; i++) await writeAll(client, chunk);
  await client.closeWrite();
  assertEquals(await readText(client), `${64 * 1_048_576}`);
  await server.shutdown();
});

Deno.test("serve() keeps small exchanges apart", async () => {
  const { server } = serveLocally();
  for (let i = 0; i < 300; i++) {
    const request = encode("x".repeat(i));
    assertEquals(await exchange(server.addr, request), request);
  }
  await server.shutdown();
});

Deno.test("serve() has a server whose close() cuts an exchange under way", async () => {
  const begun = Promise.withResolvers<void>();
  const { server, records } = serveLocally({}, async (conn) => {
    begun.resolve();
    await new Promise((resolve) => conn.signal.onabort = resolve);
  });
  const client = await send(server.addr, "hello");
  await begun.promise;
  server.close();
  assertEquals(await readText(client), "");
  await server.finished;
  assertEquals(records.outcomes, ["aborted"]);
});

Deno.test("serve() ignores a boolean that its handler returns", async (t) => {
  await t.step("what respond() resolves to", async () => {
    const { server, records } = serveLocally({}, (conn) => conn.respond("x"));
    assertEquals(await ask(server.addr), "x");
    await server.shutdown();
    assertEquals(records.outcomes, ["ok"]);
  });
  for (const answer of [true, false]) {
    await t.step(`${answer} without a response`, async () => {
      const { server, records } = serveLocally({}, () => answer);
      assertEquals(await ask(server.addr), "");
      await server.shutdown();
      assertEquals(records.outcomes, ["ok"]);
    });
  }
});
