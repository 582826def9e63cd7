// A terminal as a person sees it: tmux keeps its screen.

import { printed, root, spawn } from "./programs.ts";
import { temporaryFolder, testIf, until } from "./support.ts";

const hasTmux = (await printed(["tmux", "-V"])) !== undefined;

/** Defines a test on a terminal. */
export function testOnScreen(name: string, fn: () => Promise<void>): void {
  testIf(hasTmux, "tmux", name, fn);
}

/** How large a terminal is, and what is added to the environment. */
export interface TerminalOptions {
  columns?: number;
  rows?: number;
  env?: Record<string, string>;
}

// Says how the program ended, and leaves its last screen as it is. A Ctrl-C is
// for the program alone.
const script = 'trap : INT; echo before; "$@"; echo "ended with $?"; exec cat';

/** A terminal in which one program runs. */
export class Terminal implements AsyncDisposable {
  readonly #folder: Awaited<ReturnType<typeof temporaryFolder>>;

  private constructor(folder: Awaited<ReturnType<typeof temporaryFolder>>) {
    this.#folder = folder;
  }

  /** Runs a program. */
  static async run(
    command: string[],
    { columns = 80, rows = 24, env = {} }: TerminalOptions = {},
  ): Promise<Terminal> {
    const terminal = new Terminal(await temporaryFolder());
    const size = ["-x", `${columns}`, "-y", `${rows}`];
    const set = Object.entries({ NO_COLOR: "", ...env })
      .flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    const run = ["sh", "-c", script, "sh", ...command];
    await terminal.#tmux(
      ...["-f", "/dev/null", "new-session", "-d", "-c", root],
      ...[...size, ...set, ...run],
    );
    return terminal;
  }

  /** The text on the screen. */
  screen(): Promise<string> {
    return this.#tmux("capture-pane", "-p");
  }

  /** The same, with the codes for colours. */
  colors(): Promise<string> {
    return this.#tmux("capture-pane", "-p", "-e");
  }

  /** Waits until the screen shows something. */
  async shows(expected: RegExp): Promise<RegExpExecArray> {
    let screen = "";
    const giveUp = AbortSignal.timeout(60_000);
    return await until(async () => {
      screen = await this.screen();
      if (giveUp.aborted) throw new Error(`No ${expected} in:\n${screen}`);
      return expected.exec(screen);
    });
  }

  /** Presses a key, as tmux calls it. */
  async press(key: string): Promise<void> {
    await this.#tmux("send-keys", key);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux("resize-window", "-x", `${columns}`, "-y", `${rows}`);
  }

  /** Whether it shows its usual screen, with a cursor and with wrapped lines. */
  async isItself(): Promise<boolean> {
    const flags = "#{alternate_on}#{cursor_flag}#{wrap_flag}";
    return (await this.#tmux("display-message", "-p", flags)).trim() === "011";
  }

  /** The number of the program's process. */
  async pid(): Promise<number> {
    const shell = await this.#tmux("display-message", "-p", "#{pane_pid}");
    const child = await printed(["pgrep", "-P", shell.trim()]);
    return Number(child);
  }

  /** Waits until the program has ended, even if the screen does not show it. */
  async isIdle(): Promise<void> {
    const giveUp = AbortSignal.timeout(60_000);
    await until(async () => {
      if (giveUp.aborted) throw new Error("The program has not ended");
      return Number.isNaN(await this.pid());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server");
    await this.#folder[Symbol.asyncDispose]();
  }

  async #tmux(...args: string[]): Promise<string> {
    const socket = `${this.#folder.path}/tmux`;
    const { code, stdout, stderr } = await spawn(
      "tmux",
      ["-u", "-S", socket, ...args],
      { env: { LC_ALL: "C.UTF-8", TERM: "xterm-256color" } },
    ).output();
    const decoder = new TextDecoder();
    if (code !== 0) throw new Error(decoder.decode(stderr));
    return decoder.decode(stdout);
  }
}
