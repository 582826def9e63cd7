import asyncio
import ssl
import sys


async def main(host, port, authority, half_close):
    context = ssl.create_default_context(cafile=authority)
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname="localhost"
    )
    writer.write(sys.stdin.buffer.read())
    if half_close == "yes":
        writer.write_eof()
    sys.stdout.buffer.write(await reader.read())


asyncio.run(main(*sys.argv[1:]))
