/**
 * A handler and one exchange: whatever the handler does wrong stays within it.
 *
 * @module
 */

import type { Exchange } from "../conn.ts";
import type { ResponseBody } from "../exchange/body.ts";

/** What may make a response. */
type Answer = ResponseBody | void | Promise<ResponseBody | void>;

/** The user's part in an exchange. */
export interface Handling<Addr extends Deno.Addr> {
  /** Answers the exchange. */
  handler(exchange: Exchange<Addr>): Answer;
  /** Is told of what the handler throws, and may answer instead. */
  onError(error: unknown, exchange: Exchange<Addr>): Answer;
}

/**
 * Has an exchange handled, and answers it.
 *
 * @param exchange The exchange, whose request is there to be read.
 * @param handling Who handles it.
 * @returns Resolves when the server may move on. It never rejects.
 */
export async function handle<Addr extends Deno.Addr>(
  exchange: Exchange<Addr>,
  handling: Handling<Addr>,
): Promise<void> {
  const answer = call(handling.handler, exchange);
  try {
    const body = await exchange.raceWithCut(answer);
    if (body !== undefined && body !== null) await exchange.respond(body);
    else if (exchange.failure === undefined) await exchange.close();
    // What was not awaited may have failed all the same, by now or meanwhile.
    if (exchange.failure !== undefined) throw exchange.failure;
  } catch (error) {
    if (!exchange.isFromOutside(error)) {
      await report(error, exchange, handling);
      return;
    }
    // Cut short: the handler, if it still runs, may yet have its say.
    answer.then((late) => {
      if (late) exchange.respond(late);
    }, (late) => {
      if (!exchange.isFromOutside(late)) report(late, exchange, handling);
    });
  }
}

async function report<Addr extends Deno.Addr>(
  error: unknown,
  exchange: Exchange<Addr>,
  { onError }: Handling<Addr>,
): Promise<void> {
  exchange.fail(error);
  try {
    const reporting = call(onError, error, exchange);
    reporting.catch((fault) =>
      console.error("onError() threw", fault, "when it was told of", error)
    );
    const body = await exchange.raceWithCut(reporting);
    if (exchange.isAnswered || body === undefined || body === null) return;
    await exchange.respond(body).catch((fault) => console.error(fault));
  } catch {
    // There is nobody left to tell.
  }
}

/** Calls `callback` so that all it may do wrong ends in a rejection. */
async function call<Args extends unknown[], Result>(
  callback: (...args: Args) => Result,
  ...args: Args
): Promise<Awaited<Result>> {
  return await callback(...args);
}
