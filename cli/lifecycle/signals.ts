/**
 * Signals that ask the server to stop or to reload, or end another command.
 *
 * @module
 */

/**
 * A Ctrl-C may arrive more than once, from the terminal and from each parent
 * process that passes it on: signals within this many milliseconds count as
 * one.
 */
const SAME_KEYPRESS_MS = 500;

const numbers: Partial<Record<Deno.Signal, number>> =
  Deno.build.os === "windows"
    ? { SIGINT: 2, SIGBREAK: 21 }
    : { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

function ignore(): void {}

/** What to do on signals. */
export interface SignalActions {
  /**
   * Called on each signal to stop, with the exit status of a process that it
   * ends: 128 plus its number.
   */
  stop(signal: Deno.Signal, status: number): void;
  /** Called on SIGHUP, unless it means that the terminal has gone. */
  reload(): void;
}

/**
 * Heeds the signals that ask the server to stop or to reload, until disposed of.
 * SIGHUP stays ignored then: Deno would end the process for one that came before,
 * and that it has yet to tell of.
 */
export function heedSignals({ stop, reload }: SignalActions): Disposable {
  const hadTerminal = hasTerminal();
  let last = -Infinity;
  const remove = addListeners((signal, status) => {
    const isReload = signal === "SIGHUP" && (!hadTerminal || hasTerminal());
    if (isReload) return reload();
    const now = performance.now();
    if (now - last <= SAME_KEYPRESS_MS) return;
    last = now;
    stop(signal, status);
  });
  return {
    [Symbol.dispose]() {
      if ("SIGHUP" in numbers) Deno.addSignalListener("SIGHUP", ignore);
      remove();
    },
  };
}

/**
 * Heeds the signals that end a command, each as soon as it comes, until disposed
 * of.
 *
 * @param end Called with the exit status: 128 plus the number of the signal.
 */
export function heedEnds(end: (status: number) => void): Disposable {
  const remove = addListeners((_signal, status) => end(status));
  return { [Symbol.dispose]: remove };
}

/** Listens to all the signals, and returns what ends that. */
function addListeners(
  heed: (signal: Deno.Signal, status: number) => void,
): () => void {
  const removers = Object.entries(numbers).map(([name, number]) => {
    const signal = name as Deno.Signal;
    const listener = () => heed(signal, 128 + number);
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  return () => removers.forEach((remove) => remove());
}

/** Whether a terminal is there: one that was closed is none any more. */
function hasTerminal(): boolean {
  return [Deno.stdin, Deno.stdout, Deno.stderr].some((stream) =>
    stream.isTerminal()
  );
}
