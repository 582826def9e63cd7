// A browser without a window, driven over the DevTools protocol.

import { lines, spawn } from "./programs.ts";
import { temporaryFolder } from "./support.ts";

/** Without what a browser asks of others by itself. */
export const chromiumFlags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

type Fields = Record<string, unknown>;

/** What a page of the browser looks like. */
export interface Looks {
  width?: number;
  height?: number;
  dark?: boolean;
  mobile?: boolean;
  reducedMotion?: boolean;
}

/** Chromium, which does not outlive the test. */
export class Browser implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #folder: AsyncDisposable;
  readonly #socket: WebSocket;
  readonly #stderr: Promise<void>;
  readonly #stdout: Promise<unknown>;
  readonly #pending = new Map<
    number,
    { resolve: (result: Fields) => void; reject: (error: Error) => void }
  >();
  readonly #pages = new Map<string, Page>();
  #sent = 0;

  private constructor(
    child: Deno.ChildProcess,
    folder: AsyncDisposable,
    socket: WebSocket,
    stderr: Promise<void>,
  ) {
    this.#child = child;
    this.#folder = folder;
    this.#socket = socket;
    this.#stderr = stderr;
    this.#stdout = new Response(child.stdout).text();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
  }

  static async start(): Promise<Browser> {
    const folder = await temporaryFolder();
    const child = spawn("chromium", [
      ...chromiumFlags,
      "--remote-debugging-port=0",
      `--user-data-dir=${folder.path}`,
      "about:blank",
    ]);
    const listening = Promise.withResolvers<string>();
    const stderr = (async () => {
      for await (const line of lines(child.stderr)) {
        const [, url] = /^DevTools listening on (ws:\S+)/.exec(line) ?? [];
        if (url) listening.resolve(url);
      }
      listening.reject(new Error("Chromium ended before it listened"));
    })();
    const socket = new WebSocket(await listening.promise);
    await new Promise((resolve) => socket.onopen = resolve);
    return new Browser(child, folder, socket, stderr);
  }

  /** Opens an address in a page of its own, and waits until it is loaded. */
  async open(url: string, looks: Looks = {}): Promise<Page> {
    const { targetId } = await this.send("Target.createTarget", {
      url: "about:blank",
    });
    const { sessionId } = await this.send("Target.attachToTarget", {
      targetId,
      flatten: true,
    });
    const page = new Page(this, `${sessionId}`);
    this.#pages.set(`${sessionId}`, page);
    for (const domain of ["Page", "Runtime", "Log", "Network", "DOM"]) {
      await page.send(`${domain}.enable`);
    }
    await page.look(looks);
    await page.goTo(url);
    return page;
  }

  send(method: string, params: Fields = {}, sessionId?: string) {
    const id = ++this.#sent;
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise<Fields>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    await this.send("Browser.close");
    await closed;
    await this.#child.status;
    await this.#stderr;
    await this.#stdout;
    await this.#folder[Symbol.asyncDispose]();
  }

  #receive(message: Fields): void {
    const { id, method, params, sessionId, result, error } = message;
    if (method !== undefined) {
      this.#pages.get(`${sessionId}`)?.notice(`${method}`, params as Fields);
      return;
    }
    const pending = this.#pending.get(id as number);
    this.#pending.delete(id as number);
    if (error) pending?.reject(new Error(JSON.stringify(error)));
    else pending?.resolve(result as Fields);
  }
}

/** A page in the browser. */
export class Page {
  /** What it has asked for, without what is in the page itself. */
  readonly requests: string[] = [];
  /** What it complains about: errors, and lines in its console. */
  readonly complaints: string[] = [];
  readonly #browser: Browser;
  readonly #session: string;
  #loaded = Promise.withResolvers<void>();

  constructor(browser: Browser, session: string) {
    this.#browser = browser;
    this.#session = session;
  }

  send(method: string, params?: Fields): Promise<Fields> {
    return this.#browser.send(method, params, this.#session);
  }

  async goTo(url: string): Promise<void> {
    this.#loaded = Promise.withResolvers();
    await this.send("Page.navigate", { url });
    await this.#loaded.promise;
  }

  async look(looks: Looks): Promise<void> {
    const { width = 1280, height = 800, mobile = false } = looks;
    await this.send("Emulation.setDeviceMetricsOverride", {
      ...{ width, height, mobile, deviceScaleFactor: 1 },
    });
    await this.send("Emulation.setEmulatedMedia", {
      features: [
        {
          name: "prefers-color-scheme",
          value: looks.dark ? "dark" : "light",
        },
        {
          name: "prefers-reduced-motion",
          value: looks.reducedMotion ? "reduce" : "no-preference",
        },
      ],
    });
    await this.send("Emulation.setTouchEmulationEnabled", { enabled: mobile });
  }

  /** Evaluates an expression in the page. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      ...{ expression, awaitPromise: true, returnByValue: true },
    });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: Value }).value;
  }

  /** Presses a key, as a person does. */
  async press(key: string): Promise<void> {
    const text = key === " " ? key : undefined;
    const code = key === " " ? "Space" : key;
    const codes: Record<string, number> = {
      ...{ " ": 32, Tab: 9, End: 35, Home: 36, ArrowLeft: 37, ArrowRight: 39 },
    };
    const event = { key, code, windowsVirtualKeyCode: codes[key] };
    await this.send("Input.dispatchKeyEvent", {
      ...{ type: "keyDown", text, ...event },
    });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  /** Presses with the mouse, or taps, in the middle of an element. */
  async clickOn(selector: string): Promise<void> {
    const [x, y] = await this.evaluate<[number, number]>(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      element.scrollIntoView({ block: "center" });
      const { x, y, width, height } = element.getBoundingClientRect();
      return [x + width / 2, y + height / 2];
    })()`);
    await this.click(x, y);
  }

  async click(x: number, y: number): Promise<void> {
    const at = { x, y, button: "left", clickCount: 1 };
    await this.send("Input.dispatchMouseEvent", {
      ...{ type: "mousePressed", ...at },
    });
    await this.send("Input.dispatchMouseEvent", {
      ...{ type: "mouseReleased", ...at },
    });
  }

  /** Chooses a file where one can be chosen. */
  async choose(selector: string, path: string): Promise<void> {
    const { root } = await this.send("DOM.getDocument");
    const { nodeId } = await this.send("DOM.querySelector", {
      nodeId: (root as { nodeId: number }).nodeId,
      selector,
    });
    await this.send("DOM.setFileInputFiles", { nodeId, files: [path] });
  }

  /** Drags a file over the page, and drops it there. */
  async drop(path: string): Promise<void> {
    const data = { items: [], files: [path], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"]) {
      await this.send("Input.dispatchDragEvent", { type, x: 9, y: 9, data });
    }
  }

  /** A picture of what is seen. */
  async screenshot(path: string): Promise<void> {
    const { data } = await this.send("Page.captureScreenshot");
    await Deno.writeFile(
      path,
      Uint8Array.from(atob(`${data}`), (byte) => byte.charCodeAt(0)),
    );
  }

  notice(method: string, params: Fields): void {
    switch (method) {
      case "Page.loadEventFired":
        this.#loaded.resolve();
        break;
      case "Network.requestWillBeSent":
        this.requests.push((params["request"] as { url: string }).url);
        break;
      case "Runtime.exceptionThrown":
      case "Runtime.consoleAPICalled":
      case "Log.entryAdded":
        this.complaints.push(JSON.stringify(params));
    }
  }
}
