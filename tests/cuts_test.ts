// What a server records of a request that its client cuts: a client that gives up
// must not look as if it had sent all.

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type ExchangeRecord,
  type Handler,
  request,
  type RequestBody,
  type RequestOptions,
  serve,
} from "../mod.ts";
import { encode } from "./bytes.ts";
import { spawn } from "./programs.ts";
import { local } from "./sockets.ts";
import {
  block,
  Records,
  serveLocally,
  temporaryFolder,
  testIf,
  testOnLinux,
} from "./support.ts";
import { authorityFile, caCerts, cert, key } from "./tls.ts";
import { Tool } from "./tool.ts";

const isWindows = Deno.build.os === "windows";

/** A server of each transport. On a Unix socket there is no reset. */
const transports = [
  { name: "TCP", isLoud: true, whenKilled: ["ok"] },
  { name: "TLS", isLoud: true, whenKilled: ["truncated", "reset"] },
  { name: "Unix", isLoud: false, whenKilled: ["ok"] },
] as const;

/** A server, and how it is reached. */
interface Place extends AsyncDisposable {
  readonly options: RequestOptions;
  readonly args: string[];
  /** Resolves when the client is accepted: of an earlier reset nobody is told. */
  readonly accepted: Promise<void>;
  /** What was recorded of the only exchange. */
  outcome(): Promise<string>;
}

