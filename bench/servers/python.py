"""python.py WORK: one connection at a time, as socketserver.TCPServer does."""

import socketserver
import sys

work = sys.argv[1]
large = b"x" * (8 << 20)
chunk = bytearray(65536)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        if work == "stream":
            size = 0
            while got := self.request.recv_into(chunk):
                size += got
        else:
            size = len(self.rfile.read())
        self.wfile.write(large if work == "answer" else str(size).encode())


class Server(socketserver.TCPServer):
    # The default of 5 would have clients wait a second for their SYN.
    request_queue_size = 511


with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
