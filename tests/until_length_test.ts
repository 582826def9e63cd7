// Requests whose head tells their length: `until` as a function.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { serve, type TcpOptions } from "../mod.ts";
import { areSame, encode, pattern } from "./bytes.ts";
import { RudeClient } from "./rude_client.ts";
import { begin, connect, readText, send, writeAll } from "./sockets.ts";
import { listenLocally, serveLocally, turnOfIo } from "./support.ts";
import { cert, connectTls, key } from "./tls.ts";

/** The first byte says how many follow. */
const firstByte = (head: Uint8Array) => 1 + (head[0] ?? 0);

/** Four bytes, the last of which says how long all is: less than that, perhaps. */
const fourthByte = (head: Uint8Array) => head[3];

type LengthOf = (head: Uint8Array<ArrayBuffer>) => number | undefined;

/** Sends chunks, each of which has been read before the next is sent. */
async function dripped(
  chunks: readonly string[],
  options: TcpOptions & { until: LengthOf },
): Promise<[reply: string, end: string | undefined, bytesRead: number]> {
  let asked = Promise.withResolvers<void>();
  const { server, records } = serveLocally({
    ...options,
    until: (head) => {
      asked.resolve();
      const length = options.until(head);
      if (length === undefined) asked = Promise.withResolvers();
      return length;
    },
  }, (conn) => options.streaming ? conn.readable : conn.bytes());
  const client = await connect(server.addr);
  for (const chunk of chunks) {
    const { promise } = asked;
    await writeAll(client, encode(chunk));
    await promise;
  }
  const reply = await readText(client);
  const { end, bytesRead, outcome } = await records.nth(1);
  assertEquals(outcome, "ok");
  await server.shutdown();
  return [reply, end, bytesRead];
}

