/**
 * Runs a handler for one exchange: its faults stay within that exchange.
 *
 * @module
 */

import type { Exchange } from "../conn.ts";
import type { ResponseBody } from "../shared/body.ts";
import { writeToConsole } from "../shared/thrown.ts";
import type { Handler } from "./options.ts";

type Answer = ReturnType<Handler>;

/** The user's callbacks for an exchange. */
export interface Handling<Addr extends Deno.Addr> {
  /** Answers the exchange. */
  handler(exchange: Exchange<Addr>): Answer;
  /** Called with what the handler throws. It may answer instead. */
  onError(error: unknown, exchange: Exchange<Addr>): Answer;
}

/**
 * Calls the handler for an exchange, and sends its response.
 *
 * @param exchange The exchange, ready for its handler.
 * @param handling The callbacks.
 * @returns Resolves when the server may move on. It never rejects.
 */
export async function handle<Addr extends Deno.Addr>(
  exchange: Exchange<Addr>,
  handling: Handling<Addr>,
): Promise<void> {
  const answer = call(handling.handler, exchange);
  try {
    const body = await exchange.state.raceWithCut(answer);
    if (body !== undefined) await exchange.respond(body);
    else if (!exchange.state.failure) await exchange.close();
    // Work that was not awaited may have failed by now.
    if (exchange.state.failure) throw exchange.state.failure.error;
  } catch (error) {
    if (!exchange.state.isFromOutside(error)) {
      await report(error, exchange, handling);
      return;
    }
    // Cut short, but the handler may still run: report its late errors.
    answer.then((late) => {
      if (late !== undefined) exchange.respond(late);
    }, (late) => {
      if (!exchange.state.isFromOutside(late)) report(late, exchange, handling);
    });
  }
}

async function report<Addr extends Deno.Addr>(
  error: unknown,
  exchange: Exchange<Addr>,
  { onError }: Handling<Addr>,
): Promise<void> {
  exchange.state.fail(error);
  try {
    const reporting = call(onError, error, exchange);
    reporting.catch((fault) =>
      writeToConsole("onError() threw", fault, "when it was told of", error)
    );
    const body = await exchange.state.raceWithCut(reporting);
    if (exchange.isAnswered || body === undefined) return;
    await exchange.respond(body).catch((fault) => writeToConsole(fault));
  } catch {
    // Nobody can be told any more.
  }
}

/** Calls a callback for its body. Anything that it throws is a rejection. */
async function call<Args extends unknown[]>(
  callback: (...args: Args) => Answer,
  ...args: Args
): Promise<NonNullable<ResponseBody> | undefined> {
  const answer = await callback(...args) ?? undefined;
  return typeof answer === "boolean" ? undefined : answer;
}
