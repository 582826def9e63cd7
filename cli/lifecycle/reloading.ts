/**
 * Reading anew what a running server was started with: the module that answers
 * and the certificate.
 *
 * @module
 */

import { inspected } from "../../shared/thrown.ts";
import type {
  Certificate,
  Handler,
  ServeOptions,
  Server,
} from "../../server.ts";
import type { Answer } from "../answers/answer.ts";
import type { Log } from "../log/log.ts";
import type { Observer, Renewable } from "../shared/observer.ts";
import type { Place } from "../args/place.ts";

/** What a reload needs to know of the server. */
export interface Reloadable {
  /** The server. */
  readonly server: Server;
  /** The options that it runs with. */
  readonly options: Partial<ServeOptions>;
  /** Reads anew where to listen, with which certificate. */
  readPlace(answer: Answer): Promise<Place>;
}

/** Reads anew, one time after the other, while the server goes on. */
export class Reloading implements Observer {
  readonly #log: Log;
  #answer: Answer;
  /** The options of the answer that the server was started with. */
  readonly #options: Partial<ServeOptions>;
  #certificate: Pick<Place, "cert" | "key"> | undefined;
  #isRequested = false;
  #isStopping = false;
  /** While the module is loaded: has it loaded once more. */
  #loadAgain: (() => void) | undefined;
  #last: Promise<void> = Promise.resolve();
  #replacing: Promise<void> | undefined;

  /**
   * @param answer What answers at first.
   * @param log Where faults go.
   */
  constructor(answer: Answer, log: Log) {
    this.#answer = answer;
    this.#options = answer.options;
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
  begin(reloadable: Reloadable, observers: Required<Observer>): void {
    if (this.#loadAgain) return this.#loadAgain();
    if (this.#isRequested) return;
    this.#isRequested = true;
    this.#last = this.#last.then(() => {
      this.#isRequested = false;
      return this.#reload(reloadable, observers);
    });
  }

  /** A server that stops is left as it is. */
  stopping(delay: number): void {
    this.#isStopping = delay === 0;
  }

  /** Waits until no listener is being replaced. A module may load forever. */
  async settled(): Promise<void> {
    await this.#replacing?.catch(() => {});
  }

  async #reload(
    reloadable: Reloadable,
    observers: Required<Observer>,
  ): Promise<void> {
    if (this.#isStopping) return;
    observers.reloading();
    const renewed: Renewable[] = [];
    if (
      await this.#attempt("load the module anew", () => this.#renewModule())
    ) {
      renewed.push("module");
    }
    if (
      await this.#attempt(
        "use a new certificate",
        () => this.#renewCertificate(reloadable),
      )
    ) renewed.push("certificate");
    if (!this.#isStopping) observers.reloaded(renewed);
  }

  /** Whether something was renewed. If that fails, all stays as it is. */
  async #attempt(
    action: string,
    renew: () => Promise<boolean>,
  ): Promise<boolean> {
    try {
      return await renew();
    } catch (error) {
      if (this.#isStopping) return false;
      this.#log.fault(error, `cannot ${action}, going on as before: `);
      return false;
    }
  }

  async #renewModule(): Promise<boolean> {
    const loaded = await this.#load();
    if (!loaded) return false;
    this.#answer = loaded;
    const changed = changedOptions(this.#options, this.#answer.options);
    if (changed.length > 0) {
      this.#log.warn(
        `only the handler and the certificate of a module change while the ` +
          `server runs, restart it for ${changed.join(", ")}`,
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

  async #renewCertificate(
    { server, options, readPlace }: Reloadable,
  ): Promise<boolean> {
    if (options.cert === undefined) return false;
    const place = await readPlace(this.#answer);
    const { cert, key } = { ...this.#answer.options, ...place };
    const current = this.#certificate ?? options;
    if (cert === current.cert && key === current.key) return false;
    if (!options.reusePort) {
      throw new Error(
        "a new listener must be open before the old one is closed, start the " +
          "server with --reuse-port (and deno with --unstable-net), or restart it",
      );
    }
    const certificate = { cert, key } as Certificate;
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
  const { cert: _, key: _key, ...names } = { ...before, ...after };
  const written = (options: Partial<ServeOptions>, name: string) =>
    inspected(options[name as keyof ServeOptions], 4);
  return Object.keys(names).filter((name) =>
    written(before, name) !== written(after, name)
  );
}
