/**
 * Answering with a user's module.
 *
 * @module
 */

import { fileURLToPath, pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { isCallable, mayHoldOptions } from "../../shared/option_reader.ts";
import { inspected } from "../../shared/thrown.ts";
import type { Handler } from "../../server.ts";
import { readServeOptions } from "../../serving/options.ts";
import { isUrl } from "../args/specifier.ts";
import type { Answer } from "./answer.ts";
import { ensureFile, trying } from "../shared/files.ts";
import { ensurePermissions } from "../shared/permissions.ts";
import { messageOf } from "../shared/wording.ts";

const EXPORTS_THEN =
  "it exports then(), so that Deno takes it for a promise. Call that something else.";

/** How often modules were loaded anew. */
let reloads = 0;

/**
 * Loads a module that answers. Its default export is a {@linkcode HandlerModule}:
 * a handler, or an object with the options of `serve()` and a `handler`.
 *
 * A file can be loaded anew. The modules that it imports stay as they are.
 *
 * @param specifier Its path, relative to the working directory, or its URL.
 * @throws {Error} If it cannot be found or loaded, exports something else, or has
 * an option that does not exist.
 */
export async function loadHandler(specifier: string): Promise<Answer> {
  const url = urlOf(specifier);
  const answer = answerOfExport(await load(url, specifier), specifier);
  if (url.protocol !== "file:") return answer;
  const reload = async () => {
    // Another URL of the same file, or Deno would not load it again.
    url.hash = `reload-${++reloads}`;
    return { ...answerOfExport(await load(url, specifier), specifier), reload };
  };
  return { ...answer, reload };
}

function answerOfExport(exported: unknown, specifier: string): Answer {
  if (isCallable(exported)) {
    return { options: {}, handler: exported as Handler };
  }
  if (mayHoldOptions(exported)) {
    const { handler, ...options } = readServeOptions(
      `use ${specifier}`,
      exported,
    );
    if (handler) return { options: options as Answer["options"], handler };
  }
  throw new Error(
    `Cannot use ${specifier}: its default export must be a function ` +
      "(conn) => body, or an object with the options of serve() and a " +
      `handler, received ${inspected(exported)}`,
  );
}

async function load(url: URL, specifier: string): Promise<unknown> {
  const action = `load ${specifier}`;
  if (url.protocol === "file:") {
    const path = isUrl(specifier) ? fileURLToPath(url) : specifier;
    await ensurePermissions(action, { name: "read", path });
    await trying(action, () => ensureFile(url));
  } else if (/^https?:$/.test(url.protocol)) {
    if (isKeptFrom(url)) {
      throw new Error(
        `Cannot ${action}: Deno keeps packages of JSR from importing modules ` +
          "of other hosts. Put this line into a file, and name that file " +
          `instead: export { default } from "${url.href}";`,
      );
    }
    await ensurePermissions(action, { name: "import", host: hostOf(url) });
  }
  try {
    return (await importWhole(url)).default;
  } catch (error) {
    // Deno colours where the import of a module stands that is not there.
    const reason = stripVTControlCharacters(messageOf(error));
    throw new Error(`Cannot ${action}: ${reason}`, { cause: error });
  }
}

/** Whether this package is loaded from JSR, and the module is elsewhere. */
function isKeptFrom(url: URL): boolean {
  const own = new URL(import.meta.url);
  return own.protocol !== "file:" && own.host !== url.host;
}

/** The host with its port: Deno lists hosts only so. */
function hostOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

/**
 * Imports a module. One that exports `then()` is taken for a promise, and may
 * never be there. Deno would end without a word.
 */
async function importWhole(url: URL): Promise<{ default?: unknown }> {
  const never = Promise.withResolvers<never>();
  const giveUp = (event: Event) => {
    event.preventDefault();
    never.reject(new Error(EXPORTS_THEN));
  };
  globalThis.addEventListener("beforeunload", giveUp, { once: true });
  try {
    const module = await Promise.race([import(url.href), never.promise]);
    if (Object.prototype.toString.call(module) === "[object Module]") {
      return module;
    }
    throw new Error(EXPORTS_THEN);
  } finally {
    globalThis.removeEventListener("beforeunload", giveUp);
  }
}

function urlOf(specifier: string): URL {
  return isUrl(specifier) ? new URL(specifier) : pathToFileURL(specifier);
}
