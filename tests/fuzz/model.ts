// What must come of a schedule: what each client may see, and the records.

import type { ExchangeRecord, Outcome } from "../../server.ts";
import { Random } from "../harness/random.ts";
import { encode } from "../bytes.ts";
import {
  type Client,
  cuts,
  lengthIn,
  PIECE,
  type Schedule,
} from "./schedule.ts";

/** What a client is told that is turned away. */
export const refusal = "refused\n";
/** What a client is told whose handler failed. */
export const apology = "sorry\n";

/** What one client has seen. */
export interface Sight {
  /** Whether it was connected before the server was told to stop. */
  connected: "in time" | "late" | "never";
  /** Its port, where it has one. */
  port: number | undefined;
  bytes: Uint8Array;
  /** Whether it was cut by what its schedule cuts it with, and not by the server. */
  end: "eof" | "error" | "left" | "cut";
}

/** All that happened. */
export interface Events {
  sights: Sight[];
  records: ExchangeRecord<Deno.Addr>[];
  /** The requests that the handler was given whole. */
  requests: Uint8Array[];
  /** How many handlers ran at the same time, at most. */
  atOnce: number;
}

/** The longest head in which a length is looked for. */
const LONGEST_HEAD = 16_384;

/** What a client has asked: how much of what it sends is its request, and its fate. */
interface Asked {
  bytes: Uint8Array;
  fate: "whole" | "too-large" | "truncated";
}

function askedOf({ options }: Schedule, { request }: Client): Asked {
  const { until, maxRequestBytes } = options;
  if (typeof until !== "number") {
    const bytes = until ? upTo(until, request) : request;
    const fate = bytes.length > maxRequestBytes ? "too-large" : "whole";
    return { bytes, fate };
  }
  const length = lengthIn(request, until <= LONGEST_HEAD ? until : Infinity);
  const size = length ?? request.length;
  const isLost = length === undefined && size >= LONGEST_HEAD;
  if (isLost || size > maxRequestBytes) {
    return { bytes: request, fate: "too-large" };
  }
  const isWhole = length === undefined ? size === 0 : size <= request.length;
  return isWhole
    ? { bytes: request.subarray(0, size), fate: "whole" }
    : { bytes: request, fate: "truncated" };
}

/** All up to a delimiter. */
function upTo(delimiter: Uint8Array, request: Uint8Array): Uint8Array {
  const end = endOf(delimiter, request);
  return end < 0 ? request : request.subarray(0, end);
}

/** Where a delimiter ends in a request, or -1. */
function endOf(delimiter: Uint8Array, request: Uint8Array): number {
  const at = request.findIndex((_, i) =>
    delimiter.every((byte, j) => request[i + j] === byte)
  );
  return at < 0 ? at : at + delimiter.length;
}

/** Whether a request needs no FIN. */
function endsByItself(schedule: Schedule, client: Client): boolean {
  const { until } = schedule.options;
  if (typeof until !== "number") {
    return until !== undefined && endOf(until, client.request) >= 0;
  }
  const { bytes, fate } = askedOf(schedule, client);
  return fate === "whole" && bytes.length > 0;
}

/** Whether `request()` is cut before it is done. */
function isCut({ ending }: Client): boolean {
  return cuts.some((cut) => cut === ending);
}

/** Whether the server must see that a request is not complete. */
function isCutLoudly(schedule: Schedule, client: Client): boolean {
  // A client that reads just some sends a FIN before.
  const isReset = client.ending === "reset" && client.reading !== "some";
  return (isCut(client) || isReset) && schedule.transport !== "unix" &&
    !endsByItself(schedule, client);
}

/** Whether a client that is cut can see nothing else before. */
function mustBeCut(schedule: Schedule, client: Client): boolean {
  const { hurried, stop } = schedule;
  return isCut(client) && !hurried && !stop && client.reading !== "some" &&
    isRead(schedule) && !endsByItself(schedule, client) &&
    !wantsTooMuch(schedule) &&
    askedOf(schedule, client).fate !== "too-large";
}

