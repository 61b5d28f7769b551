# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The other process of a test:
    peer.py serve ADDRESS       a server with a few handlers
    peer.py call ADDRESS N      N requests `echo`, then the line "done N"
    peer.py hold NAME           a permit of that semaphore, which is opened
It says "ready" when it serves, is connected or has its permit, and goes when its standard input is closed.
"""

import asyncio
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import Ipc


def echo(server, connection, request):
    return Ipc.Message('echo_response', request.payload, request.headers, format=request.format)


def to_all(server, connection, request):
    queued, dropped = server.broadcast(Ipc.Message('news', request.payload, format=request.format))
    return {'queued': queued, 'dropped': dropped}


async def stdin_closed():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def serve(address):
    kept = []
    async with Ipc.SocketServer(address) as server:
        server.add_handler('echo', echo)
        server.add_handler('to-all', to_all)
        server.add_handler('keep', lambda server, connection, request: kept.append(request))
        print('ready', flush=True)
        await stdin_closed()


async def call(address, n):
    async with Ipc.SocketClient(address) as client:
        print('ready', flush=True)
        for i in range(int(n)):
            reply = await client.request_async(Ipc.Message('echo', str(i)))
            assert reply.text == str(i), reply
        print('done', n, flush=True)
        await stdin_closed()


async def hold(name):
    with Ipc.SemaphoreManager().open_semaphore(name).acquire():
        print('ready', flush=True)
        await stdin_closed()


Ipc.run({'serve': serve, 'call': call, 'hold': hold}[sys.argv[1]](*sys.argv[2:]))
