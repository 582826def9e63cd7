/**
 * Why an exchange was ended by a limit, in the words of the tool: its flags, and
 * who was due.
 *
 * @module
 */

import { type AwaitedPart, lacks } from "../../shared/errors.ts";
import { isOf } from "../../shared/thrown.ts";
import {
  type ExchangeRecord,
  type Outcome,
  RequestTooLargeError,
  TimeoutError,
} from "../../server.ts";
import { messageOf } from "./wording.ts";

/** What else is known of an error: it explains it better than its message. */
const explanations = new WeakMap<object, string>();

/**
 * Says more of why a limit has passed.
 *
 * @param error The error of the limit.
 * @param explanation What to put behind its message.
 */
export function explainLimit(error: unknown, explanation: string): void {
  if (isOf(error, TimeoutError)) explanations.set(error, explanation);
}

/** How exchanges end that have exceeded a limit of the server. */
const exceeding: ReadonlySet<Outcome> = new Set([
  "too-large",
  "idle",
  "deadline",
]);

/** Why an exchange has failed, for the log and the view. */
export function reasonOf(
  { outcome, error }: Pick<ExchangeRecord, "outcome" | "error">,
): string {
  // A handler may throw such an error, too, for instance of its own client.
  if (!exceeding.has(outcome)) return messageOf(error);
  if (isOf(error, RequestTooLargeError) && error.part === "request") {
    return `the request is larger than the ${error.maxRequestBytes} bytes of ` +
      "--max-request-bytes";
  }
  if (!isOf(error, TimeoutError)) return messageOf(error);
  const { option, timeout, due, awaited = "end" } = error;
  const lack = lacks[awaited];
  const { advice } = words[awaited];
  if (option === "deadline") {
    const explanation = explanations.get(error);
    return `it took longer than the ${timeout} ms of --deadline` +
      (due === "request" ? `, and the client ${lack}. ${advice}` : "") +
      (explanation === undefined ? "" : ` (${explanation})`);
  }
  return due === "response"
    ? `the client took nothing of the response for the ${timeout} ms of ` +
      "--idle-timeout"
    : `the client sent nothing for the ${timeout} ms of --idle-timeout and ` +
      `${lack}. ${advice}`;
}

/** What is to be done about what a client has not done, and what it is told. */
const words: Record<AwaitedPart, { advice: string; told: string }> = {
  end: {
    advice: "It must half-close (nc -N), or use --until or --until-idle",
    told: "you have not ended your side. Half-close (nc -N)",
  },
  length: {
    advice: "It must send as much as `until` of the module expects",
    told: "you have not sent all of your request",
  },
  piece: {
    advice: "It must send all of it",
    told: "you have not sent what the dialogue waits for",
  },
  handshake: {
    advice: "It must connect with TLS",
    told: "you have not completed the TLS handshake",
  },
  header: {
    advice: "Have the proxy send one, or leave --proxy-protocol out",
    told: "you have not sent the header of a proxy",
  },
};

/** What a client is told that is refused. */
export function refusalFor(error: RequestTooLargeError | TimeoutError): string {
  if (isOf(error, RequestTooLargeError)) {
    const what = error.part === "request" ? "it" : `its ${error.part}`;
    return `${what} is larger than the ${error.maxRequestBytes} bytes allowed`;
  }
  const { option, timeout, due, awaited = "end" } = error;
  if (option === "deadline" && due !== "request") {
    return `the response took longer than the ${timeout} ms allowed`;
  }
  const what = option === "deadline"
    ? `it took longer than the ${timeout} ms allowed`
    : `nothing came for ${timeout} ms`;
  return `${what}, and ${words[awaited].told}`;
}
