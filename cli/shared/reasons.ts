/**
 * Why an exchange was ended by a limit, in the words of the tool: its flags, and
 * who was due.
 *
 * @module
 */

import { isOf } from "../../shared/thrown.ts";
import { RequestTooLargeError, TimeoutError } from "../../server.ts";
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

/** Why an exchange has failed, for the log and the view. */
export function reasonOf(error: unknown): string {
  if (isOf(error, RequestTooLargeError) && error.part === "request") {
    return `the request is larger than the ${error.maxRequestBytes} bytes of ` +
      "--max-request-bytes";
  }
  if (!isOf(error, TimeoutError)) return messageOf(error);
  const { option, timeout, due } = error;
  if (option === "deadline") {
    const explanation = explanations.get(error);
    return `it took longer than the ${timeout} ms of --deadline` +
      (due === "request" ? `, and the client ${notEnded}` : "") +
      (explanation === undefined ? "" : ` (${explanation})`);
  }
  return due === "response"
    ? `the client took nothing of the response for the ${timeout} ms of ` +
      "--idle-timeout"
    : `the client sent nothing for the ${timeout} ms of --idle-timeout and ` +
      notEnded;
}

const notEnded =
  "has not ended its side: it must half-close (nc -N), or use --until or " +
  "--until-idle";

/** What a client is told that is refused. */
export function refusalFor(error: RequestTooLargeError | TimeoutError): string {
  if (isOf(error, RequestTooLargeError)) {
    const what = error.part === "request" ? "it" : `its ${error.part}`;
    return `${what} is larger than the ${error.maxRequestBytes} bytes allowed`;
  }
  const { option, timeout, due } = error;
  if (option === "deadline" && due !== "request") {
    return `the response took longer than the ${timeout} ms allowed`;
  }
  const what = option === "deadline"
    ? `it took longer than the ${timeout} ms allowed`
    : `nothing came for ${timeout} ms`;
  return `${what}, and you have not ended your side: half-close (nc -N)`;
}
