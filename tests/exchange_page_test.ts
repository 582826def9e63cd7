// The page that shows the life of exchanges: `docs/exchange.html`.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Browser, type Looks, type Page } from "./browser.ts";
import { testWith } from "./clients.ts";
import { ask } from "./sockets.ts";
import { temporaryFolder, until } from "./support.ts";
import { draw, picture } from "./traces/picture.ts";
import {
  page as file,
  recorded,
  tracesIn,
  withTraces,
} from "./traces/record.ts";
import { scenarios } from "./traces/scenarios.ts";
import { TracedTool } from "./traces/traced_tool.ts";

const phone: Looks = { width: 360, height: 740, mobile: true };
const html = Deno.readTextFileSync(file);

/** What the steps of each scenario tell, in this order, among other things. */
const stories: Record<string, RegExp[]> = {
  one: [
    /^The server listens on /,
    /^Client 1 connects\./,
    /^The server accepts client 1 and begins to read/,
    /^5 bytes of client 1 arrive\. There is no FIN yet/,
    /^The FIN of client 1 arrives\. The FIN completes the request: 5 bytes\./,
    /^It is the turn of client 1: /,
    /^Client 2 connects\./,
    /^The server sends client 1 its response, 5 bytes\./,
    /^The server sends its FIN to client 1 and closes\. .* ok\.$/,
    /^The server accepts client 2 /,
    /^It is the turn of client 2: /,
    /^The server is told to stop\. .* after 2 exchanges\.$/,
  ],
  slow: [
    /^2 bytes of client 1 arrive\. There is no FIN yet/,
    /^Client 2 sends 6 bytes and its FIN\. .* still in line\.$/,
    /^Client 3 sends 5 bytes and its FIN\. .* still in line\.$/,
    /^The server sends its FIN to client 1 and closes/,
    /^The server accepts client 2 /,
    /^The server reads from the kernel what client 2 has sent: 6 bytes and the/,
    /^The server sends its FIN to client 2 and closes/,
    /^The server accepts client 3 /,
  ],
  ahead: [
    /it may read 8 more requests/,
    /^2 bytes of client 1 arrive\. There is no FIN yet/,
    /^It is the turn of client 2: /,
    /client 3 arrive.* It waits for its turn/,
    /^It is the turn of client 3: /,
    /^The FIN of client 1 arrives\. The FIN completes the request: 4 bytes\./,
    /^It is the turn of client 1: /,
  ],
  reset: [
    /^11 bytes of client 1 arrive/,
    /^Client 1 resets the connection: .* reset while reading\. The server goes on/,
    /^The server accepts client 2 /,
    /^The server sends its FIN to client 2 and closes\. .* ok\.$/,
  ],
  lingering: [
    /^The server sends client 1 its response, 6 bytes\./,
    /^The server sends its FIN to client 1 and moves on\. .* lingers/,
    /^12 bytes of client 1 arrive\. .* dropped\.$/,
    /^It is the turn of client 2: /,
    /^Client 1 reads the reply only now: all 6 bytes are there/,
  ],
  dialogue: [
    /^It is the turn of client 1: .* may read the request while it arrives\.$/,
    /^The server sends client 1 its response, 14 bytes\./,
    /^Client 2 connects\./,
    /^4 bytes of client 1 arrive\. There is no FIN yet/,
    /^The server sends client 1 its response, 13 bytes\./,
    /^6 bytes of client 1 arrive\. There is no FIN yet/,
    /^The server sends client 1 its response, 15 bytes\./,
    /^The FIN of client 1 arrives\. Nothing more will come\.$/,
    /^The server sends its FIN to client 1 and closes\. .* ok\.$/,
    /^The server accepts client 2\.$/,
  ],
  drain: [
    /^Client 3 sends 5 bytes and its FIN\. .* still in line\.$/,
    /^The server is told to stop: it will serve everybody/,
    /^The server accepts client 2, out of the kernel’s queue/,
    /^The server accepts client 3, out of the kernel’s queue/,
    /^The kernel’s queue is empty: the server stops listening/,
    /^A late client tries to connect, .* refuses it/,
    /^It is the turn of client 2: /,
    /^It is the turn of client 3: /,
    /^The server has stopped after 3 exchanges\.$/,
  ],
};

/** Checks that these are told, in this order. */
function checkStory(told: string[], story: RegExp[]): void {
  let from = 0;
  for (const expected of story) {
    const at = told.findIndex((one, i) => i >= from && expected.test(one));
    assert(at >= 0, `${expected} is missing in:\n${told.join("\n")}`);
    from = at + 1;
  }
}

