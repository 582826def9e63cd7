// Many clients in a process of their own: most behave, some do not.

import { messageOf } from "../harness/errors.ts";
import { behave, Fault } from "./behaved.ts";
import { drawRequest, random, type Until } from "./exchanges.ts";
import { drawKind, kindsFor } from "./hostile.ts";
import { heard, say } from "./processes.ts";
import { emptyTally } from "./tally.ts";

/** What a process of clients is to do. */
export interface Task {
  port: number;
  seed: number;
  /** Exchanges are numbered: it does each `step`th from `from` to `to`. */
  from: number;
  to: number;
  step: number;
  /** How many of its connections are open at a time. */
  inFlight: number;
  /** The share of those that do not behave. */
  hostile: number;
  /** How many of those there have been, and are in other processes. */
  ordinal: number;
  /** What ends requests, if the FIN alone does not. */
  until: Until | undefined;
}

const TOLD_EVERY_MS = 250;
const MAX_FAULTS = 5;

const task: Task = JSON.parse(Deno.args[0] ?? "{}");
const kinds = kindsFor(task.until);
const tally = emptyTally();
let next = task.from;
let { ordinal } = task;

async function client(): Promise<void> {
  while (next < task.to) {
    const number = next;
    next += task.step;
    await attempt(number);
  }
}

async function attempt(number: number): Promise<void> {
  const draw = random(task.seed, number);
  const hostile = draw() < task.hostile;
  const kind = hostile ? drawKind(kinds, ordinal, draw) : undefined;
  if (hostile) ordinal += task.step;
  try {
    if (kind) {
      await kind.act(task.port, number, task.until);
    } else {
      const request = drawRequest(number, draw, task.until);
      await behave(task.port, request, () => tally.sent++);
      tally.good++;
    }
  } catch (error) {
    const wrong = error instanceof Fault ? error.wrong : "lost";
    tally.wrong[wrong]++;
    if (tally.faults.length < MAX_FAULTS) {
      const who = kind ? `which ${kind.name}` : "which behaves";
      tally.faults.push(`client ${number}, ${who}: ${messageOf(error)}`);
    }
  } finally {
    if (kind) tally.hostile[kind.name] = (tally.hostile[kind.name] ?? 0) + 1;
  }
}

async function endWithParent(): Promise<void> {
  for await (const _ of heard());
  Deno.exit();
}

endWithParent();
const telling = setInterval(() => say(tally), TOLD_EVERY_MS);
await Promise.all(Array.from({ length: task.inFlight }, client));
clearInterval(telling);
say({ ...tally, done: true });
Deno.exit();
