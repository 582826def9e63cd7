/**
 * Web server: HTTP/1.0 from the socket up, by
 * {@link https://www.rfc-editor.org/rfc/rfc1945 | RFC 1945} and
 * {@link https://www.rfc-editor.org/rfc/rfc9112 | RFC 9112}, for `curl` and
 * browsers. It serves the files of one folder. Its front page shows the request
 * as it arrived, and how its own exchange went.
 *
 * Browsers never half-close: their request ends with an empty line (`until`).
 * They also open connections in advance and send nothing on them. This server
 * takes one connection at a time and waits for each of these, so `idleTimeout`
 * is short. It also covers writing: files for slow networks need a longer one.
 *
 * ```sh
 * deno run -N -R=examples jsr:@halfclose/server examples/web_server.ts
 * curl -s localhost:8080/lines.ts
 * ```
 *
 * @module
 */

import { extname, join, sep } from "node:path";
import type { Conn } from "@halfclose/server";

const folder = "examples";

const types = new Map([
  [".html", "text/html; charset=utf-8"],
  [".css", "text/css; charset=utf-8"],
  [".js", "text/javascript; charset=utf-8"],
  [".ts", "text/plain; charset=utf-8"],
  [".md", "text/plain; charset=utf-8"],
  [".svg", "image/svg+xml"],
  [".png", "image/png"],
  [".jpg", "image/jpeg"],
]);

/** A request line, header fields and an empty line. */
const wellFormed = new RegExp(
  (String.raw`^(?:\r\n)?(TOKEN) ([!-~]+) HTTP/1\.(\d)\r\n` +
    String.raw`((?:TOKEN:[\t -~\x80-\xff]*\r\n)*)\r\n$`)
    .replaceAll("TOKEN", "[-!#$%&'*+.^_`|~\\w]+"),
);

async function handler(conn: Conn) {
  const accepted = performance.now();
  const request = String.fromCharCode(...await conn.bytes());
  const complete = performance.now() - accepted;
  if (request === "") return; // The browser did not need this connection.
  const [head, body] = await answerTo(request) ??
    answer("200 OK", {
      type: ".html",
      body: frontPage(request, complete, performance.now() - accepted),
    });
  return request.trimStart().startsWith("HEAD ") ? head : [head, body];
}

/** Answers all requests but those for the front page. */
function answerTo(request: string) {
  const [, method, target = "", minor, fields = ""] =
    wellFormed.exec(request) ?? [];
  const hosts = fields.match(/^host:/gim)?.length ?? 0;
  // The target may be a whole URL, as for a proxy.
  const path = target.replace(/^https?:\/\/[^/?]+/i, "").replace(/\?.*/, "");
  if (!method || hosts > 1 || (hosts === 0 && minor !== "0")) {
    return answer("400 Bad Request");
  }
  if (method !== "GET" && method !== "HEAD") {
    return answer("405 Method Not Allowed", { fields: ["Allow: GET, HEAD"] });
  }
  if (path === "/" || path === "") return undefined;
  return path.startsWith("/") ? file(path) : answer("400 Bad Request");
}

function answer(
  status: string,
  { body = encode(`${status}\n`), type = ".md", fields = [] as string[] } = {},
): [string, Uint8Array<ArrayBuffer>] {
  const head = [
    `HTTP/1.0 ${status}`,
    `Date: ${new Date().toUTCString()}`,
    `Content-Type: ${types.get(type) ?? "application/octet-stream"}`,
    `Content-Length: ${body.length}`,
    "Connection: close",
    ...fields,
  ];
  return [`${head.join("\r\n")}\r\n\r\n`, body];
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

async function file(path: string) {
  const found = await read(path).catch(() => undefined);
  return found ? answer("200 OK", found) : answer("404 Not Found");
}

/** Reads a file of the folder, and no other, whatever the path looks like. */
async function read(path: string) {
  // Once decoded, a name may hold what separates names.
  const names = path.slice(1).split("/").map(decodeURIComponent);
  if (names.some((name) => /^\.{0,2}$|[/\\\0]/.test(name))) return undefined;
  const root = await Deno.realPath(folder);
  const real = await Deno.realPath(join(root, ...names));
  // Permissions do not stop a link in the folder that leads out of it.
  if (!real.startsWith(root + sep)) return undefined;
  if (!(await Deno.stat(real)).isFile) return undefined;
  return { body: await Deno.readFile(real), type: extname(real) };
}

// Only the front page remains.

/** The front page. The times are in milliseconds since the accept. */
function frontPage(request: string, complete: number, answered: number) {
  const spans: [string, number, number][] = [
    ["from the accept to the last byte", 0, complete],
    ["from the last byte to the response", complete, answered],
  ];
  const scale = 300 / answered;
  const bars = spans.map(([name, start, end], i) => {
    const y = 28 * i;
    return `<text y="${y + 18}">${name}: ${(end - start).toFixed(2)} ms</text>
<rect x="${340 + start * scale}" y="${y + 4}" width="${
      (end - start) * scale
    }" height="20"/>`;
  });
  return encode(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>One exchange</title>
<link rel="icon" href="data:,">
<style>
  body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 sans-serif }
  pre { padding: 1rem; background: #eee; white-space: pre-wrap; overflow-wrap: anywhere }
  text { font-size: 15px }
  rect { fill: #06c }
</style>
<h1>One exchange</h1>
<p>Your request has ${request.length} bytes and ends with an empty line:</p>
<pre>${request.replaceAll(/[^ -~]|[\\<>&]/g, shown)}</pre>
<p>This page is the response. It took ${answered.toFixed(2)} ms:</p>
<svg viewBox="0 0 640 60">${bars.join("\n")}</svg>
<p>The server sends its FIN after this page, and takes the next connection.</p>
</html>
`);
}

/** A byte that cannot be seen, or that means something to HTML. */
function shown(char: string): string {
  const code = char.charCodeAt(0);
  if (char === "\r") return "\\r";
  if (char === "\n") return "\\n\n";
  if (char === "\\") return "\\\\";
  if (/[<>&]/.test(char)) return `&#${code};`;
  return `\\x${code.toString(16).padStart(2, "0")}`;
}

export default {
  streaming: true, // The handler is called before the request is read.
  until: "\r\n\r\n",
  maxRequestBytes: 16_384,
  idleTimeout: 1_000,
  deadline: 10_000,
  // A connection on which nothing came is just closed.
  onRefuse: (error: Error) =>
    error.name === "RequestTooLargeError"
      ? "HTTP/1.0 431 Request Header Fields Too Large\r\n\r\n"
      : "",
  // Without it a client would be told in a line, which is no HTTP.
  onError: () => answer("500 Internal Server Error"),
  handler,
};
