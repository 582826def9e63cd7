// What Linux tells of a process. Other systems do not, or not so: then it is
// `undefined`.

/** Nearly every Linux counts the time of processes in hundredths of a second. */
const TICKS_PER_SECOND = 100;

/** How many descriptors a process has open. */
export function descriptors(pid = Deno.pid): number | undefined {
  return whereTold(() =>
    Array.from(Deno.readDirSync(`/proc/${pid}/fd`)).length
  );
}

/** The CPU time of a process so far, in seconds. */
export interface CpuTimes {
  /** In the program itself, */
  user: number;
  /** and in the kernel on its behalf. */
  system: number;
}

/** The CPU time that a process has used so far. */
export function cpuTimes(pid: number): CpuTimes | undefined {
  return whereTold(() => {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The second field is the program's name, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const seconds = (field = "") => Number(field) / TICKS_PER_SECOND;
    return { user: seconds(fields[11]), system: seconds(fields[12]) };
  });
}

/** The memory of a process, in bytes. */
export function memory(pid: number): number | undefined {
  return status(pid, "VmRSS");
}

/** The most memory that a process has had since `resetPeak()`, in bytes. */
export function peakMemory(pid: number): number | undefined {
  return status(pid, "VmHWM");
}

/** @returns Whether `peakMemory()` will tell of what comes now. */
export function resetPeak(pid: number): boolean {
  return whereTold(() => {
    Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5");
    return true;
  }) ?? false;
}

function status(pid: number, field: string): number | undefined {
  return whereTold(() => {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status);
    return line ? Number(line[1]) * 1024 : undefined;
  });
}

function whereTold<Result>(ask: () => Result): Result | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    return ask();
  } catch {
    // Containers may keep it to themselves.
    return undefined;
  }
}
