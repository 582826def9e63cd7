// What the live view makes of what the server does: its lines for any screen.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Activity } from "../cli/view/activity.ts";
import { shortBytes, shortNumber, shortTime } from "../cli/view/quantities.ts";
import { Rates } from "../cli/view/rates.ts";
import { render } from "../cli/view/render.ts";
import { cut, paint } from "../cli/view/styled.ts";
import type { Conn, ExchangeRecord } from "../mod.ts";

const local: Deno.NetAddr = {
  transport: "tcp",
  hostname: "127.0.0.1",
  port: 9000,
};

function client(port: number): Deno.NetAddr {
  return { transport: "tcp", hostname: "192.168.10.24", port };
}

function record(
  id: number,
  more: Partial<ExchangeRecord> = {},
): ExchangeRecord {
  return {
    ...{ id, remoteAddr: client(50_000 + id), localAddr: local },
    peerAddr: client(50_000 + id),
    ...{ startedAt: 0, durationMs: 1.3, waitedMs: 0 },
    ...{ bytesRead: 5, bytesWritten: 2048, phase: "writing", outcome: "ok" },
    ...more,
  };
}

/** An activity whose clock stands still until it is set. */
function begun() {
  let time = 100_000;
  let changes = 0;
  const activity = new Activity(() => changes++, () => time);
  activity.listening(local);
  return {
    activity,
    pass: (milliseconds: number) => time += milliseconds,
    changes: () => changes,
  };
}

/** One client has its turn, two wait, one sends; three exchanges are over. */
function busy(): Activity {
  const { activity, pass } = begun();
  for (let id = 1; id <= 7; id++) activity.accept(client(50_000 + id), id);
  activity.exchange(record(1));
  activity.exchange(record(2, {
    ...{ outcome: "too-large", phase: "reading", bytesRead: 1_114_112 },
    ...{ bytesWritten: 0, startedAt: 31_000 },
    error: new Error("The request is larger\nthan it may be"),
  }));
  activity.exchange(record(3, { durationMs: 61_000 }));
  const head = new Uint8Array();
  const start = { localAddr: local, bytesRead: 5, head };
  for (const id of [6, 5, 4]) {
    pass(100);
    activity.request({ id, remoteAddr: client(50_000 + id), ...start });
  }
  pass(1000);
  activity.turn(
    {
      ...{ id: 6, remoteAddr: client(50_006), localAddr: local },
      ...{ bytesRead: 1500, bytesWritten: 0 },
    } as Partial<Conn> as Conn,
  );
  pass(2300);
  return activity;
}

const screens: [
  name: string,
  activity: Activity,
  columns: number,
  rows: number,
  lines: string[],
][] = [
  ["a server that has just begun", begun().activity, 80, 10, [
    "halfclose on 127.0.0.1:9000                                            up 0.0 ms",
    "0.0 exchanges/s   0 B/s in       0 B/s out       ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁",
    "0 exchanges: 0 ok",
    "In hand                                             for",
    "  -  nobody, waiting for a client",
    "Last exchanges                     in      out     took",
    "",
    "",
    "",
    "",
  ]],
  ["a busy server", busy(), 80, 24, [
    "halfclose on 127.0.0.1:9000                                             up 3.6 s",
    "",
    "0.8 exchanges/s   302 KiB/s in   1.1 KiB/s out   ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█▁▁",
    "3 exchanges: 2 ok, 1 too-large",
    "",
    "In hand: 1 handling, 2 waiting, 1 reading           for",
    "  6  192.168.10.24:50006      1.5 KiB      0 B    2.3 s  handling",
    "  5  192.168.10.24:50005          5 B             3.4 s  waiting",
    "  4  192.168.10.24:50004          5 B             3.3 s  waiting",
    "",
    "Last exchanges                     in      out     took",
    "  3  192.168.10.24:50003          5 B  2.0 KiB    1m 1s  ok",
    "  2  192.168.10.24:50002      1.1 MiB      0 B   1.3 ms  too-large while reading",
    "  1  192.168.10.24:50001          5 B  2.0 KiB   1.3 ms  ok",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "Notes",
    "00:00:31 WARN  request 2 too-large: The request is larger than it may be",
  ]],
  ["a small screen", busy(), 50, 12, [
    "halfclose on 127.0.0.1:9000               up 3.6 s",
    "0.8 exchanges/s   302 KiB/s in   1.1 KiB/s out",
    "3 exchanges: 2 ok, 1 too-large",
    "In hand: 1 handling, 2 wa…      for",
    "  6  192.168.10.24:50006      2.3 s  handling",
    "Last exchanges                 took",
    "  3  192.168.10.24:50003      1m 1s  ok",
    "  2  192.168.10.24:50002     1.3 ms  too-large wh…",
    "  1  192.168.10.24:50001     1.3 ms  ok",
    "",
    "Notes",
    "00:00:31 WARN  request 2 too-large: The request i…",
  ]],
  ["a tiny screen", busy(), 30, 4, [
    "  6  192.168…    2.3 s  handl…",
    "0.8 exchanges/s   302 KiB/s i…",
    "3 exchanges: 2 ok, 1 too-large",
    "halfclose on 127.0.0.1:9000  …",
  ]],
];

for (const [name, activity, columns, rows, lines] of screens) {
  Deno.test(`render() shows ${name} in ${columns}x${rows}`, () => {
    assertEquals(render(activity, { columns, rows, colors: false }), lines);
  });
}

