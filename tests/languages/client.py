import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.sendall(sys.stdin.buffer.read())
sock.shutdown(socket.SHUT_WR)
while chunk := sock.recv(65536):
    sys.stdout.buffer.write(chunk)
