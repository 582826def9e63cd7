/**
 * The live view of the server, which takes the place of the log on a terminal.
 *
 * @module
 */

import type { LogLine } from "../log/line_logger.ts";
import type { Log } from "../log/log.ts";
import type { Observer } from "../shared/observer.ts";
import { standardError } from "../log/standard_error.ts";
import { Activity } from "./activity.ts";
import { render } from "./render.ts";
import { Screen } from "./screen.ts";

/** How many lines of the log are held while the view is shown. */
const MAX_HELD = 100;

/** What the view shows in its own way. */
const shownOtherwise = ["listening", "accept", "request", "exchange"];

/**
 * A view, which appears when the server listens. In the end it gives the terminal
 * back, and logs what was held meanwhile.
 */
export interface View extends AsyncDisposable {
  /** What must be told what happens, in this order. */
  readonly observers: readonly Observer[];
}

/**
 * Makes a view on the terminal at standard output.
 *
 * @param log The log. The view shows its lines; what would disturb the screen is
 * held until the end.
 */
export function viewOf(log: Log): View {
  const activity = new Activity(() => screen.drawSoon());
  const screen = new Screen((columns, rows) =>
    render(activity, { columns, rows, colors: !Deno.noColor })
  );
  const disturbs = Deno.stderr.isTerminal();
  const held: string[] = [];

  const show = (line: LogLine): boolean => {
    if (!shownOtherwise.includes(line.event)) {
      activity.note(line);
      if (disturbs) held.push(line.text);
      if (held.length > MAX_HELD) held.shift();
    }
    return disturbs;
  };
  const open = () => {
    log.divert(show);
    // A handler may end the process.
    addEventListener("unload", endNow);
    screen.open();
  };
  const endNow = () => {
    closeNow();
    standardError.writeNow();
  };
  const closeNow = () => {
    removeEventListener("unload", endNow);
    screen.closeNow();
    log.divert(undefined);
    for (const line of held.splice(0)) standardError.add(line);
  };
  return {
    observers: [activity, { listening: open }],
    // If somebody has stopped the terminal, this does not hold up the end.
    async [Symbol.asyncDispose]() {
      // A terminal that is stopped would take no line of the log either.
      if (!await screen.close() && disturbs) held.length = 0;
      closeNow();
    },
  };
}
