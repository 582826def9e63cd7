/**
 * Binds the listening socket that the options describe.
 *
 * @module
 */

import { hostPort } from "../shared/address.ts";
import { inspected, named } from "../shared/thrown.ts";
import type { Source } from "./accepting.ts";
import type { CheckedOptions } from "./checked_options.ts";
import { GivenListener } from "./given_listener.ts";
import { InheritedListener } from "./inherited_listener.ts";
import { tap } from "./tap.ts";
import { UnixListener } from "./unix.ts";

/**
 * Listens on the address in the options.
 *
 * @param options The options.
 * @returns The listener: the one in the options, or else a new one.
 * @throws {Deno.errors.AddrInUse} If the address is in use.
 * @throws {Deno.errors.BadResource} If `fd` is no listening socket.
 */
export function bind(options: CheckedOptions): Source {
  const source = open(options);
  options[tap]?.(source);
  return source;
}

function open(options: CheckedOptions): Source {
  const { listener, fd, path, mode, hostname, port, cert, key } = options;
  if (listener) return new GivenListener(listener);
  if (fd !== undefined) return new InheritedListener(fd);
  if (path !== undefined) return new UnixListener(path, mode);
  const { reusePort, tcpBacklog } = options;
  const where = { hostname, port, reusePort, tcpBacklog };
  try {
    if (cert === undefined || key === undefined) return Deno.listen(where);
    return Deno.listenTls({ ...where, cert, key });
  } catch (error) {
    if (error instanceof URIError) {
      throw new TypeError(
        'Cannot listen: option "hostname" must be a name or an address, ' +
          `received ${inspected(hostname)}`,
        { cause: error },
      );
    }
    // Deno's own message explains a missing permission.
    if (error instanceof Deno.errors.NotCapable) throw error;
    const place = hostPort(hostname, port);
    throw named(error, `Cannot listen on ${place}`, reasonOf(error, port));
  }
}

/** Why it cannot listen, where that is known better than the error says. */
function reasonOf(error: unknown, port: number): string | undefined {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the address is in use. Stop the other server or choose another port.";
  }
  if (error instanceof Deno.errors.PermissionDenied && port < 1024) {
    return "a port below 1024 takes root or CAP_NET_BIND_SERVICE. Try port " +
      `${port + 8000}`;
  }
  return undefined;
}