Deno.test("render() fits every screen, whatever clients send", () => {
  const activity = busy();
  const hostile = "\x1b[2J\r\n\x9b1A\x07" + "漢🙂".repeat(3000);
  activity.accept({ transport: "unix", path: hostile }, 8);
  activity.exchange(record(8, {
    remoteAddr: { transport: "unix", path: hostile },
    outcome: "failed",
    error: new Error(hostile),
  }));
  activity.stopping(0);
  for (let columns = 1; columns <= 130; columns += 3) {
    for (let rows = 1; rows <= 50; rows++) {
      const lines = render(activity, { columns, rows, colors: false });
      assert(lines.length <= rows, `${lines.length} lines in ${rows}`);
      for (const line of lines) {
        assert(Array.from(line).length <= columns, `${columns}: ${line}`);
        // deno-lint-ignore no-control-regex
        assert(!/[\x00-\x1f\x7f-\x9f]/.test(line), `${columns}: ${line}`);
      }
    }
  }
});

Deno.test("render() says that the server stops", () => {
  const { activity } = begun();
  activity.stopping(0);
  const [head] = render(activity, { columns: 80, rows: 24, colors: false });
  assertMatch(head ?? "", /^halfclose on \S+ +stopping: serves .*$/);
});

Deno.test("render() keeps its lists in place when clients leave", () => {
  const { activity } = begun();
  const place = () =>
    render(activity, { columns: 80, rows: 24, colors: false })
      .findIndex((line) => line.startsWith("Last exchanges"));
  for (let id = 1; id <= 3; id++) activity.accept(client(id), id);
  const before = place();
  for (let id = 1; id <= 3; id++) activity.exchange(record(id));
  assertEquals(place(), before);
});

Deno.test("Activity tells of each change, and keeps the last things only", () => {
  const { activity, changes } = begun();
  const before = changes();
  for (let id = 1; id <= 1000; id++) {
    activity.accept(client(id), id);
    activity.exchange(record(id, { outcome: "reset" }));
  }
  assertEquals(changes() - before, 3000);
  assertEquals(activity.clients.size, 0);
  assertEquals(activity.outcomes.get("reset"), 1000);
  assertEquals(activity.last.length, 200);
  assertEquals(activity.last.at(-1)?.id, 1000);
  assertEquals(activity.notes.length, 100);
  assertEquals(activity.notes.at(-1)?.message, "request 1000 reset");
});

Deno.test("Rates are the mean of the last seconds, and forget the others", () => {
  const rates = new Rates(5_500);
  rates.add(5_600, 10, 100);
  assertEquals(rates.perSecond(5_700).exchanges, 1);
  assertEquals(rates.perSecond(7_500), {
    ...{ exchanges: 0.5, bytesIn: 5, bytesOut: 50 },
  });
  for (let second = 100; second < 200; second++) {
    for (let i = 0; i < 7; i++) rates.add(second * 1000 + i, 1, 2);
  }
  assertEquals(rates.perSecond(200_000), {
    ...{ exchanges: 7, bytesIn: 7, bytesOut: 14 },
  });
  assertEquals(rates.history(201_000, 3), [7, 7, 0]);
  assertEquals(rates.history(300_000, 100), Array(59).fill(0));
  assertEquals(rates.perSecond(300_000).exchanges, 0);
});

Deno.test("quantities are short", () => {
  const cases: [written: string, expected: string][] = [
    [shortNumber(0), "0.0"],
    [shortNumber(99.94), "99.9"],
    [shortNumber(99.96), "100"],
    [shortNumber(12_345), "12345"],
    [shortBytes(0), "0 B"],
    [shortBytes(1023), "1023 B"],
    [shortBytes(1024), "1.0 KiB"],
    [shortBytes(1023.4 * 1024), "1023 KiB"],
    [shortBytes(1024 ** 2 - 1), "1.0 MiB"],
    [shortBytes(1.5 * 1024 ** 3), "1.5 GiB"],
    [shortBytes(5000 * 1024 ** 5), "5000 PiB"],
    [shortTime(0.04), "0.0 ms"],
    [shortTime(12.34), "12.3 ms"],
    [shortTime(999.4), "999 ms"],
    [shortTime(999.6), "1.0 s"],
    [shortTime(59_960), "1m 0s"],
    [shortTime(754_000), "12m 34s"],
    [shortTime(3_600_000), "1h 0m"],
    [shortTime(86_399_000), "23h 59m"],
    [shortTime(90_000_000), "1d 1h"],
  ];
  for (const [written, expected] of cases) assertEquals(written, expected);
});

Deno.test("cut() and paint() never exceed a width, and split no character", () => {
  assertEquals(cut("hello", 5), "hello");
  assertEquals(cut("hello", 4), "hel…");
  assertEquals(cut("hello", 1), "…");
  assertEquals(cut("hello", 0), "");
  assertEquals(cut("🙂🙂🙂", 3), "🙂🙂🙂");
  assertEquals(cut("🙂🙂🙂", 2), "🙂…");
  const line = ["ab", { text: "cdef", style: "red" as const }, "gh"];
  assertEquals(paint(line, 9, true), "ab\x1b[31mcdef\x1b[0mgh");
  assertEquals(paint(line, 4, true), "ab\x1b[31mc…\x1b[0m");
  assertEquals(paint(line, 4, false), "abc…");
  assertEquals(paint(line, 2, true), "ab");
});
