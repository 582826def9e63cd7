# Connects to every socket in a folder that lets it, as a user without rights,
# until its input ends. Then it tells the names of those that have let it in.

import os
import socket
import sys
import threading

folder = os.fsencode(sys.argv[1])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.chdir(folder)

isOver = threading.Event()


def wait():
    sys.stdin.read()
    isOver.set()


threading.Thread(target=wait, daemon=True).start()
print("watching", flush=True)

hosts = []
while not isOver.is_set():
    for name in os.listdir(b"."):
        for path in (name, name + b"/s"):
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            try:
                client.connect(path)
                hosts.append(path.decode())
            except OSError:
                pass
            client.close()
print(" ".join(hosts), flush=True)
