/**
 * Reading anew what a running server was started with: the module that answers
 * and the certificate.
 *
 * @module
 */

import { inspected } from "../../shared/thrown.ts";
import type { Handler, ServeOptions, Server } from "../../server.ts";
import type { Answer } from "../answers/answer.ts";
import type { Log } from "../log/log.ts";
import type { Observer, Observers, Renewable } from "../shared/observer.ts";
import type { Place } from "../args/place.ts";

/** Reads where to listen, with which certificate, for the options of an answer. */
type ReadPlace = (options: Answer["options"]) => Promise<Place>;

/** Reads anew, one time after the other, while the server goes on. */
export class Reloading implements Observer {
  readonly #log: Log;
  readonly #readPlace: ReadPlace;
  /** The options of the answer that the server was started with. */
  readonly #options: Partial<ServeOptions>;
  readonly #reusePort: boolean;
  #answer: Answer;
  #certificate: Pick<Place, "cert" | "key">;
  #server: Server | undefined;
  #isRequested = false;
  #isStopping = false;
  /** While the module is loaded: has it loaded once more. */
  #loadAgain: (() => void) | undefined;
  #last: Promise<void> = Promise.resolve();
  #replacing: Promise<void> | undefined;

  /**
   * @param answer What answers at first.
   * @param place Where the server listens.
   * @param readPlace Reads that anew.
   * @param log Where faults go.
   */
  constructor(answer: Answer, place: Place, readPlace: ReadPlace, log: Log) {
    const { cert, key, reusePort = false }: Place = {
      ...answer.options,
      ...place,
    };
    this.#answer = answer;
    this.#options = answer.options;
    this.#certificate = { cert, key };
    this.#reusePort = reusePort;
    this.#readPlace = readPlace;
    this.#log = log;
  }

  /** What answers now. */
  get handler(): Handler {
    return this.#answer.handler;
  }

  /**
   * Begins to read anew, after what was begun before. A module that is still
   * being loaded is given up, and loaded once more: it may load forever.
   */
  begin(observers: Observers): void {
    if (this.#loadAgain) return this.#loadAgain();
    if (this.#isRequested) return;
    this.#isRequested = true;
    this.#last = this.#last.then(() => {
      this.#isRequested = false;
      return this.#reload(observers);
    });
  }

  /** From now on there is a server. */
  listening(_addr: Deno.Addr, server: Server): void {
    this.#server = server;
  }

  /** A server that stops is left as it is. */
  stopping(delay: number): void {
    this.#isStopping = delay === 0;
  }

  /** Waits until no listener is being replaced. A module may load forever. */
  async settled(): Promise<void> {
    await this.#replacing?.catch(() => {});
  }

  /** Renews what has changed. What cannot be renewed stays as it is. */
  async #reload(observers: Observers): Promise<void> {
    if (this.#isStopping) return;
    observers.reloading();
    const renewed: Renewable[] = [];
    for (
      const [what, action, renew] of [
        ["module", "load the module anew", () => this.#renewModule()],
        [
          "certificate",
          "use a new certificate",
          () => this.#renewCertificate(),
        ],
      ] as const
    ) {
      try {
        if (await renew()) renewed.push(what);
      } catch (error) {
        if (this.#isStopping) return;
        this.#log.fault(error, `cannot ${action}, going on as before: `);
      }
    }
    if (!this.#isStopping) observers.reloaded(renewed);
  }

  async #renewModule(): Promise<boolean> {
    const loaded = await this.#load();
    if (!loaded) return false;
    this.#answer = loaded;
    const changed = changedOptions(this.#options, this.#answer.options);
    if (changed.length > 0) {
      this.#log.warn(
        `only the handler and the certificate of a module change while the ` +
          `server runs. Restart it for ${changed.join(", ")}`,
      );
    }
    return true;
  }

  /** Loads what answers, if it is a module. */
  async #load(): Promise<Answer | undefined> {
    const { reload } = this.#answer;
    if (!reload) return undefined;
    try {
      for (;;) {
        const again = new Promise<void>((resolve) => this.#loadAgain = resolve);
        const loaded = await Promise.race([reload(), again]);
        if (loaded) return loaded;
      }
    } finally {
      this.#loadAgain = undefined;
    }
  }

  async #renewCertificate(): Promise<boolean> {
    const server = this.#server;
    const current = this.#certificate;
    if (!server || current.cert === undefined) return false;
    const place = await this.#readPlace(this.#answer.options);
    const { cert, key }: Place = { ...this.#answer.options, ...place };
    if (cert === current.cert && key === current.key) return false;
    if (!this.#reusePort) {
      throw new Error(
        "a new listener must be open before the old one is closed. Start the " +
          "server with --reuse-port (and deno with --unstable-net), or restart it.",
      );
    }
    const certificate = { cert, key } as { cert: string; key: string };
    await (this.#replacing = server.setCertificate(certificate));
    this.#certificate = certificate;
    return true;
  }
}

/** The names of options that differ, of those that can be compared. */
function changedOptions(
  before: Partial<ServeOptions>,
  after: Partial<ServeOptions>,
): string[] {
  const isCompared = (name: string) => name !== "cert" && name !== "key";
  const written = (options: Partial<ServeOptions>, name: string) =>
    inspected(options[name as keyof ServeOptions], 4);
  return Object.keys({ ...before, ...after }).filter((name) =>
    isCompared(name) && written(before, name) !== written(after, name)
  );
}