for (const streaming of [false, true]) {
  const how = streaming ? "streamed" : "buffered";

  Deno.test(`until: the head tells where a request ends, ${how}`, async () => {
    const until = firstByte;
    assertEquals(
      await dripped(["\x05hello"], { until, streaming }),
      ["\x05hello", "length", 6],
    );
    assertEquals(
      await dripped(["\x05", "hel", "lo, and more"], { until, streaming }),
      ["\x05hello", "length", 6],
    );
  });

  Deno.test(`until: what has come already may be longer than its head says, ${how}`, async () => {
    const until = fourthByte;
    assertEquals(
      await dripped(["abc\x02def"], { until, streaming }),
      ["ab", "length", 2],
    );
    // What was handed out before cannot be taken back.
    assertEquals(
      await dripped(["abc", "\x02def"], { until, streaming }),
      streaming ? ["abc", "length", 3] : ["ab", "length", 2],
    );
    assertEquals(
      await dripped(["abc", "\x03def"], { until, streaming }),
      ["abc", "length", 3],
    );
  });

  Deno.test(`until: it is asked after each read with all of the head, and never again, ${how}`, async () => {
    const heads: string[] = [];
    const until = (head: Uint8Array) => {
      heads.push(new TextDecoder().decode(head));
      return head.length < 3 ? undefined : 6;
    };
    const [reply] = await dripped(["a", "b", "c", "d", "ef"], {
      until,
      streaming,
    });
    assertEquals(reply, "abcdef");
    assertEquals(heads, ["a", "ab", "abc"]);
  });

  Deno.test(`until: it sees at most 16 384 bytes, ${how}`, async () => {
    const sizes: number[] = [];
    const { server, records } = serveLocally({
      streaming,
      until: (head) => {
        sizes.push(head.length);
        return head.length < 16_384 ? undefined : 200_000;
      },
    }, async (conn) => `${(await conn.bytes()).length}`);
    const client = await begin(server.addr, pattern(10_000));
    await turnOfIo();
    await writeAll(client, pattern(200_000));
    assertEquals(await readText(client), "200000");
    assertEquals(sizes, [10_000, 16_384]);
    assertEquals(records.outcomes, ["ok"]);
    await server.shutdown();
  });

  Deno.test(`until: a head of 16 384 bytes that does not tell is too large, ${how}`, async () => {
    let asked = 0;
    const { server, records } = serveLocally({
      streaming,
      until: () => {
        asked++;
        return undefined;
      },
      onRefuse: (error) => error.message,
    });
    const reply = await readText(await begin(server.addr, pattern(16_384)));
    assertStringIncludes(reply, "not in its first 16384 bytes");
    const record = await records.nth(1);
    assertEquals([record.outcome, record.bytesRead], ["too-large", 16_384]);
    assert(asked > 0);
    await server.shutdown();
  });

  Deno.test(`until: the buffer of the head holds nobody else's bytes, ${how}`, async () => {
    const buffers: number[][] = [];
    const { server } = serveLocally({
      streaming,
      until: ({ buffer, length }) => {
        buffers.push(Array.from(new Uint8Array(buffer)));
        return length < 3 ? undefined : 3;
      },
    });
    await readText(await begin(server.addr, "secret".repeat(100)));
    buffers.length = 0;
    const client = await begin(server.addr, "a");
    await turnOfIo();
    await writeAll(client, encode("bc"));
    await readText(client);
    const seen = buffers.map((bytes) => bytes.filter((byte) => byte !== 0));
    assertEquals(seen, [[97], [97, 98, 99]]);
    await server.shutdown();
  });

  Deno.test(`until: writing to the head does not change the request, ${how}`, async () => {
    const until = (head: Uint8Array) => head.fill(0).length < 3 ? undefined : 3;
    assertEquals((await dripped(["ab", "c"], { until, streaming }))[0], "abc");
  });

  Deno.test(`until: a length is refused before it has come, ${how}`, async () => {
    const { server, records } = serveLocally({
      streaming,
      maxRequestBytes: 100,
      until: firstByte,
      onRefuse: (error) => error.message,
    });
    const reply = await readText(await begin(server.addr, "\x64x"));
    assertStringIncludes(reply, "larger than the 100 bytes");
    const { outcome, bytesRead, end } = await records.nth(1);
    assertEquals([outcome, bytesRead, end], ["too-large", 2, undefined]);
    const full = await begin(server.addr, "\x63" + "x".repeat(99));
    assertEquals((await readText(full)).length, 100);
    await server.shutdown();
  });

  Deno.test(`until: a FIN before the length is reached cuts the request, ${how}`, async () => {
    const { server, records } = serveLocally({ until: firstByte, streaming });
    assertEquals(await readText(await send(server.addr, "\x05hell")), "");
    const record = await records.nth(1);
    assertEquals([record.outcome, record.phase, record.end], [
      ...["truncated", "reading", undefined],
    ]);
    assert(record.error instanceof Deno.errors.UnexpectedEof);
    assertStringIncludes(record.error.message, "after 5 of its 6 bytes");
    await server.shutdown();
  });

  Deno.test(`until: a FIN before the head tells cuts the request, ${how}`, async () => {
    const { server, records } = serveLocally({ until: fourthByte, streaming });
    assertEquals(await readText(await send(server.addr, "abc")), "");
    const { outcome, error } = await records.nth(1);
    assertEquals(outcome, "truncated");
    assertStringIncludes(`${error}`, "after 3 bytes, from which `until`");
    await server.shutdown();
  });

  Deno.test(`until: a request of nothing is empty, ${how}`, async () => {
    const { server, records } = serveLocally({ until: firstByte, streaming });
    assertEquals(await readText(await send(server.addr, "")), "");
    const { outcome, end } = await records.nth(1);
    assertEquals([outcome, end], ["ok", "fin"]);
    await server.shutdown();
  });

  for (
    const [wrong, shown] of [
      [() => 0, "0"],
      [() => -1, "-1"],
      [() => 1.5, "1.5"],
      [() => NaN, "NaN"],
      [() => Infinity, "Infinity"],
      [() => null, "null"],
      [() => "5", '"5"'],
      [() => 5n, "5n"],
      [() => Promise.resolve(5), "Promise"],
      [() => Promise.reject(new Error("unawaited")), "Promise"],
    ] as const
  ) {
    Deno.test(`until: ${shown} is no length, ${how}`, async () => {
      const until = wrong as () => number;
      const errors: unknown[] = [];
      const { server, records } = serveLocally({
        until,
        streaming,
        onError: (error) => void errors.push(error),
      });
      assertEquals(await readText(await begin(server.addr, "hello")), "");
      const { outcome, phase, error, end } = await records.nth(1);
      assertEquals([outcome, phase, end], ["failed", "reading", undefined]);
      assert(error instanceof RangeError);
      assertStringIncludes(error.message, "`until` must return at once");
      assertStringIncludes(error.message, `received ${shown}`);
      assertEquals(errors, streaming ? [error] : []);
      await server.shutdown();
    });
  }

  Deno.test(`until: what it throws fails its own exchange only, ${how}`, async () => {
    for (const reason of [new Error("from until"), undefined]) {
      const { server, records } = serveLocally({
        streaming,
        onError: () => {},
        until: ([first]) => {
          if (first === 0) throw reason;
          return 2;
        },
      });
      assertEquals(await readText(await begin(server.addr, "\0a")), "");
      assertEquals(await readText(await begin(server.addr, "ab")), "ab");
      const { outcome, phase, error } = await records.nth(1);
      assertEquals([outcome, phase, error], ["failed", "reading", reason]);
      assertEquals(records.outcomes, ["failed", "ok"]);
      await server.shutdown();
    }
  });

  Deno.test(`until: a large request of a known length is whole, ${how}`, async () => {
    const body = pattern(3_000_000);
    const length = (head: Uint8Array) =>
      head.length < 4 ? undefined : 4 + new DataView(head.buffer).getUint32(0);
    const { listener, records } = listenLocally({ until: length, streaming });
    const client = await connect(listener.addr);
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, body.length);
    const sent = writeAll(client, head).then(() => writeAll(client, body))
      .then(() => writeAll(client, encode("more")));
    for await (const conn of listener) {
      const request = await conn.bytes();
      assert(areSame(request.subarray(4), body));
      await conn.respond("whole");
      break;
    }
    await sent;
    assertEquals(await readText(client), "whole");
    assertEquals(records.all[0]?.end, "length");
  });
}

