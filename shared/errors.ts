/**
 * The errors of a request that exceeds a limit, or ends too early.
 *
 * @module
 */

/**
 * The error of a request that is larger than `maxRequestBytes`.
 *
 * @example Usage
 * ```ts
 * import { RequestTooLargeError } from "@halfclose/server";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new RequestTooLargeError(1024);
 * assertEquals(error.maxRequestBytes, 1024);
 * ```
 */
export class RequestTooLargeError extends RangeError {
  /** The name of the error: `"RequestTooLargeError"`. */
  override readonly name = "RequestTooLargeError";
  /** The limit that was exceeded, in bytes. */
  readonly maxRequestBytes: number;
  /**
   * What was larger: the `"request"` than `maxRequestBytes`, its `"head"` than what
   * the option `until` may look at, or a `"line"` than what
   * {@linkcode RequestReader.readUntil} keeps.
   */
  readonly part: "request" | "head" | "line";

  /**
   * Creates the error for a limit.
   *
   * @param maxRequestBytes The limit that was exceeded, in bytes.
   * @param part What was larger. `"request"` by default.
   */
  constructor(
    maxRequestBytes: number,
    part: "request" | "head" | "line" = "request",
  ) {
    super(tooLargeMessage(maxRequestBytes, part));
    this.maxRequestBytes = maxRequestBytes;
    this.part = part;
  }
}

/** What was too large, and what to do. */
function tooLargeMessage(
  limit: number,
  part: RequestTooLargeError["part"],
): string {
  switch (part) {
    case "request":
      return `The request is larger than the ${limit} bytes allowed: send ` +
        "less, or have `maxRequestBytes` raised";
    case "head":
      return `The length of the request is not in its first ${limit} bytes: ` +
        "send a shorter head, or have `until` answer from less";
    case "line":
      return `A line of the request is longer than the ${limit} bytes that ` +
        "`readUntil()` keeps: send its delimiter earlier";
  }
}

/**
 * The error of a request that ends in the middle of what
 * {@linkcode RequestReader.readUntil} or {@linkcode RequestReader.readExactly} was
 * asked for.
 *
 * @example Usage
 * ```ts
 * import { IncompleteReadError } from "@halfclose/server";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new IncompleteReadError(new TextEncoder().encode("QUI"), 4);
 * assertEquals(new TextDecoder().decode(error.partial), "QUI");
 * assertEquals(error.expected, 4);
 * ```
 */
export class IncompleteReadError extends Deno.errors.UnexpectedEof {
  /** The name of the error: `"IncompleteReadError"`. */
  override readonly name = "IncompleteReadError";
  /** What came, at least one byte. */
  readonly partial: Uint8Array<ArrayBuffer>;
  /** How many bytes were asked for, unless that was a delimiter. */
  readonly expected: number | undefined;

  /**
   * Creates the error for what came.
   *
   * @param partial What came.
   * @param expected How many bytes were asked for, unless that was a delimiter.
   */
  constructor(partial: Uint8Array<ArrayBuffer>, expected?: number) {
    super(
      `The request ended after ${partial.length} bytes ` +
        (expected === undefined
          ? "of a line: end it with its delimiter"
          : `of ${expected}: send all of them`),
    );
    this.partial = partial;
    this.expected = expected;
  }
}

/**
 * The error of an exchange that took too long, on the server or on the client. As
 * with the platform's own, it is a {@linkcode DOMException} whose `name` is
 * `"TimeoutError"`.
 *
 * @example Usage
 * ```ts
 * import { TimeoutError } from "@halfclose/server";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new TimeoutError("idleTimeout", 15_000);
 * assertEquals(error.name, "TimeoutError");
 * assertEquals(error.option, "idleTimeout");
 * assertEquals(error.timeout, 15_000);
 * ```
 */
export class TimeoutError extends DOMException {
  /**
   * The option that set the limit: `"deadline"` or `"idleTimeout"` of a server, or
   * `"timeout"` of {@linkcode request}.
   */
  readonly option: "deadline" | "idleTimeout" | "timeout";
  /** The limit, in milliseconds. */
  readonly timeout: number;
  /**
   * What the client owed a server: the rest of its `"request"`, or reading the
   * `"response"`. Without it, the handler was due.
   */
  readonly due: "request" | "response" | undefined;

  /**
   * Creates the error for a limit.
   *
   * @param option The option that set the limit.
   * @param timeout The limit, in milliseconds.
   * @param due What the client owed a server, if anything.
   */
  constructor(
    option: "deadline" | "idleTimeout" | "timeout",
    timeout: number,
    due?: "request" | "response",
  ) {
    super(timeoutMessage(option, timeout, due), "TimeoutError");
    this.option = option;
    this.timeout = timeout;
    this.due = due;
  }
}

/** What has happened, and what to do. */
function timeoutMessage(
  option: TimeoutError["option"],
  timeout: number,
  due: TimeoutError["due"],
): string {
  if (option === "timeout") {
    return `The request took longer than the ${timeout} ms allowed: try again ` +
      "when the server is less busy, or raise `timeout`";
  }
  if (option === "deadline") {
    return `The exchange took longer than the ${timeout} ms allowed` +
      (due === "request"
        ? ", and the client has not ended its side: half-close (`nc -N`), " +
          "have `until` end requests earlier, or have `deadline` raised"
        : ": be quicker, or have `deadline` raised");
  }
  return due === "response"
    ? `The client took nothing of the response for ${timeout} ms: read ` +
      "faster, or have `idleTimeout` raised"
    : `The client sent nothing for ${timeout} ms and has not ended its ` +
      "side: half-close (`nc -N`), have `until` end requests earlier, or " +
      "have `idleTimeout` raised";
}

/** The error of what was given up for no better reason. */
export function abortError(message: string): DOMException {
  return new DOMException(message, "AbortError");
}
