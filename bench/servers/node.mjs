// node.mjs WORK: connections run concurrently, Node has no other way.

import { Buffer } from "node:buffer";
import { createServer } from "node:net";
import process from "node:process";

const work = process.argv[2];
const large = Buffer.alloc(8 << 20, "x");

const server = createServer({ allowHalfOpen: true }, (socket) => {
  const chunks = [];
  let size = 0;
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    if (work === "stream") size += chunk.length;
    else chunks.push(chunk);
  });
  socket.on("end", () => {
    if (work !== "stream") {
      const request = Buffer.concat(chunks);
      size = (work === "text" ? request.toString() : request).length;
    }
    socket.end(work === "answer" ? large : String(size));
  });
});
server.listen(
  { host: "127.0.0.1", port: 0 },
  () => console.log(server.address().port),
);
