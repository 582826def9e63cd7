/**
 * Where requests end, and the limits that flags set.
 *
 * @module
 */

import type {
  ExchangeRecord,
  RequestTooLargeError,
  ServeOptions,
  TimeoutError,
} from "../../server.ts";
import type { ServeFlags } from "./flags.ts";
import { defined, UsageError } from "./parsing.ts";
import { refusalFor } from "../shared/reasons.ts";

/** The limits that flags set. They come before those of a module. */
export function limitsOf(flags: ServeFlags): Partial<ServeOptions> {
  const readAhead = flags["read-ahead"] || undefined;
  return defined({
    maxRequestBytes: flags["max-request-bytes"],
    deadline: flags.deadline,
    idleTimeout: flags["idle-timeout"],
    lingerTimeout: flags["linger-timeout"],
    until: untilOf(flags),
    proxyProtocol: flags["proxy-protocol"],
    readAhead,
    // A request that is read ahead is kept, whatever its handler prefers.
    streaming: readAhead === undefined ? undefined : false,
  });
}

/** The silence that the library allows, if no flag says another. */
const DEFAULT_IDLE_TIMEOUT_MS = 15_000;

function untilOf(
  { until, "until-idle": idle, "idle-timeout": idleTimeout }: ServeFlags,
): ServeOptions["until"] {
  const limit = idleTimeout ?? DEFAULT_IDLE_TIMEOUT_MS;
  if (idle !== undefined && idle >= limit) {
    throw new UsageError(
      `--until-idle must be shorter than the ${limit} ms of --idle-timeout, which ` +
        `would cut the exchange first, received ${idle} ms`,
    );
  }
  return idle === undefined ? until : { idle };
}

/**
 * What tells a client that it is refused: a flag, or a module, or this tool.
 *
 * @param flags The flags.
 * @param onRefuse The callback of a module.
 */
export function refusalOf(
  { refusal }: ServeFlags,
  onRefuse: ServeOptions["onRefuse"],
): ServeOptions["onRefuse"] {
  if (refusal === undefined) return onRefuse ?? ownRefusal;
  return (error, request) => ownRefusal(error, request) && refusal;
}

/**
 * What to tell a client that is refused: nothing if it has sent nothing, as
 * scanners do, and browsers that connect in advance.
 */
function ownRefusal(
  error: RequestTooLargeError | TimeoutError,
  { bytesRead, end }: Pick<ExchangeRecord, "bytesRead" | "end">,
): string | Uint8Array | undefined {
  if (bytesRead === 0 && !end) return undefined;
  return `halfclose: request refused, ${refusalFor(error)}\n`;
}

/**
 * The text for a client whose request has failed because a handler threw. The reason
 * is for the log: it may tell of files, and of what is in them.
 */
export function failureFor({ refusal }: ServeFlags): string | Uint8Array {
  return refusal ?? "halfclose: request failed, the server's log says why\n";
}
