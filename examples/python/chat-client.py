#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Says each line of standard input in a chat room, and prints what is said there.

    chat-client.py ADDRESS

It leaves at the end of its input, or when the server does.
"""

import asyncio
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc  # noqa: E402


async def say_lines(client):
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        # Waits while the server is too slow to take more; send() would fail then.
        await client.send_async(Ipc.Message('say', line.decode().rstrip('\n')))
    if client.connection is not None:
        await client.connection.flush_async()


async def main(address):
    client = Ipc.SocketClient(address)
    client.add_handler('said', lambda server, connection, message: print(message.text, flush=True))
    async with client:
        saying = asyncio.ensure_future(say_lines(client))
        client.connect('closed', lambda client, error: saying.cancel())
        await asyncio.wait([saying])
    if not saying.cancelled():
        saying.result()      # raises what went wrong


if __name__ == '__main__':
    if len(sys.argv) != 2:
        print('usage: chat-client.py ADDRESS', file=sys.stderr)
        sys.exit(2)
    try:
        Ipc.run(main(sys.argv[1]))
    except GLib.Error as error:
        sys.exit('chat-client.py: ' + error.message)
