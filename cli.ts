/**
 * The command-line tool: an echo server whose requests end with a FIN.
 *
 * ```sh
 * deno run -N jsr:@halfclose/server
 * printf hello | nc -N localhost 8080
 * ```
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { BaseHandler } from "@std/log/base-handler";
import { Logger } from "@std/log/logger";
import config from "./deno.json" with { type: "json" };
import {
  type ExchangeRecord,
  RequestTooLargeError,
  serve,
  type Server,
  type TimeoutError,
} from "./mod.ts";

const help = `halfclose ${config.version}
One connection at a time: reads the request until the client's FIN, sends it
back, closes, and takes the next.

Usage: deno run -N jsr:@halfclose/server [options]

Options:
      --host HOST                address to listen on [0.0.0.0]
  -p, --port PORT                port to listen on, 0 for a free one [8080]
      --max-request-bytes SIZE   largest request: 1000, 64KiB, 16MiB [16MiB]
      --deadline TIME            longest exchange: 700ms, 10s, 1m [60s]
      --idle-timeout TIME        longest silence of a client [15s]
  -h, --help                     print this help
  -V, --version                  print the version

"none" lifts a limit; a TIME without a unit is in seconds.

Try it:
  printf hello | nc -N localhost 8080`;

/** What the arguments ask for. */
interface Arguments {
  hostname: string;
  port: number;
  maxRequestBytes: number;
  deadline: number;
  idleTimeout: number;
}

/**
 * A Ctrl-C may arrive more than once, from the terminal and from each process
 * above that passes it on: signals within so many milliseconds are one.
 */
const SAME_KEYPRESS_MS = 500;

/** Arguments that cannot be understood: its message names the one at fault. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Runs the command-line tool: serves until SIGINT or SIGTERM, then serves what
 * is in the backlog, and ends. A second signal ends it at once.
 *
 * Exchanges are logged on standard error; help and version are printed on
 * standard output. It needs the permission `--allow-net`.
 *
 * @example Usage
 * ```ts
 * import { main } from "@halfclose/server/cli";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--version"]), 0);
 * ```
 *
 * @param args The arguments of the command line.
 * @returns The exit status: 0 for a graceful end, 1 if the server cannot run, 2
 * for arguments that cannot be understood, 128 and the signal's number for an
 * end at once.
 */
