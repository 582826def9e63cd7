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
import type { serveFlags } from "./commands.ts";
import { type Flags, UsageError } from "./flags.ts";
import { refusalFor } from "../shared/reasons.ts";

type ServeFlags = Flags<typeof serveFlags>;

/** The limits that flags set. */
export function limitsOf(flags: ServeFlags): Partial<ServeOptions> {
  const limits = {
    maxRequestBytes: flags["max-request-bytes"],
    deadline: flags.deadline,
    idleTimeout: flags["idle-timeout"],
    lingerTimeout: flags["linger-timeout"],
  };
  const given = Object.entries(limits).filter(([, value]) =>
    value !== undefined
  );
  return Object.fromEntries(given);
}

/** The silence that the library allows, if no flag says another. */
const DEFAULT_IDLE_TIMEOUT_MS = 15_000;

/** What ends a request, if flags say so. */
export function untilOf(
  { until, "until-idle": idle, "idle-timeout": idleTimeout }: ServeFlags,
): Pick<ServeOptions, "until"> {
  if (until !== undefined && idle !== undefined) {
    throw new UsageError(
      "--until and --until-idle exclude each other, give only one of them",
    );
  }
  if (until !== undefined) return { until };
  const limit = idleTimeout ?? DEFAULT_IDLE_TIMEOUT_MS;
  if (idle !== undefined && idle >= limit) {
    throw new UsageError(
      `--until-idle must be shorter than the ${limit} ms of --idle-timeout, which ` +
        `would refuse the client first, received ${idle} ms`,
    );
  }
  return idle === undefined ? {} : { until: { idle } };
}

/** What tells a client that it is refused, if the flags word that. */
export function refusalBy(
  { refusal }: ServeFlags,
): typeof refusalOf | undefined {
  if (refusal === undefined) return undefined;
  return (error, request) => refusalOf(error, request) && refusal;
}

/**
 * What to tell a client that is refused: nothing if it has sent nothing, as
 * scanners do, and browsers that connect in advance.
 */
export function refusalOf(
  error: RequestTooLargeError | TimeoutError,
  { bytesRead, end }: Pick<ExchangeRecord, "bytesRead" | "end">,
): string | Uint8Array | undefined {
  if (bytesRead === 0 && !end) return undefined;
  return `halfclose: request refused, ${refusalFor(error)}\n`;
}
