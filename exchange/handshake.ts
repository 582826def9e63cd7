/**
 * The TLS handshake of an exchange.
 *
 * @module
 */

import type { State } from "./state.ts";
import type { TimeLimits } from "./time_limits.ts";

/**
 * Completes the handshake.
 *
 * @throws {unknown} The error of the cut if it fails.
 */
export async function shakeHands(
  socket: Deno.TlsConn,
  state: State,
  limits: TimeLimits,
): Promise<void> {
  limits.readBegins();
  try {
    await socket.handshake();
  } catch (error) {
    const reset = error instanceof Deno.errors.ConnectionReset;
    const outcome = reset ? "reset" : "handshake";
    throw state.cutByPeer(outcome, "reading", error);
  } finally {
    limits.readEnds();
  }
}
