// What happens in one round: a server, what its handler does, and what each of
// its clients does when. All of it follows from the seed.

import { Random } from "../harness/random.ts";

/** What a handler does, and what comes of it: see `behave()` and `answerTo()`. */
export const behaviours = [
  "echo",
  "count",
  "fixed",
  "respond",
  "stream",
  "chunks",
  "talk",
  "pieces",
  "nothing",
  "cancel",
  "throw",
  "break",
  "abort",
  "hang",
] as const;
export type Behaviour = typeof behaviours[number];

/** How a client of ours may be cut before it has sent its FIN. */
export const cuts = ["signal", "timeout", "body"] as const;

/** One client: it writes, ends its writing, reads, and leaves. */
export interface Client {
  /** Whether it does so by `request()`, or by hand. */
  ours: boolean;
  /** How long it waits before it connects: see `pause()`. */
  delay: number;
  request: Uint8Array<ArrayBuffer>;
  /** Where the request is parted into writes, and how long each is waited with. */
  pauses: { at: number; delay: number }[];
  ending: "fin" | "reset" | "leave" | "stay" | typeof cuts[number];
  /** When a signal or the time limit cuts it. */
  patience: number;
  reading: "at once" | "after writing" | "some" | "nothing";
  /** How many bytes are read by one that reads but some. */
  some: number;
}

export interface Schedule {
  seed: number;
  transport: "tcp" | "unix" | "tls";
  /** Whether the server has inherited its socket. */
  inherited: boolean;
  /** Whether `serve()` or a loop over `listen()` is asked. */
  api: "serve" | "listen";
  options: {
    streaming: boolean;
    maxRequestBytes: number;
    deadline: number;
    idleTimeout: number;
    lingerTimeout: number;
    readAhead: number;
    /** What ends requests, too: a delimiter, or how many bytes tell their length. */
    until: Uint8Array<ArrayBuffer> | number | undefined;
  };
  behaviour: Behaviour;
  /** The size of a response that does not depend on the request. */
  fixedSize: number;
  /** Whether a limit of time may be reached: then much may happen to anybody. */
  hurried: boolean;
  clients: Client[];
  /** How the server is stopped, and how long after the first client. */
  stop: { by: "shutdown" | "close" | "signal"; delay: number } | undefined;
}

/** What the option `until` returns for heads that tell the length of the rest. */
export function lengthIn(
  head: Uint8Array,
  headBytes: number,
): number | undefined {
  if (head.length < headBytes) return undefined;
  const told = head.subarray(0, Math.min(headBytes, MOST_DIGITS));
  return told.reduce((sum, byte) => sum * 256 + byte, 0) + headBytes;
}

/** How much a handler that talks reads at once. */
export const PIECE = 1000;

const MOST_DIGITS = 3;
const isOnLinux = Deno.build.os === "linux";
const LONG = 60_000;
/** About what goes into the buffers of a connection that nobody reads. */
const FITS = 50_000;

/** Makes the schedule of a seed. */
export function makeSchedule(seed: number): Schedule {
  const random = new Random(seed);
  const transport = random.pick(["tcp", "tcp", "tcp", "unix", "tls"]);
  const hurried = random.chance(0.3);
  const behaviour = pickBehaviour(random, hurried);
  const fails = ["throw", "break", "abort", "hang"].includes(behaviour);
  const streaming = random.chance(0.5);
  const maxRequestBytes = random.pick([
    Infinity,
    Infinity,
    1_000_000,
    65_536,
    random.int(0, 2000),
  ]);
  const short = random.pick(["deadline", "idleTimeout"]);
  const limit = (name: string) =>
    hurried && (name === short || random.chance(0.3))
      ? random.int(20, 150)
      : LONG;
  const options = {
    streaming,
    maxRequestBytes,
    // What hangs has to end.
    deadline: behaviour === "hang" ? random.int(20, 150) : limit("deadline"),
    idleTimeout: limit("idleTimeout"),
    lingerTimeout: hurried ? random.pick([0, 10, 200]) : LONG,
    readAhead: streaming ? 0 : random.pick([0, 0, 1, 32]),
    until: pickUntil(random),
  };
  const api = fails || random.chance(0.6) ? "serve" : "listen";
  const clients = Array.from(
    { length: random.int(1, 6) },
    () => makeClient(random, { transport, behaviour, hurried, options }),
  );
  const stop = random.chance(0.3)
    ? {
      by: random.pick([
        "shutdown",
        "shutdown",
        "signal",
        // What `serve()` gives has no such.
        ...(api === "listen" ? ["close"] as const : []),
      ]),
      delay: random.pick([0, 0, 1, random.int(2, 40)]),
    }
    : undefined;
  const fixedSize = random.pick([0, 1, 1000, 70_000, 2_000_000]);
  // Clients that wait when it shuts down wait for the next server: there is none.
  const inherited = isOnLinux && transport !== "tls" &&
    stop?.by !== "shutdown" && random.chance(0.3);
  return {
    seed,
    transport,
    inherited,
    api,
    options,
    behaviour,
    fixedSize,
    hurried,
    clients,
    stop,
  };
}

