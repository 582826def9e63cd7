# by_hand.py WHERE [PROGRAM ARGS]: Python's socketserver. WHERE is a port, tls:PORT or
# the path of a Unix socket. It reads each request whole.

import ssl
import subprocess
import sys
from socketserver import StreamRequestHandler, TCPServer, UnixStreamServer

where, *program = sys.argv[1:]


class Handler(StreamRequestHandler):
    def handle(self):
        request = self.rfile.read()
        if program:
            request = subprocess.run(program, input=request, stdout=subprocess.PIPE).stdout
        self.wfile.write(request)


class Server(TCPServer):
    allow_reuse_address = True


port = where.removeprefix("tls:")
if port.isdigit():
    server = Server(("127.0.0.1", int(port)), Handler)
else:
    server = UnixStreamServer(where, Handler)
if port != where:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("cert.pem", "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