/** What a handler answers to a whole request. */
export function answerTo(
  { behaviour, fixedSize, seed }: Schedule,
  request: Uint8Array,
): Uint8Array<ArrayBuffer> {
  switch (behaviour) {
    case "count":
      return encode(`${request.length} bytes`);
    case "fixed":
    case "cancel":
      return new Random(seed).bytes(fixedSize);
    case "nothing":
    case "abort":
    case "hang":
      return new Uint8Array();
    case "throw":
      return encode(apology);
    case "break":
      // With nothing sent, something else can still be said.
      return request.length === 0 ? encode(apology) : request.slice();
    default:
      return request.slice();
  }
}

/** Whether the request is read to its end before the response is whole. */
function isRead({ behaviour, options }: Schedule): boolean {
  const unread = ["fixed", "nothing", "cancel", "throw", "abort", "hang"];
  return !options.streaming || !unread.includes(behaviour);
}

/** Whether the server cuts connections with a RST. */
function canReset({ inherited, transport }: Schedule): boolean {
  return inherited && transport === "tcp";
}

/** Whether a response is cut, so that its client must see that. */
function isCutByReset(schedule: Schedule, request: Uint8Array): boolean {
  return schedule.behaviour === "break" && canReset(schedule) &&
    request.length > 0;
}

/** Whether a client may be cut before it knows that it is connected. */
function isCutAtOnce(schedule: Schedule): boolean {
  const { behaviour, stop, hurried } = schedule;
  const isCut = behaviour === "abort" || stop !== undefined || hurried;
  return isCut && canReset(schedule);
}

/** What is at odds with what the server promises: nothing, if all is well. */
export function findFaults(schedule: Schedule, events: Events): string[] {
  return [
    ...findWrongSights(schedule, events),
    ...findWrongRecords(schedule, events),
    ...findWrongRequests(schedule, events),
  ];
}

/** What a client must come to see, if nothing but itself can get in its way. */
function dueTo(
  schedule: Schedule,
  client: Client,
  sight: Sight,
): { outcome: Outcome; bytes: Uint8Array } | undefined {
  const { behaviour, hurried, stop } = schedule;
  const cut = stop?.by === "close" || stop?.by === "signal";
  if (hurried || cut || sight.connected !== "in time") return undefined;
  const good = client.ending === "fin" &&
    (client.reading === "at once" || client.reading === "after writing");
  if (!good) return undefined;
  const { bytes: request, fate } = askedOf(schedule, client);
  if (fate !== "whole" && isRead(schedule) && !wantsTooMuch(schedule)) {
    return {
      outcome: fate,
      bytes: encode(fate === "too-large" ? refusal : ""),
    };
  }
  const bytes = answerTo(schedule, request);
  switch (behaviour) {
    case "abort":
      return undefined;
    case "break":
      if (isCutByReset(schedule, request)) return undefined;
      // What is unread when a response is cut may reset it on its way.
      if (request.length < client.request.length) return undefined;
      return { outcome: "failed", bytes };
    case "throw":
      return { outcome: "failed", bytes };
    case "talk":
      if (wantsTooMuch(schedule)) {
        return { outcome: "too-large", bytes: encode(refusal) };
      }
      // It has wanted another piece, and says what came of that.
      return { outcome: isInPieces(request) ? "ok" : "truncated", bytes };
    default:
      return { outcome: "ok", bytes };
  }
}

/** Whether the first piece that a handler wants is too large. */
function wantsTooMuch({ behaviour, options }: Schedule): boolean {
  return behaviour === "talk" && options.streaming &&
    PIECE > options.maxRequestBytes;
}

function isInPieces({ length }: Uint8Array): boolean {
  return length % PIECE === 0;
}

