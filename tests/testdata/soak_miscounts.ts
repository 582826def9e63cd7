// A server for the soak that tells other records than it has made.
import { serveForSoak } from "../soak/server.ts";

const { log } = console;
console.log = (line: string) => {
  const message = JSON.parse(line);
  if (message.records === undefined) return log(line);
  const { records, outcomes } = message;
  log(JSON.stringify({
    ...message,
    records: records - 9,
    misnumbered: 1,
    outcomes: { ...outcomes, ok: outcomes.ok - 9, reset: 9 },
  }));
};

await serveForSoak();
