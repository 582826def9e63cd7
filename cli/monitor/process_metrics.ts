/**
 * What the process takes, under the names that all Prometheus clients use.
 *
 * @module
 */

import process from "node:process";
import { type Family, single } from "../../metrics/exposition.ts";

/** The numbers of the process. */
export function processMetrics(): Family[] {
  const { user, system } = process.cpuUsage();
  return [
    single(
      "counter",
      "process_cpu_seconds_total",
      "Time on processors, in seconds.",
      (user + system) / 1e6,
    ),
    single(
      "gauge",
      "process_resident_memory_bytes",
      "Resident memory in bytes.",
      Deno.memoryUsage().rss,
    ),
    single(
      "gauge",
      "process_start_time_seconds",
      "When the process began, in seconds since the epoch.",
      performance.timeOrigin / 1000,
    ),
  ];
}