function pickBehaviour(random: Random, hurried: boolean): Behaviour {
  const behaviour = random.pick(behaviours);
  return behaviour === "hang" && !hurried ? "echo" : behaviour;
}

function pickUntil(random: Random): Schedule["options"]["until"] {
  if (random.chance(0.3)) return random.bytes(random.pick([1, 1, 2]));
  // Some heads are longer than may be looked at.
  return random.chance(0.3) ? random.pick([1, 2, 2, 3, 20_000]) : undefined;
}

function makeClient(
  random: Random,
  { transport, behaviour, hurried, options }: Pick<
    Schedule,
    "transport" | "behaviour" | "hurried" | "options"
  >,
): Client {
  const good = random.chance(0.6);
  const reading = good
    ? random.pick(["at once", "after writing"])
    : random.pick(["at once", "after writing", "some"]);
  const ours = random.chance(0.3);
  const never = hurried && !good && !ours;
  const ending = good
    ? "fin"
    : ours
    ? random.pick(cuts)
    : transport === "tcp"
    ? random.pick(["fin", "leave", "reset"])
    : random.pick(["fin", "leave"]);
  let size = pickSize(random, options.maxRequestBytes);
  // Who writes all before it reads cannot be echoed more than buffers take.
  const echoed = ["stream", "chunks", "talk"].includes(behaviour);
  if (echoed && reading !== "at once") size = Math.min(size, FITS);
  const request = random.bytes(size);
  if (typeof options.until === "number" && random.chance(0.6)) {
    tellLength(request, options.until);
  }
  const pauses = Array.from(
    { length: random.chance(0.5) ? 0 : random.int(1, 4) },
    () => ({ at: random.int(0, size), delay: pickDelay(random) }),
  ).sort((a, b) => a.at - b.at);
  return {
    ours,
    delay: pickDelay(random),
    request,
    pauses,
    ending: never && random.chance(0.3) ? "stay" : ending,
    reading: never && random.chance(0.3) ? "nothing" : reading,
    some: random.pick([0, 1, random.int(0, 100_000)]),
    patience: random.pick([1, 5, random.int(1, 60)]),
  };
}

/** Has a request tell its own length, if its head can. */
export function tellLength(request: Uint8Array, headBytes: number): void {
  let rest = request.length - headBytes;
  const digits = Math.min(headBytes, MOST_DIGITS);
  if (rest < 0 || rest >= 256 ** digits) return;
  for (let i = digits - 1; i >= 0; i--) {
    request[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function pickSize(random: Random, maxRequestBytes: number): number {
  const sizes: [number, ...number[]] = [
    0,
    random.int(1, 2000),
    random.int(65_530, 65_540),
    random.int(1, 1_500_000),
  ];
  if (maxRequestBytes !== Infinity) {
    sizes.push(maxRequestBytes, maxRequestBytes + 1, maxRequestBytes * 3);
  }
  return random.pick(sizes);
}

/** Mostly none. */
function pickDelay(random: Random): number {
  return random.pick([0, 0, 0, 1, random.int(2, 20)]);
}
