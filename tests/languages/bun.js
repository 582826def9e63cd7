import process from "node:process";

const [hostname, port] = process.argv.slice(2);
let rest = await Bun.stdin.bytes();

function send(socket) {
  rest = rest.subarray(socket.write(rest));
  if (rest.length === 0) socket.shutdown();
}

Bun.connect({
  hostname,
  port: Number(port),
  socket: {
    open: send,
    drain: (socket) => rest.length > 0 && send(socket),
    data: (_socket, data) => process.stdout.write(data),
  },
});