function findWrongSights(schedule: Schedule, { sights }: Events): string[] {
  const faults: string[] = [];
  for (const [i, sight] of sights.entries()) {
    const client = schedule.clients[i];
    if (!client) continue;
    const { connected, end, bytes } = sight;
    const tell = (what: string) =>
      faults.push(`client ${i} ${what}: ${bytes.length} bytes, ${end}`);
    const full = answerTo(schedule, askedOf(schedule, client).bytes);
    const possible = [full, encode(refusal), encode(apology)];
    if (!possible.some((whole) => isPrefix(bytes, whole))) {
      tell("has seen what nobody sent");
    }
    const mayFail = schedule.stop || isCutAtOnce(schedule);
    if (connected === "never" && end !== "cut" && !mayFail) {
      tell("could not connect");
    }
    if (mustBeCut(schedule, client) && end !== "cut") tell("was not cut");
    const { bytes: request, fate } = askedOf(schedule, client);
    // If a client is still writing, the write may be told instead.
    const isHalf = fate === "whole" && isCutByReset(schedule, request) &&
      request.length === client.request.length;
    const isRefused = new TextDecoder().decode(bytes) === refusal;
    if (isHalf && bytes.length > 0 && end === "eof" && !isRefused) {
      tell("has taken a cut response for a whole one");
    }
    const due = dueTo(schedule, client, sight);
    // An echo that is under way is cut as the request turns out to be no good.
    const echoed = fate !== "whole" && schedule.options.streaming &&
      ["stream", "chunks", "talk"].includes(schedule.behaviour);
    const isReset = fate === "truncated" && canReset(schedule);
    if (!due || echoed || isReset) continue;
    if (end !== "eof") tell("has not seen the end");
    else if (bytes.length !== due.bytes.length || !isPrefix(bytes, due.bytes)) {
      tell(`should have seen ${due.bytes.length} bytes`);
    }
  }
  return faults;
}

function findWrongRecords(schedule: Schedule, events: Events): string[] {
  const { sights, records, atOnce } = events;
  const faults: string[] = [];
  const ids = records.map(({ id }) => id);
  // Requests that are read ahead are served in the order of their completion.
  if (schedule.options.readAhead > 0) ids.sort((a, b) => a - b);
  if (!ids.every((id, i) => id === i + 1)) {
    faults.push(`the records are numbered ${records.map(({ id }) => id)}`);
  }
  // A handler whose client is gone is abandoned, and the next request may be there.
  const abandoned = schedule.options.readAhead > 0 &&
    schedule.clients.some(({ ending, reading }) =>
      ending !== "fin" || reading === "some"
    );
  const overlapping = schedule.hurried || schedule.stop !== undefined ||
    abandoned;
  if (atOnce > 1 && !overlapping) faults.push(`${atOnce} handlers ran at once`);
  const fits = (record: ExchangeRecord, i: number) =>
    isPossible(schedule, record, i, sights[i]);
  const perRecord = records.map((record) =>
    sights.flatMap((_, i) => fits(record, i) ? [i] : [])
  );
  if (matched(perRecord) < records.length) {
    faults.push(`some record is of what no client did: ${list(records)}`);
  }
  const due = sights.flatMap((sight, i) => {
    const client = schedule.clients[i];
    return client && dueTo(schedule, client, sight) ? [i] : [];
  });
  const perClient = due.map((i) =>
    records.flatMap((record, j) => fits(record, i) ? [j] : [])
  );
  if (matched(perClient) < due.length) {
    faults.push(`some client lacks the record it is due: ${list(records)}`);
  }
  return faults;
}

function list(records: ExchangeRecord[]): string {
  return records.map(({ remoteAddr, bytesRead, bytesWritten, ...record }) => {
    const port = "port" in remoteAddr ? remoteAddr.port : "unix";
    return `\n    ${record.id} (${port}) ${bytesRead} in, ${bytesWritten} out, ` +
      `${record.outcome} while ${record.phase}: ${record.error}`;
  }).join("");
}

