/**
 * What the process takes, under the names that all Prometheus clients use.
 *
 * @module
 */

import process from "node:process";
import { expose } from "../../metrics/exposition.ts";

const help = {
  process_cpu_seconds_total: "Time on processors, in seconds.",
  process_resident_memory_bytes: "Resident memory in bytes.",
  process_start_time_seconds:
    "When the process began, in seconds since the epoch.",
};

/** The numbers of the process. */
export function processMetrics(): string {
  const { user, system } = process.cpuUsage();
  return expose(help, {
    process_cpu_seconds_total: (user + system) / 1e6,
    process_resident_memory_bytes: Deno.memoryUsage().rss,
    process_start_time_seconds: performance.timeOrigin / 1000,
  });
}
