require "openssl"
require "socket"

host, port, authority, half_close = ARGV
context = OpenSSL::SSL::SSLContext.new
context.set_params(ca_file: authority, verify_hostname: false)
socket = OpenSSL::SSL::SSLSocket.new(TCPSocket.new(host, port), context)
socket.connect
socket.write($stdin.read)
socket.to_io.close_write if half_close == "yes"
print socket.read