/** What a page tells now. */
function told(page: Page): Promise<string> {
  return page.evaluate(`document.querySelector("#sentence").textContent`);
}

function step(page: Page): Promise<[step: number, steps: number]> {
  return page.evaluate(`(() => {
    const { value, max } = document.querySelector("#scrubber");
    return [Number(value) + 1, Number(max) + 1];
  })()`);
}

/** Steps to the end, and returns what is told on the way. */
async function tell(page: Page, goOn: () => Promise<void>): Promise<string[]> {
  const all = [await told(page)];
  for (let [at, steps] = await step(page); at < steps; at++) {
    await goOn();
    assertEquals(await step(page), [at + 1, steps]);
    all.push(await told(page));
  }
  return all;
}

/** What is wider than a page, unless it is scrolled or cut by itself. */
function tooWide(page: Page, width: number): Promise<string[]> {
  return page.evaluate(`Array.from(document.querySelectorAll("body *"))
    .filter((one) => !one.closest("#choices > *, #picture svg"))
    .filter((one) => one.getBoundingClientRect().right > ${width})
    .map((one) => one.id || one.outerHTML.slice(0, 60))`);
}

/** Opens the page in a browser, checks it, and that it asked for nothing. */
function testPage(
  name: string,
  fn: (open: (fragment?: string, looks?: Looks) => Promise<Page>) => Promise<
    void
  >,
): void {
  testWith({ needs: "chromium" }, `exchange page: ${name}`, async () => {
    await using browser = await Browser.start();
    const pages: Page[] = [];
    await fn(async (fragment = "", looks = {}) => {
      const page = await browser.open(`${file}${fragment}`, looks);
      pages.push(page);
      return page;
    });
    for (const { complaints, requests } of pages) {
      assertEquals(complaints, []);
      assertEquals(requests.map((url) => url.split("#")[0]), [file.href]);
    }
  });
}

Deno.test("docs/exchange.html holds a trace of each scenario", () => {
  const traces = tracesIn(html);
  assertEquals([...traces.keys()], Object.keys(scenarios));
  assertEquals(Object.keys(stories), Object.keys(scenarios));
  for (const [name, lines] of traces) {
    assertEquals(lines.at(0)?.event, "listening", name);
    assertEquals(lines.at(-1)?.event, "stopped", name);
    assert(lines.some(({ by }) => by === "client"), name);
  }
});