/** Whether a record may be that of a client. */
function isPossible(
  schedule: Schedule,
  record: ExchangeRecord,
  index: number,
  sight: Sight | undefined,
): boolean {
  const client = schedule.clients[index];
  if (!client || !sight) return false;
  const { remoteAddr, outcome, bytesRead, bytesWritten } = record;
  // Who could not connect may yet have been accepted, or tried to shake hands.
  if (sight.connected === "never") {
    return client.ours || schedule.transport === "tls" ||
      isCutAtOnce(schedule);
  }
  const isPortKnown = "port" in remoteAddr && sight.port !== undefined;
  if (isPortKnown && remoteAddr.port !== sight.port) return false;
  const size = askedOf(schedule, client).bytes.length;
  if (bytesRead > size) return false;
  const due = dueTo(schedule, client, sight);
  if (due) {
    const whole = outcome !== "ok" || !isRead(schedule) || bytesRead === size;
    const sent = outcome !== "ok" || bytesWritten === due.bytes.length;
    return outcome === due.outcome && whole && sent;
  }
  return possibleOutcomes(schedule, client).has(outcome);
}

function possibleOutcomes(schedule: Schedule, client: Client): Set<Outcome> {
  const { behaviour, hurried, stop, options, transport } = schedule;
  const possible = new Set<Outcome>();
  if (!isCutLoudly(schedule, client) || !isRead(schedule)) possible.add("ok");
  const { fate } = askedOf(schedule, client);
  if (fate !== "whole") possible.add(fate);
  if (client.ending !== "fin" || client.reading === "some") {
    possible.add("reset");
    if (typeof options.until === "number") possible.add("truncated");
    if (transport === "tls") possible.add("truncated").add("handshake");
  }
  if (hurried) possible.add("idle").add("deadline").add("reset");
  // A shutdown takes one more deadline, and then aborts.
  if (hurried || (stop && stop.by !== "shutdown")) possible.add("aborted");
  if (stop) possible.add("reset");
  if (behaviour === "abort") possible.add("aborted");
  if (behaviour === "talk") possible.add("truncated");
  if (wantsTooMuch(schedule)) possible.add("too-large");
  if (behaviour === "throw" || behaviour === "break") possible.add("failed");
  // A handler that was abandoned may fail afterwards.
  return possible;
}

function findWrongRequests(schedule: Schedule, { requests }: Events): string[] {
  const whole = (request: Uint8Array) =>
    schedule.clients.some((client) => {
      const { bytes: asked, fate } = askedOf(schedule, client);
      if (isCutLoudly(schedule, client) || !isPrefix(request, asked)) {
        return false;
      }
      if (fate === "whole" && request.length === asked.length) return true;
      // Who leaves has ended its request, unless that has told its length.
      const hasLeft = fate === "whole" && client.ending === "leave";
      return (hasLeft || isCut(client)) &&
        (typeof schedule.options.until !== "number" || request.length === 0);
    });
  return requests.every(whole)
    ? []
    : ["the handler was given a request that nobody had completed"];
}

function isPrefix(bytes: Uint8Array, whole: Uint8Array): boolean {
  return bytes.length <= whole.length && bytes.every((b, i) => b === whole[i]);
}

/**
 * How many of those on the left can be given a partner of their own on the
 * right: the largest matching, by augmenting paths.
 */
function matched(partners: number[][]): number {
  const takenBy = new Map<number, number>();
  const place = (left: number, tried: Set<number>): boolean =>
    (partners[left] ?? []).some((right) => {
      if (tried.has(right)) return false;
      tried.add(right);
      const other = takenBy.get(right);
      if (other !== undefined && !place(other, tried)) return false;
      takenBy.set(right, left);
      return true;
    });
  return partners.filter((_, left) => place(left, new Set())).length;
}
