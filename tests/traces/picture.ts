/**
 * Draws `docs/exchange.svg`, the picture of the README: what `docs/exchange.html`
 * shows of its first recording, for light and dark.
 *
 * ```sh
 * deno task picture
 * ```
 *
 * @module
 */

import { Browser } from "../browser.ts";
import { page } from "./record.ts";

/** The picture. */
export const picture = new URL("exchange.svg", page);

/** Wide enough that each word has room. */
const WIDTH = 1280;

/** The picture as the page draws it, with the style that it needs. */
export async function draw(): Promise<string> {
  await using browser = await Browser.start();
  const looks = { width: WIDTH, height: 900, reducedMotion: true };
  const { href } = page;
  const opened = await browser.open(`${href}#scenario=one`, looks);
  return await opened.evaluate<string>(`(${still})()`);
}

/** What runs in the page. */
const still = String.raw`() => {
  const drawn = document.querySelector("#picture svg");
  const svg = drawn.cloneNode(true);
  const copies = [...svg.querySelectorAll("*")];
  const left = drawn.getBoundingClientRect().left;
  let width = 0;
  drawn.querySelectorAll("*").forEach((one, at) => {
    const { visibility } = getComputedStyle(one);
    if (visibility === "hidden" || one.matches(".now")) copies[at].remove();
    else if (one.tagName === "text") {
      width = Math.max(width, one.getBoundingClientRect().right - left);
    }
    copies[at].removeAttribute("style");
  });
  for (const one of copies) {
    for (const { name, value } of [...one.attributes]) {
      const shorter = value.replaceAll(/(\d+\.\d)\d+/g, "$1");
      one.setAttribute(name, shorter);
    }
  }
  const inPicture = (selector) => selector.replaceAll(".picture ", "");
  const style = Array.from(document.styleSheets[0].cssRules, (rule) => {
    const { media, selectorText = "*", cssText } = rule;
    const isUsed = selectorText === ":root" || !/^\*|svg/.test(selectorText) &&
        svg.querySelector(inPicture(selectorText));
    return isUsed || media?.mediaText.includes("dark") ? inPicture(cssText) : "";
  }).filter(Boolean).join("\n");
  const make = (name, text, fields = {}) => {
    const made = document.createElementNS(svg.namespaceURI, name);
    made.textContent = text;
    for (const key in fields) made.setAttribute(key, fields[key]);
    return made;
  };
  const height = svg.getAttribute("height");
  svg.removeAttribute("height");
  svg.removeAttribute("aria-hidden");
  svg.setAttribute("role", "img");
  svg.setAttribute("viewBox", "0 0 " + Math.ceil(width + 12) + " " + height);
  const whole = { width: "100%", height: "100%", fill: "var(--panel)" };
  svg.prepend(
    make("title", document.querySelector("#about").textContent),
    make("style", style),
    make("rect", "", whole),
  );
  const text = new XMLSerializer().serializeToString(svg);
  return text.replaceAll(/(<\/?(?:g|style|svg)\b)/g, "\n$1").trim() + "\n";
}`;

if (import.meta.main) await Deno.writeTextFile(picture, await draw());
