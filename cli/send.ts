/**
 * `halfclose send`: sends its input, half-closes, and prints the reply.
 *
 * @module
 */

import { type Reply, request, type RequestOptions } from "../client.ts";
import { within } from "../shared/pause.ts";
import { isAbstract, noAbstractSockets } from "../shared/unix_path.ts";
import type { Flags } from "./args/flag_kinds.ts";
import type { sendFlags } from "./args/flags.ts";
import { complainOf } from "./log/complaint.ts";
import { type CommandLine, UsageError } from "./args/parsing.ts";
import { heedEnds } from "./lifecycle/signals.ts";
import { readHostPort } from "./shared/host_port.ts";
import { ensurePermissions } from "./shared/permissions.ts";
import { ReceiptCheck } from "./shared/receipt.ts";
import { Progress } from "./view/progress.ts";
import { readPem, useFile } from "./shared/files.ts";
import { writeAll } from "./shared/streams.ts";
import { messageOf, nameOf } from "./shared/wording.ts";

type SendFlags = Flags<typeof sendFlags>;

/** Where to send to: its name in messages, and its options. */
interface Destination {
  readonly name: string;
  readonly options:
    | { path: string }
    | { hostname: string; port: number };
}

/** What is sent. */
interface Input {
  readonly stream: AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** Its size in bytes, if that is known. */
  readonly size?: number;
}

/** How long it may take to cut a request: printing may hold it up. */
const CUTTING_MS = 100;
/** How much of a file is read, hashed and sent at a time. */
const READ_BYTES = 262_144;
/** The same as that of timeout(1). */
const TIMED_OUT = 124;
/** 128 plus the number of SIGPIPE, which ends most programs in this case. */
const NOBODY_READS = 141;

/**
 * Sends standard input or a file to a server, and prints what it replies.
 *
 * @param line The command line.
 * @returns The exit status: 0 if the whole reply was printed and, with
 * `--receipt`, says that the request was kept; 124 if that took too long, 141 if
 * standard output was closed, 128 plus its number if a signal has ended it.
 * @throws {UsageError} If the arguments make no sense.
 * @throws {Error} If it fails otherwise; the message says why.
 */
export async function send(
  line: CommandLine<typeof sendFlags>,
): Promise<number> {
  const destination = readDestination(line);
  const { flags } = line;
  checkTls(flags, destination);
  const controller = new AbortController();
  const cut = Promise.withResolvers<number>();
  // What ends it must not look to the server like the end of the request.
  using _ = heedEnds((status) => {
    controller.abort();
    cut.resolve(status);
  });
  const receipt = flags.receipt ? new ReceiptCheck() : undefined;
  const unconfirmed = () =>
    receipt?.hasBegun
      ? `, and ${destination.name} has not confirmed that it has kept the ` +
        "request (it may have kept it all the same)"
      : "";
  const timeout = flags.timeout ?? Infinity;
  try {
    // The time limit also covers opening a file and printing.
    const sent = exchange(flags, destination, controller.signal, receipt);
    const status = await within(timeout, Promise.race([sent, cut.promise]));
    controller.abort();
    // A connection that is being made can be cut only when it is made.
    await within(CUTTING_MS, Promise.allSettled([sent]));
    if (status !== undefined) return status;
  } catch (error) {
    if (!receipt?.hasBegun) throw error;
    throw new Error(messageOf(error) + unconfirmed());
  }
  complainOf(
    `${destination.name} took longer than the ${timeout} ms of ` +
      `--timeout${unconfirmed()}`,
  );
  return TIMED_OUT;
}

async function exchange(
  flags: SendFlags,
  destination: Destination,
  signal: AbortSignal,
  receipt: ReceiptCheck | undefined,
): Promise<number> {
  const options = await optionsFor(flags, destination);
  const input = await openInput(flags.file);
  const progress = new Progress(input.size);
  try {
    const body = progress.watch(receipt?.watch(input.stream) ?? input.stream);
    const reply = await request({ ...options, signal }, body);
    // On one terminal, the bar and the reply would overwrite each other.
    if (Deno.stdout.isTerminal()) await progress.stop();
    if (!await print(reply, receipt)) return NOBODY_READS;
    if (!await reply.sent) {
      throw new Error(
        `${destination.name} closed before it had taken the whole request`,
      );
    }
    if (receipt?.isConfirmed ?? true) return 0;
    throw new Error("The reply is not the receipt for what was sent");
  } catch (error) {
    throw advised(error);
  } finally {
    await progress.stop();
  }
}

