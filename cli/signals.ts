/**
 * Stopping by signals.
 *
 * @module
 */

/**
 * A Ctrl-C may arrive more than once, from the terminal and from each parent
 * process that passes it on: signals within this many milliseconds count as
 * one.
 */
const SAME_KEYPRESS_MS = 500;

/** What to do on signals. */
export interface SignalActions {
  /** Called on the first one. */
  onFirst(): void;
  /** Called on each further one. */
  onNext(signal: Deno.Signal): void;
}

/** The handling of signals, until this is disposed of. */
export interface HeededSignals extends Disposable {
  /** The exit status: 128 plus the number of a further signal, or else 0. */
  readonly status: number;
}

/** Handles the signals that ask the server to stop. */
export function heedSignals(
  { onFirst, onNext }: SignalActions,
): HeededSignals {
  const numbers: Partial<Record<Deno.Signal, number>> =
    Deno.build.os === "windows"
      ? { SIGINT: 2, SIGBREAK: 21 }
      : { SIGINT: 2, SIGTERM: 15 };
  let status = 0;
  let first: number | undefined;
  const removers = Object.entries(numbers).map(([name, number]) => {
    const signal = name as Deno.Signal;
    const listener = () => {
      const now = performance.now();
      if (first === undefined) {
        first = now;
        onFirst();
      } else if (now - first > SAME_KEYPRESS_MS) {
        status = 128 + number;
        onNext(signal);
      }
    };
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  return {
    get status() {
      return status;
    },
    [Symbol.dispose]() {
      for (const remove of removers) remove();
    },
  };
}
