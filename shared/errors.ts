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
      return `The request is larger than the ${limit} bytes allowed. Send ` +
        "less, or have `maxRequestBytes` raised.";
    case "head":
      return `The length of the request is not in its first ${limit} bytes. ` +
        "Send a shorter head, or have `until` answer from less.";
    case "line":
      return `A line of the request is longer than the ${limit} bytes that ` +
        "`readUntil()` keeps. Send its delimiter earlier.";
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
          ? "of a line. End it with its delimiter."
          : `of ${expected}. Send all of them.`),
    );
    this.partial = partial;
    this.expected = expected;
  }
}

/** What a server may wait for while the request is due. */
export type AwaitedPart = NonNullable<TimeoutError["awaited"]>;

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
   * What a server waited for, if the request was due: its `"end"`, the rest of the
   * `"length"` that the option `until` tells, the next `"piece"` of a dialogue, the
   * TLS `"handshake"`, or the `"header"` of a proxy.
   */
  readonly awaited:
    | "end"
    | "length"
    | "piece"
    | "handshake"
    | "header"
    | undefined;

  /**
   * Creates the error for a limit.
   *
   * @param option The option that set the limit.
   * @param timeout The limit, in milliseconds.
   * @param due What the client owed a server, if anything.
   * @param awaited What the server waited for, if the request is due: its `"end"`
   * by default.
   */
  constructor(
    option: "deadline" | "idleTimeout" | "timeout",
    timeout: number,
    due?: "request" | "response",
    awaited: NonNullable<TimeoutError["awaited"]> = "end",
  ) {
    super(timeoutMessage(option, timeout, due, awaited), "TimeoutError");
    this.option = option;
    this.timeout = timeout;
    this.due = due;
    this.awaited = due === "request" ? awaited : undefined;
  }
}

/** What has happened, and what to do. */
function timeoutMessage(
  option: TimeoutError["option"],
  timeout: number,
  due: TimeoutError["due"],
  awaited: AwaitedPart,
): string {
  if (option === "timeout") {
    return `The request took longer than the ${timeout} ms allowed. Try again ` +
      "when the server is less busy, or raise `timeout`.";
  }
  const lack = lacks[awaited];
  const advice = advices[awaited];
  if (option === "deadline") {
    return `The exchange took longer than the ${timeout} ms allowed` +
      (due === "request"
        ? `, and the client ${lack}. ${advice}, or have \`deadline\` raised.`
        : ". Be quicker, or have `deadline` raised.");
  }
  return due === "response"
    ? `The client took nothing of the response for ${timeout} ms. Read ` +
      "faster, or have `idleTimeout` raised."
    : `The client sent nothing for ${timeout} ms and ${lack}. ${advice}, or ` +
      "have `idleTimeout` raised.";
}

/** What a client has not done that is waited for. */
export const lacks: Readonly<Record<AwaitedPart, string>> = {
  end: "has not ended its side",
  length: "has not sent all of its request",
  piece: "has not sent what the dialogue waits for",
  handshake: "has not completed the TLS handshake",
  header: "has not sent the header of a proxy",
};

/** What it must do, or what can be changed. */
const advices: Readonly<Record<AwaitedPart, string>> = {
  end: "Half-close (`nc -N`), have `until` end requests earlier",
  length: "Send as much as `until` expects",
  piece: "Send all of it",
  handshake: "Connect with TLS",
  header: "Have the proxy send a header, switch `proxyProtocol` off",
};

/** The error of what was given up for no better reason. */
export function abortError(message: string): DOMException {
  return new DOMException(message, "AbortError");
}
