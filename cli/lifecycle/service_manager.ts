/**
 * Telling the service manager how the server is, as sd_notify(3) of systemd
 * does: a datagram to the Unix socket that the environment names.
 *
 * @module
 */

import { printable } from "../../shared/printable.ts";
import { LONGEST_TIMER_MS } from "../../shared/timer.ts";
import type { Log } from "../log/log.ts";
import type { Observer } from "../shared/observer.ts";
import { variable } from "../shared/environment.ts";
import { endsInTime } from "../shared/patience.ts";
import { missingFlag } from "../shared/permissions.ts";
import { messageOf, serverName } from "../shared/wording.ts";

/** A socket for datagrams. The types of Deno have it with a flag only. */
interface DatagramSocket extends Disposable {
  send(bytes: Uint8Array, to: Deno.UnixAddr): Promise<number>;
  close(): void;
}

/** What Deno has with `--unstable-net` only. */
interface WithDatagrams {
  /** Without a path, the socket is not bound to one, and can only send. */
  listenDatagram(options: { transport: "unixpacket" }): DatagramSocket;
}

/** Tells the service manager what the server does. */
export class ServiceManager implements Observer, AsyncDisposable {
  readonly #socket: DatagramSocket;
  readonly #path: string;
  /** How often to say that the event loop lives, if anybody asks. */
  readonly #period: number | undefined;
  readonly #log: Log;
  #hasWarned = false;
  #status = "";
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  /** Resolves when all messages are sent: they must arrive in order. */
  #sent: Promise<void> = Promise.resolve();

  private constructor(path: string, log: Log) {
    const { listenDatagram } = Deno as unknown as WithDatagrams;
    this.#socket = listenDatagram({ transport: "unixpacket" });
    this.#path = path;
    this.#period = watchdogPeriod();
    this.#log = log;
  }

  /**
   * Looks in the environment for the service manager.
   *
   * @param log Told of what hinders messages to it.
   * @returns The service manager, if there is one that can be told.
   */
  static async find(log: Log): Promise<ServiceManager | undefined> {
    const named = variable("NOTIFY_SOCKET");
    if (!named) return undefined;
    // A name that begins with "@" is in the abstract namespace, not in a folder.
    const isAbstract = named.startsWith("@");
    const path = isAbstract ? `\0${named.slice(1)}` : named;
    const flags = [
      "listenDatagram" in Deno ? undefined : "--unstable-net",
      await missingFlag({ name: "net", host: `unix:${path}` }),
      isAbstract ? undefined : await missingFlag({ name: "write", path }),
    ].filter((flag) => flag !== undefined);
    if (flags.length === 0) return new ServiceManager(path, log);
    log.warn(
      `cannot tell the service manager at ${
        printable(named)
      }: a permission is missing. Run deno with ` +
        flags.join(" and "),
    );
    return undefined;
  }

  /** The server listens. */
  listening(addr: Deno.Addr): void {
    this.#status = `Listening on ${serverName(addr)}`;
    this.#tell("READY=1", `STATUS=${this.#status}`);
    if (this.#period === undefined) return;
    this.#heartbeat = setInterval(
      () => this.#tell("WATCHDOG=1"),
      this.#period,
    );
    Deno.unrefTimer(this.#heartbeat);
  }

  /** What can be read anew is being read anew. */
  reloading(): void {
    this.#tell("RELOADING=1", "STATUS=Reloading");
  }

  /** That is over. */
  reloaded(): void {
    this.#tell("READY=1", `STATUS=${this.#status}`);
  }

  /** The server is about to serve its backlog, or serves it. */
  stopping(delay: number): void {
    if (delay === 0) this.#tell("STOPPING=1", "STATUS=Serving the backlog");
    else this.#tell(`STATUS=Stopping in ${delay} ms`);
  }

  /** Waits until all is told, unless the service manager hears nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeat);
    await endsInTime(this.#sent);
    this.#socket.close();
  }

  #tell(...assignments: string[]): void {
    const bytes = new TextEncoder().encode(assignments.join("\n"));
    this.#sent = this.#sent.then(() => this.#send(bytes));
  }

  async #send(bytes: Uint8Array): Promise<void> {
    try {
      // Deno's own name for this kind of address lacks in its types.
      const to = { transport: "unix", path: this.#path } as const;
      await this.#socket.send(bytes, to);
    } catch (error) {
      if (this.#hasWarned) return;
      this.#hasWarned = true;
      this.#log.warn(`cannot tell the service manager: ${messageOf(error)}`);
    }
  }
}

/** Half of the time that the watchdog allows, in milliseconds. */
function watchdogPeriod(): number | undefined {
  const pid = variable("WATCHDOG_PID");
  if (pid !== undefined && pid !== `${Deno.pid}`) return undefined;
  const microseconds = Number(variable("WATCHDOG_USEC"));
  if (!(microseconds > 0)) return undefined;
  return Math.min(Math.max(microseconds / 2000, 1), LONGEST_TIMER_MS);
}
