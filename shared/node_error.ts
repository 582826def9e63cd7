/**
 * Errors of Node's sockets, as errors of Deno.
 *
 * @module
 */

/** The class of an error, and its words, by the code that Node gives it. */
const known: Record<
  string,
  [new (message: string, options: ErrorOptions) => Error, string]
> = {
  EACCES: [Deno.errors.PermissionDenied, "Permission denied"],
  EADDRINUSE: [Deno.errors.AddrInUse, "Address already in use"],
  EADDRNOTAVAIL: [
    Deno.errors.AddrNotAvailable,
    "Cannot assign requested address",
  ],
  EAGAIN: [Deno.errors.WouldBlock, "Resource temporarily unavailable"],
  EAI_AGAIN: [Error, "Temporary failure in name resolution"],
  ECONNABORTED: [
    Deno.errors.ConnectionAborted,
    "Software caused connection abort",
  ],
  ECONNREFUSED: [Deno.errors.ConnectionRefused, "Connection refused"],
  ECONNRESET: [Deno.errors.ConnectionReset, "Connection reset by peer"],
  EHOSTUNREACH: [Error, "No route to host"],
  EMFILE: [Error, "Too many open files"],
  ENETUNREACH: [Deno.errors.NetworkUnreachable, "Network is unreachable"],
  ENOENT: [Deno.errors.NotFound, "No such file or directory"],
  ENOTCONN: [Deno.errors.NotConnected, "Transport endpoint is not connected"],
  ENOTFOUND: [Error, "Name or service not known"],
  EPERM: [Deno.errors.PermissionDenied, "Operation not permitted"],
  EPIPE: [Deno.errors.BrokenPipe, "Broken pipe"],
  ETIMEDOUT: [Deno.errors.TimedOut, "Connection timed out"],
};

/**
 * The error of Deno that means the same as one of Node. Of several attempts to
 * connect, the first counts.
 *
 * @param error What a socket of Node failed with.
 * @returns The error, or `error` itself if Deno has no other for it.
 */
export function denoError(error: unknown): unknown {
  const { code, errno } = Object(firstOf(error)) as {
    code?: string;
    errno?: number;
  };
  const [ErrorClass, words] = known[code ?? ""] ?? [];
  if (!ErrorClass) return error;
  // Those of name resolution have numbers of Node's own.
  const isOfSystem = errno !== undefined && errno > -1000;
  const number = isOfSystem ? ` (os error ${-errno})` : "";
  return Object.assign(new ErrorClass(words + number, { cause: error }), {
    code,
  });
}

function firstOf(error: unknown): unknown {
  return error instanceof AggregateError ? error.errors[0] : error;
}
