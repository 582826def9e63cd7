// What it costs to keep exchanges to their limits.

import { connections } from "./in_memory.ts";

const off = {
  maxRequestBytes: Infinity,
  deadline: Infinity,
  idleTimeout: Infinity,
};

for (
  const [name, options, baseline] of [
    ["no limits", off, true],
    ["deadline", { ...off, deadline: 60_000 }, false],
    ["idleTimeout", { ...off, idleTimeout: 15_000 }, false],
    ["maxRequestBytes", { ...off, maxRequestBytes: 16_777_216 }, false],
    ["all limits", {}, false],
  ] as const
) {
  const next = connections(new Uint8Array(64), options);
  Deno.bench(
    `exchange with ${name}`,
    { group: "limits", baseline },
    async () => {
      const conn = await next();
      await conn.respond(await conn.bytes());
    },
  );
}

// What a timer for each exchange would cost instead.
Deno.bench("a timer set and cleared", { group: "timer" }, () => {
  clearTimeout(setTimeout(() => {}, 15_000));
});