Deno.test("docs/exchange.html asks for nothing from elsewhere", () => {
  assertMatch(html, /Content-Security-Policy[^>]*default-src 'none'/);
  const links = html.match(/(?:src|href)=(?!"#)\S+/g);
  assertEquals(links, [
    'href="https://jsr.io/@halfclose/server">halfclose</a>.',
  ]);
});

testPage("tells each scenario, step by step, by keyboard", async (open) => {
  for (const [name, story] of Object.entries(stories)) {
    const page = await open(`#scenario=${name}`);
    await page.press("Home");
    checkStory(await tell(page, () => page.press("ArrowRight")), story);
    await page.press("ArrowLeft");
    const [at, steps] = await step(page);
    assertEquals(at, steps - 1);
    await page.press("Home");
    assertEquals(await step(page), [1, steps]);
    await page.press("End");
    assertEquals(await step(page), [steps, steps]);
  }
});

testPage("tells each scenario by buttons, on a phone", async (open) => {
  const page = await open("", { ...phone, reducedMotion: true });
  assertEquals(await tooWide(page, 360), []);
  for (const [name, story] of Object.entries(stories)) {
    await page.clickOn(`[data-scenario="${name}"]`);
    assertEquals(
      await page.evaluate(
        `document.querySelector("[aria-pressed=true]").dataset.scenario`,
      ),
      name,
    );
    await page.clickOn("#first");
    checkStory(await tell(page, () => page.clickOn("#next")), story);
    assertEquals(await tooWide(page, 360), []);
    await page.clickOn("#back");
    const [at, steps] = await step(page);
    assertEquals(at, steps - 1);
    await page.clickOn("#first");
    assertEquals(await step(page), [1, steps]);
    await page.clickOn("#last");
    assertEquals(await step(page), [steps, steps]);
  }
});

testPage("plays to the end, and pauses", async (open) => {
  const page = await open("#scenario=reset", { reducedMotion: true });
  const label = () =>
    page.evaluate<string>(
      `document.querySelector("#play").getAttribute("aria-label")`,
    );
  assertEquals(await label(), "Play");
  await page.press(" ");
  assertEquals(await label(), "Pause");
  await until(async () => (await step(page))[0] > 1);
  await page.press(" ");
  assertEquals(await label(), "Play");
  const [at, steps] = await step(page);
  assert(at < steps);
  // A button that has the focus is pressed by the space bar, once.
  await page.evaluate(`document.querySelector("#play").focus()`);
  await page.press(" ");
  assertEquals(await label(), "Pause");
  await page.evaluate(`document.querySelector("#scrubber").focus()`);
  for (let left = steps - at; left > 0; left--) await page.press("ArrowRight");
  assertEquals(await label(), "Play");
  assertEquals(await step(page), [steps, steps]);
  await page.evaluate(`document.querySelector("#back").click()`);
  await page.press(" ");
  await until(async () => (await label()) === "Play");
  assertEquals(await step(page), [steps, steps]);
});

testPage("is scrubbed by the picture and by the address", async (open) => {
  const page = await open("#scenario=slow&step=7");
  assertEquals((await step(page))[0], 7);
  await page.clickOn("#picture");
  const [at] = await step(page);
  assert(at > 7, `${at}`);
  assertEquals(
    await page.evaluate("location.hash"),
    `#scenario=slow&step=${at}`,
  );
  const { x, y, width } = await page.evaluate<
    { x: number; y: number; width: number }
  >(
    `document.querySelector("#picture").getBoundingClientRect().toJSON()`,
  );
  await page.click(x + width - 2, y + 40);
  assert((await step(page))[0] > at);
});

/** What the titles take at the left of the picture, which covers lines. */
const GUTTER = 72;

/** The words of the picture that a line crosses. */
function crossed(page: Page): Promise<string[]> {
  return page.evaluate(`(() => {
    const { left } = document.querySelector("#picture").getBoundingClientRect();
    const seen = (words) => Array.from(
      document.querySelectorAll(words), (one) => ({
        text: one.textContent, box: one.getBoundingClientRect(),
        isThere: getComputedStyle(one).visibility === "visible",
      }),
    ).filter(({ isThere, box }) => isThere && box.height > 0);
    const lines = seen("#picture .arrow line, #picture .event, #picture .now")
      .filter(({ box }) => box.left >= left + ${GUTTER});
    return seen("#picture text:not(.bubble + text)").filter(({ text, box }) =>
      text !== "" && lines.some((line) =>
        line.box.left > box.left && line.box.right < box.right &&
        line.box.top < box.bottom - 3 && line.box.bottom > box.top + 3)
    ).map(({ text }) => text);
  })()`);
}

testPage("opens on the finished picture, all of it", async (open) => {
  for (const looks of [{}, phone]) {
    for (const name of Object.keys(scenarios)) {
      const page = await open(`#scenario=${name}`, looks);
      const [at, steps] = await step(page);
      assertEquals(at, steps);
      const isSeen = await page.evaluate<boolean[]>(`(() => {
        const { right } = document.querySelector("#picture")
          .getBoundingClientRect();
        return Array.from(document.querySelectorAll("#picture .arrow line"),
          (line) => {
            const { left } = line.getBoundingClientRect();
            return left > ${GUTTER} && left < right &&
              getComputedStyle(line).visibility === "visible";
          });
      })()`);
      assert(isSeen.length > 4 && isSeen.every(Boolean), name);
    }
  }
});

testPage("has no line across a word, and no time twice", async (open) => {
  for (const looks of [{}, phone]) {
    for (const name of Object.keys(scenarios)) {
      const page = await open(`#scenario=${name}`, {
        ...looks,
        reducedMotion: true,
      });
      const times = await page.evaluate<string[]>(
        `Array.from(document.querySelectorAll("#picture .time"),
          ({ textContent }) => textContent)`,
      );
      assertEquals(times, [...new Set(times)]);
      assertEquals(await crossed(page), [], name);
      await page.press("Home");
      await tell(page, async () => {
        await page.press("ArrowRight");
        assertEquals(await crossed(page), [], `${name}, ${await told(page)}`);
      });
    }
  }
});

testWith(
  { needs: "chromium" },
  "exchange page: docs/exchange.svg is what the page shows at first",
  async () => {
    // Where things stand depends on the fonts of the machine.
    const words = (svg: string) => svg.match(/(?<=<text[^>]*>)[^<]+/g);
    const svg = Deno.readTextFileSync(picture);
    assertEquals(words(svg), words(await draw()));
    assertMatch(svg, /prefers-color-scheme: dark/);
    assert(!/href|url\((?!"?#)/.test(svg), "all of it is in the picture");
  },
);

testPage("tells the step to screen readers", async (open) => {
  const page = await open();
  await page.press("Home");
  const heard = `(() => {
    const scrubber = document.querySelector("#scrubber");
    const live = document.querySelector("[aria-live=polite]");
    return [live.textContent.includes(scrubber.getAttribute("aria-valuetext")
      .replace(/^Step \\d+: /, "")), live.contains(
      document.querySelector("#sentence"))];
  })()`;
  await page.press("ArrowRight");
  assertEquals(await page.evaluate(heard), [true, true]);
  // Everything that can be pressed has a name.
  assertEquals(
    await page.evaluate(`Array.from(document.querySelectorAll("button"))
      .filter((one) => one.tagName !== "BUTTON" || one.type !== "button" ||
        !(one.getAttribute("aria-label") ?? one.textContent.trim())).length`),
    0,
  );
});

testPage("shows the focus, and suits the dark", async (open) => {
  const page = await open("", { dark: true });
  await page.press("Tab");
  assertEquals(
    await page.evaluate(
      `getComputedStyle(document.activeElement).outlineStyle`,
    ),
    "solid",
  );
  const color = (looks: Looks) =>
    page.look(looks).then(() =>
      page.evaluate<string>(
        `getComputedStyle(document.documentElement).backgroundColor`,
      )
    );
  assert(await color({ dark: true }) !== await color({}));
});

/** How a user gives the page a file. */
const gifts: Record<string, (page: Page, path: string) => Promise<void>> = {
  chosen: (page, path) => page.choose("#file", path),
  dropped: (page, path) => page.drop(path),
};

for (const [name, give] of Object.entries(gifts)) {
  testPage(`opens a trace that is ${name}`, async (open) => {
    await using traced = await TracedTool.listening();
    assertEquals(await ask(traced.addr, "hello"), "hello");
    await traced.stop();
    const page = await open();
    await give(page, traced.path);
    await until(async () =>
      (await page.evaluate<string>(
        `document.querySelector("#about").textContent`,
      )) === "Your trace: trace.jsonl"
    );
    await page.press("Home");
    checkStory(
      await tell(page, () => page.press("ArrowRight")),
      [
        /^The server listens on 127\.0\.0\.1:\d+/,
        /^The server accepts client 1/,
        /^5 bytes .*of client 1 arrive/,
        /^It is the turn of client 1: /,
        /^The server sends client 1 its response, 5 bytes\./,
        /^The server sends its FIN to client 1 and closes/,
        /after 1 exchange\.$/,
      ],
    );
  });
}

testPage("says of a file that it is no trace", async (open) => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/notes.txt`;
  await Deno.writeTextFile(path, '<b>hello</b>\n{"ms":1,"event":"x"}\n');
  const page = await open("#scenario=slow");
  await page.choose("#file", path);
  await until(async () =>
    /^Cannot show Your trace: notes\.txt: /i.test(
      await page.evaluate<string>(
        `document.querySelector("#problem").textContent`,
      ),
    )
  );
  // What was shown is still there.
  await page.press("Home");
  await page.press("ArrowRight");
  assertEquals((await step(page))[0], 2);
});

for (const [name, scenario] of Object.entries(scenarios)) {
  testWith(
    { needs: "chromium" },
    `exchange page: tells ${name} as well when it is recorded anew`,
    async () => {
      await using folder = await temporaryFolder();
      const lines = await recorded(scenario);
      const fresh = withTraces(
        html,
        new Map([...tracesIn(html), [name, lines]]),
      );
      const path = `${folder.path}/exchange.html`;
      await Deno.writeTextFile(path, fresh);
      await using browser = await Browser.start();
      const page = await browser.open(`file://${path}#scenario=${name}`);
      await page.press("Home");
      const story = await tell(page, () => page.press("ArrowRight"));
      assertEquals(page.complaints, []);
      // Which of several things at once comes first may differ.
      const expected = stories[name] ?? [];
      for (const one of [expected.at(0), expected.at(-1)]) {
        assert(one && story.some((text) => one.test(text)), story.join("\n"));
      }
    },
  );
}
