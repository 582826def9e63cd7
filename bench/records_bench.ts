// What it costs to be told of each exchange.

import type { ExchangeRecord } from "../server.ts";
import { connections } from "./in_memory.ts";

let told = 0;

for (
  const [name, options, baseline] of [
    ["nobody to tell", {}, true],
    ["onExchange", {
      onExchange: () => void told++,
    }, false],
    ["onExchange that writes JSON", {
      onExchange: (record: ExchangeRecord) =>
        void (told += JSON.stringify(record).length),
    }, false],
  ] as const
) {
  const next = connections(new Uint8Array(64), options);
  Deno.bench(
    `exchange with ${name}`,
    { group: "records", baseline },
    async () => {
      const conn = await next();
      await conn.respond(await conn.bytes());
    },
  );
}
