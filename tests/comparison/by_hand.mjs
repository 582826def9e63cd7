// by_hand.mjs WHERE [PROGRAM ARGS]: a server of Node, which serves all at once. WHERE
// is a port, tls:PORT or the path of a Unix socket. With `allowHalfOpen` it does not
// close at the client's FIN.

import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import process from "node:process";
import { createServer as createTlsServer } from "node:tls";

const [where, program, ...args] = process.argv.slice(2);

function serve(socket) {
  socket.on("error", (error) => console.error(error));
  if (!program) {
    const chunks = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("end", () => socket.end(Buffer.concat(chunks)));
  } else {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.on("error", (error) => console.error(error));
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  }
}

const [, tls, port] = /^(tls:)?(\d+)$/.exec(where) ?? [];
const server = tls
  ? createTlsServer({
    allowHalfOpen: true,
    cert: readFileSync("cert.pem"),
    key: readFileSync("key.pem"),
  }, serve)
  : createServer({ allowHalfOpen: true }, serve);
server.listen(port ? { port, host: "127.0.0.1" } : where);
