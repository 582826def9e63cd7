local client = assert(require("socket").connect(arg[1], arg[2]))
assert(client:send(io.read("a")))
client:shutdown("send")
io.write(assert(client:receive("*a")))