/** A server that echoes while it reads: a client with a reply is in the middle. */
async function serveOn(
  transport: typeof transports[number]["name"],
  {
    streaming = true,
    handler = ((conn) => conn.readable) as Handler,
    until = undefined as ((head: Uint8Array) => number | undefined) | undefined,
  } = {},
): Promise<Place> {
  const records = new Records();
  const accepted = Promise.withResolvers<void>();
  const options = {
    streaming,
    ...(until && { until }),
    allow: () => {
      accepted.resolve();
      return true;
    },
    onExchange: (record: ExchangeRecord) => records.add(record),
  };
  const outcome = async () => (await records.nth(1)).outcome;
  if (transport === "Unix") {
    const folder = await temporaryFolder();
    const path = `${folder.path}/test.sock`;
    const server = serve({ path, ...options }, handler);
    return {
      options: { path },
      args: [`unix:${path}`],
      accepted: accepted.promise,
      outcome,
      async [Symbol.asyncDispose]() {
        await server.shutdown();
        await folder[Symbol.asyncDispose]();
      },
    };
  }
  const isTls = transport === "TLS";
  const server = serve(
    { ...local, ...options, ...(isTls && { cert, key }) },
    handler,
  );
  const { port } = server.addr;
  const where = { hostname: "localhost", port };
  return {
    options: isTls ? { ...where, tls: true, caCerts } : where,
    args: [
      ...(isTls ? ["--tls", "--ca", authorityFile] : []),
      `localhost:${port}`,
    ],
    accepted: accepted.promise,
    outcome,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** A reset of TLS may be seen as an end without a `close_notify`. */
function assertOutcome(outcome: string, isLoud: boolean): void {
  const expected = isLoud ? ["reset", "truncated"] : ["ok"];
  assert(expected.includes(outcome), `the outcome is "${outcome}"`);
}

/** A body that begins, and ends only by `onEnd`. */
function begun(onEnd?: Promise<string>): RequestBody {
  return (async function* () {
    yield "half a requ";
    yield await (onEnd ?? new Promise<never>(() => {}));
  })();
}

/** What cuts a request that is under way, and fails with it. */
type Cut = (options: RequestOptions) => Promise<unknown>;

const cuts: Record<string, Cut> = {
  async "its signal"(options) {
    const controller = new AbortController();
    const { signal } = controller;
    const reply = await request({ ...options, signal }, begun());
    controller.abort();
    await reply.text();
  },
  async "its timeout"(options) {
    await (await request({ ...options, timeout: 300 }, begun())).text();
  },
  async "a body that throws"(options) {
    const rest = Promise.withResolvers<string>();
    const reply = await request(options, begun(rest.promise));
    rest.reject(new Error("out of paper"));
    await reply.text();
  },
  async "a body that gives no bytes"(options) {
    const rest = Promise.withResolvers<string>();
    const reply = await request(options, begun(rest.promise));
    rest.resolve(5 as unknown as string);
    await reply.text();
  },
  async "a reply that is too large"(options) {
    await (await request({ ...options, maxReplyBytes: 3 }, begun())).text();
  },
  async "cancelling the reply"(options) {
    const reply = await request(options, begun());
    await reply.readable.cancel();
    throw new Error("cancelled");
  },
  async "disposing of the reply"(options) {
    {
      await using _reply = await request(options, begun());
    }
    throw new Error("disposed of");
  },
  async "leaving a loop over the reply"(options) {
    const reply = await request(options, begun());
    for await (const _ of reply.readable) break;
    throw new Error("left");
  },
};

for (const { name, isLoud } of transports) {
  const looks = isLoud ? "looks cut" : "cannot look cut";
  const test = (name: string, fn: () => Promise<void>) =>
    testIf(isLoud || !isWindows, "Unix sockets", name, fn);

  for (const [cause, cut] of Object.entries(cuts)) {
    test(`request() that is cut by ${cause} ${looks} on ${name}`, async () => {
      await using place = await serveOn(name);
      await assertRejects(() => cut(place.options));
      assertOutcome(await place.outcome(), isLoud);
    });
  }

  test(`request() that is cut when all is sent leaves a complete request on ${name}`, async () => {
    const given = Promise.withResolvers<string>();
    const cut = Promise.withResolvers<void>();
    await using place = await serveOn(name, {
      streaming: false,
      handler: async (conn) => {
        given.resolve(await conn.text());
        await cut.promise;
        return "too late";
      },
    });
    const controller = new AbortController();
    const { signal } = controller;
    const asking = request({ ...place.options, signal }, "all of it");
    assertEquals(await given.promise, "all of it");
    controller.abort();
    await assertRejects(() => asking, DOMException);
    cut.resolve();
    // Its response may find nobody.
    const outcome = await place.outcome();
    assert(["ok", "reset"].includes(outcome), outcome);
  });

  test(
    `half a request ${
      isLoud ? "never reaches a handler" : "reaches a handler"
    } on ${name}`,
    async () => {
      const received: string[] = [];
      await using place = await serveOn(name, {
        streaming: false,
        handler: async (conn) => {
          received.push(await conn.text());
        },
      });
      const body = (async function* () {
        yield "half a requ";
        await place.accepted;
        throw new Error("out of paper");
      })();
      await assertRejects(
        () => request(place.options, body),
        Error,
        "of paper",
      );
      assertOutcome(await place.outcome(), isLoud);
      assertEquals(received, isLoud ? [] : ["half a requ"]);
    },
  );
}

// The tool

/** What one can do to a run of the tool. */
interface Run {
  kill(signal: Deno.Signal): void;
  /** Closes its standard output. */
  close(): Promise<void>;
  /** Gives it more of the request. */
  write(text: string): Promise<void>;
}

interface ToolCut {
  /** What it is told besides the destination. */
  readonly args?: string[];
  readonly status: number;
  act?(run: Run): void | Promise<void>;
}

const toolCuts: Record<string, ToolCut> = {
  SIGINT: { status: 130, act: (run) => run.kill("SIGINT") },
  SIGTERM: { status: 143, act: (run) => run.kill("SIGTERM") },
  SIGHUP: { status: 129, act: (run) => run.kill("SIGHUP") },
  "two signals": {
    status: 143,
    act(run) {
      run.kill("SIGTERM");
      run.kill("SIGTERM");
    },
  },
  "--timeout": { args: ["--timeout", "1s"], status: 124 },
  "a closed output": {
    status: 141,
    async act(run) {
      await run.close();
      await run.write("more");
    },
  },
};

for (const { name, isLoud } of transports) {
  for (const [cause, { args = [], status, act }] of Object.entries(toolCuts)) {
    testIf(
      !isWindows,
      "signals",
      `send that is cut by ${cause} ${
        isLoud ? "looks cut" : "cannot look cut"
      } on ${name}`,
      async () => {
        await using place = await serveOn(name);
        const [program = "", ...rest] = Tool.command(
          ["send", ...args, ...place.args],
          { permissions: ["-N", "-R", "-W"] },
        );
        const child = spawn(program, rest, { stdin: "piped" });
        const writer = child.stdin.getWriter();
        const reader = child.stdout.getReader();
        await writer.write(encode("half a requ"));
        assertEquals((await reader.read()).value, encode("half a requ"));
        await act?.({
          kill: (signal) => child.kill(signal),
          close: () => reader.cancel(),
          write: (text) => writer.write(encode(text)),
        });
        assertEquals((await child.status).code, status);
        await Promise.allSettled([
          writer.close(),
          reader.cancel(),
          child.stderr.cancel(),
        ]);
        assertOutcome(await place.outcome(), isLoud);
      },
    );
  }
}

testIf(
  !isWindows,
  "signals",
  "send that a signal ends when the server has just accepted it looks cut",
  async () => {
    let child: Deno.ChildProcess | undefined;
    const { server, records } = serveLocally({
      // It may not know yet that it is connected.
      allow: () => {
        child?.kill("SIGTERM");
        return true;
      },
    });
    const args = ["send", `127.0.0.1:${server.addr.port}`];
    const [program = "", ...rest] = Tool.command(args, {
      permissions: ["-N"],
    });
    for (let i = 0; i < 10; i++) {
      child = spawn(program, rest, { stdin: "piped" });
      assertEquals((await child.status).code, 143);
      await Promise.allSettled([
        child.stdin.close(),
        child.stdout.cancel(),
        child.stderr.cancel(),
      ]);
    }
    await server.shutdown();
    assertEquals(records.outcomes, Array(10).fill("reset"));
  },
);

/** Kills a client of half a request in its middle. */
async function killMidway(place: Place): Promise<void> {
  const [program = "", ...args] = Tool.command(["send", ...place.args], {
    permissions: ["-N", "-R", "-W"],
  });
  const child = spawn(program, args, { stdin: "piped" });
  const writer = child.stdin.getWriter();
  const reader = child.stdout.getReader();
  await writer.write(encode("half a requ"));
  await reader.read();
  child.kill("SIGKILL");
  await child.status;
  await Promise.allSettled([
    writer.close(),
    reader.cancel(),
    child.stderr.cancel(),
  ]);
}

for (const { name, whenKilled } of transports) {
  const [outcome] = whenKilled;
  testIf(
    !isWindows,
    "signals",
    `send that is killed is "${outcome}" on ${name}`,
    async () => {
      await using place = await serveOn(name);
      await killMidway(place);
      const recorded = await place.outcome();
      assert(whenKilled.some((one) => one === recorded), recorded);
    },
  );

  testIf(
    !isWindows,
    "signals",
    `send that is killed looks cut on ${name} if a length tells`,
    async () => {
      await using place = await serveOn(name, { until: () => 20 });
      await killMidway(place);
      assertOutcome(await place.outcome(), true);
    },
  );
}

testOnLinux("send that cannot read its input looks cut", async () => {
  const { server, records } = serveLocally();
  // It opens, and cannot be read.
  const args = ["--file", "/proc/self/mem", `127.0.0.1:${server.addr.port}`];
  const ending = await Tool.run(["send", ...args], { permissions: ["-A"] });
  assertEquals(ending.code, 1);
  await server.shutdown();
  // Nobody is told of a reset before the accept.
  assert(records.outcomes.every((outcome) => outcome === "reset"));
});

Deno.test("request() that is cut while the event loop is busy looks cut", async () => {
  const { server, records } = serveLocally({ streaming: true });
  const { port } = server.addr;
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    const { signal } = controller;
    const asking = request({ ...local, port, signal }, begun());
    setImmediate(() => {
      // The connection is made meanwhile, and nobody is told of it.
      block(12);
      controller.abort();
      setImmediate(() => block(12));
      for (const time of [9, 10]) setTimeout(() => block(12), time);
    });
    await assertRejects(() => asking, DOMException);
  }
  await server.shutdown();
  // Nobody is told of a reset before the accept.
  assert(records.outcomes.every((outcome) => outcome === "reset"));
});

Deno.test("request() that is cut when the server has just accepted it looks cut", async () => {
  // The server accepts before the client is told that it is connected.
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    let handled = 0;
    const { server, records } = serveLocally({
      allow: () => {
        controller.abort();
        return true;
      },
    }, () => void handled++);
    const { port } = server.addr;
    const { signal } = controller;
    await assertRejects(
      () => request({ ...local, port, signal }, "all of it"),
      DOMException,
    );
    assertEquals((await records.nth(1)).outcome, "reset");
    assertEquals(handled, 0);
    await server.shutdown();
  }
});