export async function main(args: string[]): Promise<number> {
  try {
    const flags = parseFlags(args);
    if ((flags.help || flags.version) && !flags.problem) {
      console.log(flags.help ? help : `halfclose ${config.version}`);
      return 0;
    }
    return await run(readArguments(flags));
  } catch (error) {
    console.error(`halfclose: ${messageOf(error)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function run(options: Arguments): Promise<number> {
  const log = openLog();
  const controller = new AbortController();
  let exchanges = 0;
  const server = listening(options, () =>
    serve({
      ...options,
      signal: controller.signal,
      onRefuse: (error) => `halfclose: ${refusalOf(error)}\n`,
      onExchange: (record) => {
        exchanges++;
        if (record.outcome === "ok") log.info(describe(record));
        else log.warn(describe(record));
      },
      onAcceptError: (error) =>
        log.error(`cannot accept for now: ${messageOf(error)}`),
      onError: (error) => log.error(messageOf(error)),
    }, (conn) => conn.bytes()));
  const signals = heedSignals(server, controller);
  // Who reads this may send a signal at once.
  log.info(`listening on ${nameOf(server.addr)}`);
  await server.finished;
  // For those who are still being told that they are turned away.
  await server.shutdown();
  log.info(`stopped after ${exchanges} exchange${exchanges === 1 ? "" : "s"}`);
  return signals.stopHeeding();
}

/** Says where it could not listen, if that is what went wrong. */
function listening(options: Arguments, start: () => Server): Server {
  try {
    return start();
  } catch (error) {
    const told = error instanceof Deno.errors.AddrInUse ||
      error instanceof Deno.errors.NotCapable;
    if (told) throw error;
    const { hostname, port } = options;
    const addr = nameOf({ transport: "tcp", hostname, port });
    throw new Error(`Cannot listen on ${addr}: ${messageOf(error)}`);
  }
}

/** Shuts down on the first signal, aborts on the next. */
function heedSignals(server: Server, controller: AbortController) {
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
        server.shutdown();
      } else if (now - first > SAME_KEYPRESS_MS) {
        status = 128 + number;
        controller.abort(new Error(`Stopped by a second ${signal}`));
      }
    };
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  return {
    /** Gives the exit status that the signals ask for. */
    stopHeeding(): number {
      for (const remove of removers) remove();
      return status;
    },
  };
}

function parseFlags(args: string[]) {
  let problem: UsageError | undefined;
  const flags = parseArgs(args, {
    boolean: ["help", "version"],
    string: ["host", "port", "max-request-bytes", "deadline", "idle-timeout"],
    alias: { help: "h", port: "p", version: "V" },
    unknown: (arg, key) => {
      problem ??= new UsageError(
        key === undefined
          ? `unexpected argument "${arg}", see --help`
          : `unknown flag ${arg.replace(/=.*/s, "")}, see --help`,
      );
    },
  });
  const [extra] = flags._;
  if (extra !== undefined) {
    problem ??= new UsageError(`unexpected argument "${extra}", see --help`);
  }
  return { ...flags, problem };
}

function readArguments(flags: ReturnType<typeof parseFlags>): Arguments {
  const value = <T>(
    flag: "host" | "port" | "max-request-bytes" | "deadline" | "idle-timeout",
    read: (text: string) => T | undefined,
    expected: string,
    otherwise: T,
  ): T => {
    const text = flags[flag];
    if (text === undefined) return otherwise;
    if (text === "") {
      throw new UsageError(`--${flag} needs a value: ${expected}`);
    }
    const result = read(text);
    if (result !== undefined) return result;
    throw new UsageError(`--${flag} must be ${expected}, received "${text}"`);
  };
  const size = 'a size such as 1000, 64KiB, 16MiB or "none"';
  const time = 'a time such as 700ms, 10s, 1m or "none"';
  const args = {
    hostname: value("host", (text) => text, "a name or an address", "0.0.0.0"),
    port: value("port", readPort, "a port from 0 to 65535", 8080),
    maxRequestBytes: value("max-request-bytes", readSize, size, 16 * 1024 ** 2),
    deadline: value("deadline", readTime, time, 60_000),
    idleTimeout: value("idle-timeout", readTime, time, 15_000),
  };
  // A flag that lacks its value tells more than what stands in its place.
  if (flags.problem) throw flags.problem;
  return args;
}

function readPort(text: string): number | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535
    ? Number(text)
    : undefined;
}

/** Bytes of a size: `1000`, `64KiB`, `1.5MiB`, `none`. */
function readSize(text: string): number | undefined {
  return readQuantity(text, {
    B: 1,
    KiB: 1024,
    MiB: 1024 ** 2,
    GiB: 1024 ** 3,
  });
}

/** Milliseconds of a time: `700ms`, `10s`, `1.5m`, `10` (seconds), `none`. */
function readTime(text: string): number | undefined {
  const time = readQuantity(text, { s: 1000, ms: 1, m: 60_000, h: 3_600_000 });
  return time === 0 ? undefined : time;
}

/** A number and one of `units`, the first of which need not be written. */
function readQuantity(
  text: string,
  units: Record<string, number>,
): number | undefined {
  if (text === "none") return Infinity;
  const [, number, unit] = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(text) ?? [];
  const scale = Object.entries(units).find(([name], index) =>
    unit === "" ? index === 0 : unit?.toLowerCase() === name.toLowerCase()
  )?.[1];
  if (number === undefined || scale === undefined) return undefined;
  const quantity = Number(number) * scale;
  const whole = Math.round(quantity);
  // 1.1 seconds are whole milliseconds, whatever binary fractions make of them.
  if (Math.abs(quantity - whole) > 1e-6) return undefined;
  return Number.isSafeInteger(whole) ? whole : undefined;
}

/** The one place that knows the logging library. */
function openLog(): Logger {
  class StandardError extends BaseHandler {
    override log(line: string): void {
      console.error(line);
    }
  }
  const handler = new StandardError("INFO", {
    formatter: ({ datetime, levelName, msg }) =>
      `${datetime.toISOString()} ${levelName} ${msg}`,
  });
  return new Logger("halfclose", "INFO", { handlers: [handler] });
}

/** One line for an exchange: who, how much, how long, how it ended. */
function describe(record: ExchangeRecord): string {
  const { remoteAddr, bytesRead, bytesWritten, duration, outcome } = record;
  const end = outcome === "ok"
    ? outcome
    : `${outcome} while ${record.phase}: ${messageOf(record.error)}`;
  return `${nameOf(remoteAddr)} ${bytesRead} bytes in, ${bytesWritten} bytes ` +
    `out, ${duration.toFixed(1)} ms, ${end}`;
}

/** What to tell a client that is turned away. */
function refusalOf(error: RequestTooLargeError | TimeoutError): string {
  if (error instanceof RequestTooLargeError) {
    return `request refused, it is larger than the ${error.maxRequestBytes} bytes allowed`;
  }
  return error.option === "idleTimeout"
    ? `request refused, nothing came or went for ${error.timeout} ms`
    : `request refused, it took longer than the ${error.timeout} ms allowed`;
}

function nameOf(addr: Deno.Addr): string {
  if (addr.transport !== "tcp" && addr.transport !== "udp") return "a client";
  const { hostname, port } = addr;
  return hostname.includes(":")
    ? `[${hostname}]:${port}`
    : `${hostname}:${port}`;
}

/** The message of an error, on one line. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/\s*\n\s*/g, " ");
}

if (import.meta.main) Deno.exit(await main(Deno.args));
