// bun.js WORK: connections run concurrently, Bun has no other way.

const work = Bun.argv[2];
const large = Buffer.alloc(8 << 20, "x");

/** Sends what the socket takes now; `drain()` sends on. */
function send(socket) {
  const sent = socket.write(socket.data.answer);
  socket.data.answer = socket.data.answer.subarray(sent);
  if (socket.data.answer.length === 0) socket.end();
}

const server = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  allowHalfOpen: true,
  socket: {
    open(socket) {
      socket.data = { chunks: [], size: 0, answer: undefined };
    },
    data({ data }, chunk) {
      if (work === "stream") data.size += chunk.length;
      else data.chunks.push(chunk);
    },
    end(socket) {
      const { data } = socket;
      if (work !== "stream") {
        const request = Buffer.concat(data.chunks);
        data.size = (work === "text" ? request.toString() : request).length;
      }
      data.answer = work === "answer" ? large : Buffer.from(String(data.size));
      send(socket);
    },
    drain(socket) {
      if (socket.data.answer) send(socket);
    },
    error() {},
  },
});
console.log(server.port);
