# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The other process of a test:
    peer.py serve ADDRESS       a server with a few handlers
    peer.py call ADDRESS N      N requests `echo`, then the line "done N"
    peer.py hold NAME           a permit of that semaphore, which is opened
    peer.py segment NAME        that segment, which is opened; each line that it reads is done to it, such as "write 3 abc"
    peer.py segment-of FD       the same, of a segment that it was given
It says "ready" when it serves, is connected, or has its permit or segment, and goes when its standard input is closed.
"""

import asyncio
import os
import sys

import gi
gi.require_version('Ipc', '1.0')
from gi.repository import GLib, Ipc


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


COMMANDS = {
    'write': lambda segment, offset, text: segment.write(int(offset), text.encode()),
    'read': lambda segment, offset, length: segment.read(int(offset), int(length)).decode(),
    'store': lambda segment, offset, byte: segment.buf.__setitem__(int(offset), int(byte)),
    'add': lambda segment, offset, n: sum(segment.add_int64(int(offset), 1) > 0 for _ in range(int(n))),
    'resize': lambda segment, size: segment.resize(int(size)),
    'lock': lambda segment: segment.lock(),
    'unlock': lambda segment: segment.unlock(),
    'tell': lambda segment: segment.notify_changed(),
    'delete': lambda segment: Ipc.SharedMemoryManager().delete_segment(segment.name),
    'truncate': lambda segment: os.ftruncate(segment.dup_fd(), segment.get_fd_offset()),
}


def obey(segment):
    print('ready', flush=True)
    for line in sys.stdin:
        command, *args = line.split()
        try:
            print(COMMANDS[command](segment, *args), flush=True)
        except GLib.Error as error:
            print(error.message, flush=True)


async def segment(name):
    obey(Ipc.SharedMemoryManager().open_segment(name))


async def segment_of(fd):
    obey(Ipc.SharedMemory.new_from_fd(int(fd)))


Ipc.run({'segment': segment, 'segment-of': segment_of, 'serve': serve, 'call': call, 'hold': hold}[sys.argv[1]](*sys.argv[2:]))