/** Prints the reply as it arrives: `false` if standard output was closed. */
async function print(
  reply: Reply,
  receipt: ReceiptCheck | undefined,
): Promise<boolean> {
  for await (const chunk of reply.readable) {
    receipt?.take(chunk);
    try {
      await writeAll(Deno.stdout, chunk);
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      throw new Error(`Cannot print the reply: ${messageOf(error)}`);
    }
  }
  return true;
}

// The destination

function readDestination(
  { operands, rest }: CommandLine<typeof sendFlags>,
): Destination {
  const [text, ...others] = operands;
  const [extra] = [...others, ...rest ?? []];
  if (extra !== undefined) {
    throw new UsageError(
      `unexpected argument "${extra}": send takes one destination`,
    );
  }
  const destination = text === undefined ? undefined : parseDestination(text);
  if (destination) {
    checkPath(destination);
    return destination;
  }
  const received = text === undefined ? "" : `, received "${text}"`;
  throw new UsageError(
    `send needs a destination: HOST:PORT, [IPV6]:PORT or unix:PATH${received}`,
  );
}

function checkPath({ options }: Destination): void {
  if (!("path" in options) || !isAbstract(options.path)) return;
  throw new UsageError(
    `cannot send to "${options.path}": ${noAbstractSockets(options.path)}`,
  );
}

function parseDestination(text: string): Destination | undefined {
  const [, path] = /^unix:(.+)$/s.exec(text) ?? [];
  if (path !== undefined) {
    return path.includes("\0") ? undefined : { name: path, options: { path } };
  }
  const place = readHostPort(text);
  if (place === undefined || place.port === 0) return undefined;
  return { name: nameOf({ transport: "tcp", ...place }), options: place };
}

function checkTls(flags: SendFlags, { options }: Destination): void {
  if (flags.tls && "path" in options) {
    throw new UsageError("--tls is not for Unix sockets. Leave it out.");
  }
  if (flags.ca !== undefined && !flags.tls) {
    throw new UsageError("--ca needs --tls, too");
  }
}

async function optionsFor(
  flags: SendFlags,
  { name, options }: Destination,
): Promise<RequestOptions> {
  const limits = {
    timeout: Infinity,
    maxReplyBytes: Infinity,
  };
  const action = `connect to ${name}`;
  if ("path" in options) {
    const { path } = options;
    // Deno grants access to single sockets only by their absolute paths.
    const absolute = path.startsWith("/") && { host: `unix:${path}` };
    await ensurePermissions(
      action,
      { name: "net", ...absolute },
      { name: "read", path },
      { name: "write", path },
    );
    return { ...limits, ...options };
  }
  await ensurePermissions(action, { name: "net", host: name });
  if (!flags.tls) return { ...limits, ...options };
  const caCerts = flags.ca === undefined
    ? []
    : [await readPem(flags.ca, `trust ${flags.ca}`, "certificate")];
  return { ...limits, ...options, tls: true, caCerts };
}

// The input

async function openInput(path: string | undefined): Promise<Input> {
  if (path === undefined) return { stream: Deno.stdin.readable };
  return await useFile(path, async () => {
    const file = await Deno.open(path);
    const { isDirectory, isFile, size } = await file.stat();
    if (isDirectory) throw new Error("it is a directory");
    return { stream: chunksOfFile(file), ...(isFile && { size }) };
  });
}

/** A file in chunks, each of which is gone when the next one is asked for. */
async function* chunksOfFile(
  file: Deno.FsFile,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  using _ = file;
  const buffer = new Uint8Array(READ_BYTES);
  for (let read; (read = await file.read(buffer)) !== null;) {
    yield buffer.subarray(0, read);
  }
}

/** What to do about certificates that are not trusted, by words of the fault. */
const certificateAdvice: [fault: RegExp, advice: string][] = [
  [
    /unable to (?:get|verify)|self-signed|not signed by/,
    "name the authority to trust with --ca",
  ],
  [
    /made for an authority/,
    "make the server's certificate anew with `openssl req -x509 … -addext " +
    "basicConstraints=critical,CA:FALSE`",
  ],
];

/** Adds what to do about a certificate that is not trusted. */
function advised(error: unknown): unknown {
  const message = messageOf(error);
  const [, advice] = certificateAdvice.find(([fault]) => fault.test(message)) ??
    [];
  return advice ? new Error(`${message}: ${advice}`) : error;
}
