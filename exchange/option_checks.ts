/**
 * Checks of options, shared by the server and the client.
 *
 * @module
 */

/** Checks options one by one: each check throws if something is wrong. */
export class OptionChecks {
  readonly #doing: string;
  readonly #options: Readonly<Record<string, unknown>>;

  /**
   * @param doing What fails if they are wrong, to follow "Cannot".
   * @param options The options.
   */
  constructor(doing: string, options: unknown) {
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot ${doing}: the options must be an object, received ${options}`,
      );
    }
    this.#doing = doing;
    this.#options = options as Record<string, unknown>;
  }

  has(name: string): boolean {
    return this.#options[name] !== undefined;
  }

  type(
    type: "string" | "boolean" | "function",
    names: readonly string[],
  ): void {
    for (const name of names) {
      if (this.has(name) && typeof this.#options[name] !== type) {
        throw this.wrong(name, `a ${type}`);
      }
    }
  }

  signal(name: string): void {
    if (this.has(name) && !(this.#options[name] instanceof AbortSignal)) {
      throw this.wrong(name, "an AbortSignal");
    }
  }

  /** A whole number, or `Infinity` if there is no `max`. */
  integer(name: string, min: number, max: number): void {
    const value = this.#number(name);
    if (value === undefined) return;
    const unlimited = max === Infinity && value === Infinity;
    if (
      (!Number.isInteger(value) && !unlimited) || value < min || value > max
    ) {
      const range = max === Infinity
        ? `a whole number from ${min}, or Infinity`
        : `a whole number from ${min} to ${max}`;
      throw this.#outOfRange(name, range);
    }
  }

  /** A time in milliseconds. */
  time(name: string, min: number): void {
    const value = this.#number(name);
    if (value === undefined || value >= min) return;
    throw this.#outOfRange(
      name,
      `at least ${min} (milliseconds), or Infinity`,
    );
  }

  /** The path of a socket, which need not exist. */
  path(name: string): void {
    const path = this.#options[name];
    if (typeof path !== "string" || /^[^\0]*[^\0/]$/.test(path)) return;
    throw this.fault(
      `option "${name}" must be the path of a socket, received ` +
        JSON.stringify(path),
    );
  }

  /** Two options that need each other. */
  pair(one: string, other: string): void {
    if (this.has(one) === this.has(other)) return;
    const [given, missing] = this.has(one) ? [one, other] : [other, one];
    throw this.fault(`option "${given}" needs "${missing}", TLS takes both`);
  }

  /** The error of two options that exclude each other. */
  exclusive(one: string, other: string): TypeError {
    return this.fault(
      `options "${one}" and "${other}" exclude each other, give only one of them`,
    );
  }

  /** The error of an option of the wrong type. */
  wrong(name: string, expected: string): TypeError {
    return this.fault(
      `option "${name}" must be ${expected}, received ${
        Deno.inspect(this.#options[name], { depth: 0 })
      }`,
    );
  }

  /** The error of options that are wrong in some other way. */
  fault(message: string): TypeError {
    return new TypeError(`Cannot ${this.#doing}: ${message}`);
  }

  #number(name: string): number | undefined {
    const value = this.#options[name];
    if (value === undefined || typeof value === "number") return value;
    throw this.wrong(name, "a number");
  }

  #outOfRange(name: string, expected: string): RangeError {
    return new RangeError(
      `Cannot ${this.#doing}: option "${name}" must be ${expected}, received ` +
        `${this.#options[name]}`,
    );
  }
}