Deno.test("until: a length ends a request on TLS, and a close_notify before it cuts", async () => {
  const { server, records } = serveLocally({ cert, key, until: firstByte });
  const client = await connectTls(server.addr.port);
  await writeAll(client, encode("\x05hello, and more"));
  assertEquals(await readText(client), "\x05hello");
  const early = await connectTls(server.addr.port);
  await writeAll(early, encode("\x05hell"));
  await early.closeWrite();
  assertEquals(await readText(early), "");
  assertEquals(records.outcomes, ["ok", "truncated"]);
  assertEquals(records.all[0]?.end, "length");
  await server.shutdown();
});

Deno.test("until: a PROXY header is not part of the head", async () => {
  const { server, records } = serveLocally({
    proxyProtocol: true,
    until: firstByte,
  });
  const request = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n\x05hello, and more";
  assertEquals(await readText(await begin(server.addr, request)), "\x05hello");
  const { end, bytesRead } = await records.nth(1);
  assertEquals([end, bytesRead], ["length", 6]);
  await server.shutdown();
});

Deno.test("until: requests of known lengths are read ahead", async () => {
  const { server, records } = serveLocally({ until: firstByte, readAhead: 2 });
  const slow = await begin(server.addr, "\x05h");
  const quick = await begin(server.addr, "\x02hi");
  assertEquals(await readText(quick), "\x02hi");
  await writeAll(slow, encode("ello"));
  assertEquals(await readText(slow), "\x05hello");
  assertEquals(records.all.map(({ end }) => end), ["length", "length"]);
  await server.shutdown();
});

Deno.test("until: a handler that reads on after it threw gets the same error", async () => {
  const reason = new Error("from until");
  const { listener, records } = listenLocally({
    streaming: true,
    until: () => {
      throw reason;
    },
  });
  const client = await begin(listener.addr, "hello");
  for await (const conn of listener) {
    const buffer = new Uint8Array(9);
    const errors: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      await conn.read(buffer).catch((error) => errors.push(error));
    }
    assertEquals(errors, [reason, reason]);
    await conn.respond("sorry");
    break;
  }
  assertEquals(await readText(client), "sorry");
  assertEquals(records.outcomes, ["failed"]);
});

Deno.test("until: a client that resets within its length is recorded so", async () => {
  const { server, records } = serveLocally({ until: firstByte });
  const client = await RudeClient.connect(server.addr);
  await client.write("\x05he");
  await turnOfIo();
  await client.reset();
  assertEquals((await records.nth(1)).outcome, "reset");
  await server.shutdown();
});

Deno.test("serve() writes to the console what until throws, unless onExchange is told", async () => {
  const written: unknown[][] = [];
  const { error } = console;
  console.error = (...args: unknown[]) => void written.push(args);
  try {
    const server = serve({
      hostname: "127.0.0.1",
      port: 0,
      until: () => {
        throw new Error("from until");
      },
    }, (conn) => conn.bytes());
    assertEquals(await readText(await begin(server.addr, "hello")), "");
    await server.shutdown();
  } finally {
    console.error = error;
  }
  assertEquals(written.length, 1);
  assertStringIncludes(`${written[0]}`, "from until");
});
