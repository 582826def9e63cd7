require "socket"

socket = TCPSocket.new(ARGV[0], ARGV[1])
socket.write($stdin.read)
socket.close_write
print socket.read
