// Random schedules against what the server promises; `deno task fuzz` plays more.

import {
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { type Events, findFaults } from "./fuzz/model.ts";
import { describe, tryOut } from "./fuzz/fuzz.ts";
import { play } from "./fuzz/play.ts";
import { makeSchedule, type Schedule, tellLength } from "./fuzz/schedule.ts";
import { pattern } from "./bytes.ts";
import { importMap, runDeno } from "./programs.ts";

// Unix sockets are among them.
const ignore = Deno.build.os === "windows";

Deno.test({
  name: "serve() and listen() keep their promises in 300 random schedules",
  ignore,
  async fn() {
    let seed = 1;
    // Always the same ones: new findings are for those who look for them.
    const work = async () => {
      while (seed <= 300) {
        const schedule = makeSchedule(seed++);
        const faults = await tryOut(schedule.seed);
        assertEquals(faults, [], describe(schedule));
      }
    };
    await Promise.all([work(), work(), work(), work()]);
  },
});

Deno.test("fuzz: a seed makes the same schedule again, and another one another", () => {
  assertEquals(makeSchedule(4711), makeSchedule(4711));
  assertNotEquals(makeSchedule(4711), makeSchedule(4712));
});

for (const ending of ["FIN", "length"] as const) {
  Deno.test({
    name:
      `fuzz: what a server must not do is found, with requests that end by ${ending}`,
    ignore,
    async fn(t) {
      const schedule = goodClients(ending);
      const events = await play(schedule);
      assertEquals(findFaults(schedule, events), []);
      const wrong: Record<string, (events: Events) => void> = {
        "a cut answer": ({ sights: [sight] }) => {
          if (sight) sight.bytes = sight.bytes.slice(0, -1);
        },
        "a wrong byte": ({ sights: [sight] }) => {
          if (sight) sight.bytes = sight.bytes.map((byte) => byte ^ 1);
        },
        "an answer that ends with a reset": ({ sights: [sight] }) => {
          if (sight) sight.end = "error";
        },
        "nobody who listens": ({ sights: [sight] }) => {
          if (sight) sight.connected = "never";
        },
        "a record that is missing": ({ records }) => void records.pop(),
        "a record too many": ({ records: [record], records }) => {
          if (record) records.push({ ...record, id: records.length + 1 });
        },
        "a wrong number": ({ records: [record], records }) => {
          if (record) records[0] = { ...record, id: 5 };
        },
        "a wrong outcome": ({ records: [record], records }) => {
          if (record) records[0] = { ...record, outcome: "reset" };
        },
        "a wrong count of bytes": ({ records: [record], records }) => {
          if (record) records[0] = { ...record, bytesWritten: 1 };
        },
        "two at once": (events) => void (events.atOnce = 2),
        "half a request": ({ requests: [request], requests }) => {
          if (request) requests[0] = request.slice(0, -1);
        },
      };
      await checkFindings(t, schedule, events, wrong);
    },
  });
}

Deno.test({
  name: "fuzz: a client that is cut, and looks complete, is found",
  ignore,
  async fn(t) {
    const schedule = withCutClient(makeSchedule(1));
    const [client] = schedule.clients;
    const events = await play(schedule);
    assertEquals(findFaults(schedule, events), []);
    await checkFindings(t, schedule, events, {
      "a request that a handler was given": ({ requests }) =>
        void requests.push(client?.request ?? new Uint8Array()),
      "half of it": ({ requests }) =>
        void requests.push(client?.request.slice(0, 1) ?? new Uint8Array()),
      "an exchange that is all right": ({ records: [record], records }) => {
        if (!record) return;
        records[0] = { ...record, outcome: "ok", phase: "writing" };
      },
      "a client that was not cut": ({ sights: [sight] }) => {
        if (sight) sight.end = "eof";
      },
    });
  },
});

/** Checks that each of some wrongs is found. */
async function checkFindings(
  t: Deno.TestContext,
  schedule: Schedule,
  events: Events,
  wrongs: Record<string, (events: Events) => void>,
): Promise<void> {
  for (const [what, tamper] of Object.entries(wrongs)) {
    await t.step(what, () => {
      const tampered = structuredClone(events);
      tamper(tampered);
      assertNotEquals(findFaults(schedule, tampered), []);
    });
  }
}

/** A calm schedule whose only client is cut by its body. */
function withCutClient(schedule: Schedule): Schedule {
  const [client] = schedule.clients;
  if (!client) throw new Error("There is no client");
  return {
    ...schedule,
    transport: "tcp",
    behaviour: "echo",
    hurried: false,
    stop: undefined,
    options: {
      ...schedule.options,
      maxRequestBytes: Infinity,
      deadline: 60_000,
      idleTimeout: 60_000,
      streaming: false,
      until: undefined,
    },
    clients: [{
      ...client,
      ours: true,
      ending: "body",
      reading: "at once",
      // It is accepted by then: of an earlier reset there may be no record.
      request: pattern(1_000_000),
      pauses: [{ at: 500_000, delay: 50 }],
    }],
  };
}

/** One whose clients all are to be answered what they sent. */
function goodClients(ending: "FIN" | "length"): Schedule {
  const schedule = makeSchedule(seedOfGoodClients());
  if (ending === "FIN") return schedule;
  for (const { request } of schedule.clients) tellLength(request, HEAD_BYTES);
  const options = { ...schedule.options, until: HEAD_BYTES };
  return { ...schedule, options };
}

const HEAD_BYTES = 3;

function seedOfGoodClients(): number {
  for (let seed = 1;; seed++) {
    const { behaviour, hurried, stop, transport, options, clients } =
      makeSchedule(seed);
    const calm = !hurried && !stop && options.maxRequestBytes === Infinity;
    if (behaviour !== "echo" || !calm || transport !== "tcp") continue;
    if (options.until !== undefined) continue;
    const good = clients.every(({ ending, reading, request }) =>
      ending === "fin" && reading !== "some" && request.length >= HEAD_BYTES
    );
    if (good && clients.length > 1) return seed;
  }
}

async function fuzz(...args: string[]) {
  const flags = ["run", "-A", ...importMap(), "tests/fuzz/fuzz.ts"];
  const { code, stdout, stderr } = await runDeno(...flags, ...args);
  return { code, stdout: stdout.trim(), stderr: stderr.trim() };
}

Deno.test({
  name: "fuzz: the command plays the seeds that it is told to",
  ignore,
  async fn() {
    const { code, stdout, stderr } = await fuzz("--seed", "7", "--count", "3");
    assertEquals([code, stderr], [0, ""]);
    assertEquals(
      stdout,
      "seeds 7 to 9: 3 schedules, 0 findings, 0 descriptors left open",
    );
  },
});

Deno.test("fuzz: the command says which arguments it does not take", async () => {
  const cases: [args: string[], message: string][] = [
    [
      ["--seed", "x"],
      '--seed must be a whole number from 0 to 4294967295, received "x"',
    ],
    [
      ["--count=-1"],
      '--count must be a whole number from 1 to 1000000000, received "-1"',
    ],
    [
      ["--jobs", "1.5"],
      '--jobs must be a whole number from 1 to 64, received "1.5"',
    ],
    [["--sead", "1"], 'unexpected argument "--sead". See --help'],
    [["extra"], 'unexpected argument "extra". See --help'],
  ];
  for (const [args, message] of cases) {
    assertEquals(await fuzz(...args), {
      code: 2,
      stdout: "",
      stderr: `fuzz: ${message}`,
    });
  }
});

Deno.test("fuzz: the command tells what it takes", async () => {
  const { code, stdout } = await fuzz("--help");
  assertEquals(code, 0);
  for (const flag of ["--seed", "--count", "--jobs", "--help"]) {
    assertStringIncludes(stdout, flag);
  }
});
