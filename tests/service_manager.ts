// A service manager as systemd is one: it is told on a real socket.

import { assertEquals } from "@std/assert";
import { kill, lines, printed, runProgram, spawn } from "./programs.ts";
import type { ToolOptions } from "./tool.ts";

// Prints the messages that come to a socket, each as a JSON object in a line.
const receiver = `
import json, socket, sys
name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\\0" + name[1:] if name[0] == "@" else name)
print("{}", flush=True)
while True:
    message = receiver.recv(65536).decode()
    print(json.dumps(dict(line.split("=", 1) for line in message.split("\\n"))), flush=True)
`;

const sender = `
import socket, sys
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.sendto(sys.argv[2].encode(), sys.argv[1])
`;

const filler = `
import socket, sys
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.setblocking(False)
try:
    while True:
        sender.sendto(b"FULL=0", sys.argv[1])
except BlockingIOError:
    pass
`;

type Message = Readonly<Record<string, string>>;

/** Plays the service manager. */
export class Manager implements AsyncDisposable {
  readonly name: string;
  readonly #child: Deno.ChildProcess;
  readonly #messages: AsyncGenerator<string, void, undefined>;
  // Who waits in vain shall fail, not hang.
  readonly #guard = setTimeout(() => kill(this.#child), 120_000);

  private constructor(name: string) {
    this.name = name;
    this.#child = spawn("python3", ["-c", receiver, name], {
      stderr: "inherit",
    });
    this.#messages = lines(this.#child.stdout);
  }

  static async at(name: string): Promise<Manager> {
    const manager = new Manager(name);
    assertEquals(await manager.next(), {});
    return manager;
  }

  /** The next message. */
  async next(): Promise<Message> {
    const { value } = await this.#messages.next();
    return JSON.parse(value ?? "null");
  }

  /** Sends it a message. */
  told(message: string): Promise<void> {
    return this.#run(sender, message);
  }

  /** From now on it hears nothing, and its socket takes no more messages. */
  async goDeaf(): Promise<void> {
    this.#child.kill("SIGSTOP");
    await this.#run(filler);
  }

  async #run(program: string, ...args: string[]): Promise<void> {
    const { code, stderr } = await runProgram("python3", [
      "-c",
      program,
      this.name,
      ...args,
    ]);
    assertEquals(code, 0, stderr);
  }

  /** What a service needs that tells its manager, and how it is told so. */
  serving(env: Record<string, string> = {}): ToolOptions {
    const isAbstract = this.name.startsWith("@");
    return {
      permissions: [
        "--no-prompt",
        "--unstable-net",
        // Deno cannot name what is in the abstract namespace.
        isAbstract ? "-N" : `-N=127.0.0.1,unix:${this.name}`,
        ...isAbstract ? [] : [`-W=${this.name}`],
        "--allow-env=NOTIFY_SOCKET,WATCHDOG_USEC,WATCHDOG_PID",
      ],
      env: { NOTIFY_SOCKET: this.name, ...env },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#guard);
    kill(this.#child);
    await this.#messages.return();
    await this.#child.status;
  }
}

/** Whether there can be one. */
export const hasManagers = Deno.build.os === "linux" &&
  await printed(["python3", "-c", "import socket"]) !== undefined;
